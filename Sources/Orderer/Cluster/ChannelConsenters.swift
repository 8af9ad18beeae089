internal import Channel
internal import Cryptography
internal import Foundation

/// The consenters of a channel, whatever its consensus type.
enum ChannelConsenters: Equatable, Sendable {
    case raft(RaftConsenters)
    case bft(BFTConsenters)

    /// Reads the consenters of a configuration.
    ///
    /// - Throws: ``OrdererError`` if this node can't order such a channel, ``InvalidConsensusMetadata`` if nobody can.
    init(_ configuration: ChannelConfiguration) throws {
        switch configuration.orderer?.consensusType {
        case "BFT": self = .bft(try BFTConsenters(configuration))
        default: self = .raft(try RaftConsenters(configuration))
        }
    }

    var count: Int {
        switch self {
        case .raft(let consenters): consenters.count
        case .bft(let consenters): consenters.count
        }
    }

    /// Whether a node is one of them.
    ///
    /// Raft's are known by the key of their TLS server certificate, which is `nil` without TLS; BFT's by their identity.
    func contains(serverKey: PublicKey?, _ identity: SigningIdentity) -> Bool {
        switch self {
        case .raft(let consenters): consenters.contains(serverKey)
        case .bft(let consenters): consenters.own(identity) != nil
        }
    }

    /// Whether one of them has a TLS server certificate with this key, by which the others know who connects.
    func hasServer(_ key: PublicKey) -> Bool {
        switch self {
        case .raft(let consenters): consenters.contains(key)
        case .bft(let consenters): consenters.consenters.contains { $0.serverKey == key }
        }
    }

    /// Checks the certificates of all consenters, which may have expired.
    ///
    /// - Throws: ``InvalidConsensusMetadata``.
    func checkCertificates(
        under configuration: ChannelConfiguration,
        at now: Date
    ) throws(InvalidConsensusMetadata) {
        switch self {
        case .raft(let consenters):
            try consenters.checkCertificates(under: configuration, known: consenters, at: now)
        case .bft(let consenters):
            try consenters.checkCertificates(under: configuration, known: consenters.consenters, at: now)
        }
    }
}
