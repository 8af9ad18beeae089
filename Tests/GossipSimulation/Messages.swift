package import FabricProtos
import Foundation
package import Gossip
import SwiftProtobuf

/// Messages as peers write them, or as those do who lie.
package enum Messages {
    /// An alive message about `author`, whose key signs it unless there is another `signer`.
    ///
    /// `secret` is the address for the own organization.
    package static func alive(
        _ author: LocalPeer,
        incarnation: UInt64,
        sequence: UInt64 = 1,
        endpoint: String? = nil,
        secret: String? = nil,
        carriesIdentity: Bool = true,
        signer: LocalPeer? = nil
    ) throws -> Gossip_Envelope {
        let message = Gossip_GossipMessage.with {
            $0.tag = .empty
            $0.aliveMsg.membership.endpoint = endpoint ?? author.externalEndpoint
            $0.aliveMsg.membership.pkiID = author.pkiID.bytes
            $0.aliveMsg.timestamp.incNum = incarnation
            $0.aliveMsg.timestamp.seqNum = sequence
            if carriesIdentity { $0.aliveMsg.identity = author.identity }
        }
        let sign = (signer ?? author).sign
        var envelope = try Gossip_Envelope(message, signedBy: sign)
        if let secret {
            let payload = try Gossip_Secret.with { $0.internalEndpoint = secret }.serializedData()
            envelope.secretEnvelope.payload = payload
            envelope.secretEnvelope.signature = try sign(payload)
        }
        return envelope
    }

    package static func unsigned(_ fill: (inout Gossip_GossipMessage) -> Void) throws -> Gossip_Envelope {
        try Gossip_Envelope(unsigned: .with(fill))
    }

    package static func membershipRequest(_ alive: Gossip_Envelope) throws -> Gossip_Envelope {
        try self.unsigned {
            $0.tag = .empty
            $0.nonce = 7
            $0.memReq.selfInformation = alive
        }
    }

    /// A certificate as its owner offers it to others.
    package static func identity(_ owner: LocalPeer, signer: LocalPeer? = nil) throws -> Gossip_Envelope {
        let message = Gossip_GossipMessage.with {
            $0.tag = .empty
            $0.peerIdentity.pkiID = owner.pkiID.bytes
            $0.peerIdentity.cert = owner.identity
        }
        return try Gossip_Envelope(message, signedBy: (signer ?? owner).sign)
    }

    /// Every alive message in an envelope: the message itself, or those that it carries.
    package static func aliveMessages(in envelope: Gossip_Envelope) -> [Gossip_Envelope] {
        guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload) else { return [] }
        return switch message.content {
        case .aliveMsg: [envelope]
        case .memReq(let request): [request.selfInformation]
        case .memRes(let response): response.alive + response.dead
        default: []
        }
    }

    /// Whom an alive message is about.
    package static func author(of alive: Gossip_Envelope) -> PKIID? {
        guard let message = try? Gossip_GossipMessage(serializedBytes: alive.payload) else { return nil }
        return PKIID(message.aliveMsg.membership.pkiID)
    }
}
