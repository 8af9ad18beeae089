package import Channel
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// The first message of each side of a connection: who it is, bound to the TLS certificate that it showed.
///
/// - Source: Fabric v3.1, `gossip/comm`, `authenticateRemotePeer`.
package enum Handshake {
    /// How long the other side's first message may take.
    package static let wait: Duration = .seconds(2)

    /// What this side says first.
    ///
    /// - Parameters:
    ///   - local: Who this side is.
    ///   - tlsCertificateHash: SHA-256 of the certificate, DER, that this side shows on this connection; empty without TLS.
    ///   - probe: Whether this side only wants to know who is there.
    /// - Returns: The signed message.
    /// - Throws: What signing throws.
    package static func greeting(
        of local: LocalPeer,
        tlsCertificateHash: Data,
        probe: Bool = false
    ) throws -> Gossip_Envelope {
        let message = Gossip_GossipMessage.with {
            $0.tag = .empty
            $0.conn.pkiID = local.pkiID.bytes
            $0.conn.identity = local.identity
            $0.conn.tlsCertHash = tlsCertificateHash
            $0.conn.probe = probe
        }
        return try Gossip_Envelope(message, signedBy: local.sign)
    }

    /// What the other side has proved.
    package struct Acquaintance: Sendable {
        package var connection: GossipConnection
        /// Whether the other side only wants to know who is there: the stream ends.
        package var isProbe: Bool
    }

    /// Checks what the other side says first.
    ///
    /// - Parameters:
    ///   - envelope: its message.
    ///   - tlsCertificateHash: SHA-256 of the certificate, DER, that the other side has shown; `nil` if it showed none.
    ///   - usesTLS: whether the connection is TLS.
    ///   - endpoint: the address that was dialled; `nil` if the other side dialled.
    ///   - identities: those that this peer knows, and the MSPs that judge them.
    /// - Returns: Who is there.
    /// - Throws: ``Refusal`` with the text that the other side is told.
    package static func check(
        _ envelope: Gossip_Envelope,
        tlsCertificateHash: Data?,
        usesTLS: Bool,
        endpoint: String?,
        identities: Identities
    ) throws(Refusal) -> Acquaintance {
        if usesTLS, tlsCertificateHash?.isEmpty != false { throw Refusal("no TLS certificate") }
        guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
            case .conn(let establish) = message.content
        else { throw Refusal("wrong type") }
        guard message.hasLegalTag else { throw Refusal("wrong tag") }
        guard !establish.pkiID.isEmpty else { throw Refusal("no PKI-ID") }
        guard !establish.identity.isEmpty else { throw Refusal("identity is nil") }
        let judged: (PKIID, Identity)
        do {
            judged = try identities.judge(establish.identity)
        } catch {
            throw Refusal("\(error)")
        }
        guard judged.0.bytes == establish.pkiID else {
            throw Refusal("identity doesn't match the computed pkiID")
        }
        if usesTLS, let tlsCertificateHash, tlsCertificateHash != establish.tlsCertHash {
            throw Refusal(
                "Expected \(Self.numbers(tlsCertificateHash)) in remote hash of TLS cert, but got "
                    + Self.numbers(establish.tlsCertHash)
            )
        }
        guard !envelope.signature.isEmpty else { throw Refusal("Empty signature") }
        guard identities.hasSigned(judged.1, envelope) else {
            throw Refusal("the signature of the connection message is not that of \(judged.1)")
        }
        let connection = GossipConnection(
            peer: judged.0,
            identity: establish.identity,
            proof: envelope.withoutSecret,
            endpoint: endpoint
        )
        return Acquaintance(connection: connection, isProbe: establish.probe)
    }

    /// Whether a peer may be at an address where another was: only one of the same organization.
    package static func mayReplace(_ earlier: MSPID, by later: MSPID) -> Bool { earlier == later }

    /// Bytes as Fabric writes them into this text.
    private static func numbers(_ bytes: Data) -> String {
        "[\(bytes.prefix(64).map { String($0) }.joined(separator: " "))]"
    }

    /// Why a connection is refused.
    package struct Refusal: Error, Equatable, CustomStringConvertible {
        package let description: String

        init(_ description: String) { self.description = description }
    }
}
