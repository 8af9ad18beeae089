internal import Channel
internal import Consensus
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// The consenters and options of a BFT channel, checked.
///
/// Source: Fabric v3.1, package `orderer/consensus/smartbft` and `orderer.smartbft.Options`.
struct BFTConsenters: Equatable, Sendable {
    /// A consenter as the channel's configuration names it.
    struct Consenter: Hashable, Sendable {
        /// What the others know it by, and what its block signatures name; at least 1 and at most 32 bits.
        let id: NodeID
        /// `host:port`.
        let endpoint: String
        /// Its `SerializedIdentity`, as in the channel's BlockValidation policy.
        let identity: Data
        /// The key of its identity, by which a node finds itself.
        let key: PublicKey
        /// PEM.
        let clientCertificate: Data
        /// PEM.
        let serverCertificate: Data
        /// The key of the certificate that it shows as a client.
        let clientKey: PublicKey
        /// The key of the certificate that it shows as a server.
        let serverKey: PublicKey
    }

    /// In the order of the configuration, which is that of the BlockValidation policy.
    let consenters: [Consenter]
    let options: BFTOptions

    /// Reads the consenters of a configuration.
    ///
    /// - Throws: ``OrdererError`` if the channel is none of BFT consenters, ``InvalidConsensusMetadata`` if nobody can
    ///   order it.
    init(_ configuration: ChannelConfiguration) throws {
        guard let orderer = configuration.orderer else {
            throw OrdererError.noOrdererSection(configuration.channelID)
        }
        guard orderer.consensusType == "BFT" else {
            throw OrdererError.unsupportedConsensus(configuration.channelID, type: orderer.consensusType)
        }
        guard configuration.capabilities.identifiesBlockSignersByConsenter else {
            throw InvalidConsensusMetadata(
                "consensus type BFT needs the channel capability V3_0, without which its block signatures can't be read"
            )
        }
        try self.init(mapping: orderer.consenters, metadata: orderer.consensusMetadata)
    }

    /// Reads the values Orderers and ConsensusType's metadata.
    init(mapping: [Common_Consenter], metadata: Data) throws(InvalidConsensusMetadata) {
        let message: Orderer_Smartbft_Options
        do {
            message = try Orderer_Smartbft_Options(serializedBytes: metadata)
        } catch {
            throw InvalidConsensusMetadata("it can't be decoded: \(error)")
        }
        do { self.options = try BFTOptions(message) } catch { throw InvalidConsensusMetadata(error.reason) }
        guard !mapping.isEmpty else { throw InvalidConsensusMetadata("empty consenter set") }
        var consenters: [Consenter] = []
        for message in mapping {
            let consenter = try Consenter(message)
            for other in consenters { try consenter.checkDistinct(from: other) }
            consenters.append(consenter)
        }
        self.consenters = consenters
    }

    var count: Int { self.consenters.count }

    /// The consenters' numbers, in the order of the configuration.
    var identifiers: [NodeID] { self.consenters.map(\.id) }

    subscript(_ id: NodeID) -> Consenter? { self.consenters.first { $0.id == id } }

    /// Who of them is the node that signs with the key of `identity`.
    ///
    /// A certificate may be renewed with the same key without a configuration update.
    func own(_ identity: SigningIdentity) -> Consenter? {
        self.consenters.first { $0.key == identity.certificate.publicKey }
    }

    /// Checks what the update that leads to these consenters brings in: whoever is new, or has other certificates, must
    /// be known to the channel's organizations.
    ///
    /// Fabric asks this of Raft's consenters only. A BFT consenter whose identity no organization knows would count for
    /// the quorum and could never sign. `configuration` is the one that names these consenters, `known` are those of
    /// the configuration in force.
    ///
    /// - Throws: ``InvalidConsensusMetadata``.
    func checkCertificates(
        under configuration: ChannelConfiguration,
        known: [Consenter],
        at now: Date
    ) throws(InvalidConsensusMetadata) {
        let certificates = try ConsenterCertificates(configuration)
        for consenter in self.consenters where !known.contains(consenter) {
            let isKnown = known.contains { $0.clientCertificate == consenter.clientCertificate }
            try certificates.check(consenter.clientCertificate, "client", mayBeExpired: isKnown, at: now)
            try certificates.check(consenter.serverCertificate, "server", mayBeExpired: isKnown, at: now)
            do {
                let identity = try configuration.directory.identity(from: consenter.identity)
                try configuration.directory.validate(identity)
            } catch {
                throw InvalidConsensusMetadata(
                    "the identity of consenter \(consenter.id) (\(consenter.endpoint)) is none of the channel's: \(error)"
                )
            }
        }
    }
}

extension BFTConsenters.Consenter {
    init(_ message: Common_Consenter) throws(InvalidConsensusMetadata) {
        let name = "consenter \(message.id) (\(message.host):\(message.port))"
        guard message.id != 0 else {
            throw InvalidConsensusMetadata("\(name) has the number 0; numbers start at 1")
        }
        guard !message.host.isEmpty, (1...65535).contains(message.port) else {
            throw InvalidConsensusMetadata("\(name) has no host and port to connect to")
        }
        var identity = Msp_SerializedIdentity()
        identity.mspid = message.mspID
        identity.idBytes = message.identity
        do {
            self.identity = try identity.serializedBytes()
        } catch {
            throw InvalidConsensusMetadata("the identity of \(name) can't be encoded: \(error)")
        }
        self.id = NodeID(message.id)
        self.endpoint = "\(message.host):\(message.port)"
        self.clientCertificate = message.clientTlsCert
        self.serverCertificate = message.serverTlsCert
        self.key = try Self.key(message.identity, "identity", of: name)
        self.clientKey = try Self.key(message.clientTlsCert, "client_tls_cert", of: name)
        self.serverKey = try Self.key(message.serverTlsCert, "server_tls_cert", of: name)
    }

    private static func key(
        _ pem: Data,
        _ field: String,
        of name: String
    ) throws(InvalidConsensusMetadata) -> PublicKey {
        guard !pem.isEmpty else { throw InvalidConsensusMetadata("\(name) has no \(field)") }
        do {
            return try Certificate(pem: pem).publicKey
        } catch {
            throw InvalidConsensusMetadata("the \(field) of \(name) can't be read: \(error)")
        }
    }

    /// One node must not count twice, and whoever connects must be one consenter.
    fileprivate func checkDistinct(from other: Self) throws(InvalidConsensusMetadata) {
        guard self.id != other.id else {
            throw InvalidConsensusMetadata(
                "the consenters at \(other.endpoint) and \(self.endpoint) both have the number \(self.id)"
            )
        }
        guard self.key != other.key else {
            throw InvalidConsensusMetadata(
                "consenters \(other.id) and \(self.id) have the same identity, so that one node would vote twice"
            )
        }
        guard Set([self.clientKey, self.serverKey]).isDisjoint(with: [other.clientKey, other.serverKey])
        else {
            throw InvalidConsensusMetadata(
                "consenters \(other.id) and \(self.id) share a TLS key; each needs its own"
            )
        }
    }
}

extension ClusterMembership {
    /// The consenters of a BFT channel.
    init(bft consenters: BFTConsenters, configuration: ChannelConfiguration) {
        self.init(
            members: consenters.consenters.map {
                ClusterMember(
                    id: $0.id,
                    endpoint: $0.endpoint,
                    serverKey: $0.serverKey,
                    clientKey: $0.clientKey
                )
            },
            rootsPEM: configuration.ordererTLSRootsPEM
        )
    }
}
