package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A message as it came, and what it says.
///
/// The bytes that were signed are kept: they are passed on, never made again.
package struct ReceivedMessage: Sendable {
    package let envelope: Gossip_Envelope
    package let message: Gossip_GossipMessage
    /// Who is at the other end of the connection that it came through; not necessarily who wrote it.
    package let sender: PKIID

    /// Decodes an envelope; signatures are not looked at.
    ///
    /// - Throws: if the payload is no gossip message.
    package init(_ envelope: Gossip_Envelope, from sender: PKIID) throws {
        self.envelope = envelope
        self.message = try Gossip_GossipMessage(serializedBytes: envelope.payload)
        self.sender = sender
    }
}

extension Gossip_Envelope {
    /// A message without a signature: what only the connection vouches for.
    package init(unsigned message: Gossip_GossipMessage) throws {
        self.init()
        self.payload = try message.serializedData()
    }

    /// A message with its author's signature.
    package init(_ message: Gossip_GossipMessage, signedBy sign: (Data) throws -> Data) throws {
        self.init()
        self.payload = try message.serializedData()
        self.signature = try sign(self.payload)
    }

    /// The envelope without the part that is for the own organization only.
    package var withoutSecret: Gossip_Envelope {
        var copy = self
        copy.clearSecretEnvelope()
        return copy
    }
}

extension Gossip_PeerTime {
    /// Whether this is later than `other`: of a later start, or counted further since the same.
    package func isNewer(than other: Gossip_PeerTime) -> Bool {
        (self.incNum, self.seqNum) > (other.incNum, other.seqNum)
    }
}
