internal import Channel
internal import Consensus
internal import Cryptography
internal import Foundation

/// A consenter of a channel, as the others reach it and recognize it.
struct ClusterMember: Hashable, Sendable {
    let id: NodeID
    /// `host:port`.
    let endpoint: String
    /// The key of the certificate that it shows as a server.
    let serverKey: PublicKey
    /// The key of the certificate that it shows as a client.
    let clientKey: PublicKey
}

/// The consenters of a channel under one configuration, with their identifiers.
///
/// A certificate may be renewed without a configuration update as long as its key stays, so keys are compared and not
/// certificates.
///
/// Source: Fabric v3.1, package `orderer/common/cluster`.
struct ClusterMembership: Equatable, Sendable {
    let members: [ClusterMember]
    /// The authorities, PEM, that the consenters' TLS certificates come from.
    let rootsPEM: String

    init(members: [ClusterMember], rootsPEM: String) {
        self.members = members
        self.rootsPEM = rootsPEM
    }

    /// - Throws: ``InvalidConsensusMetadata`` for a certificate that can't be read, or if `identifiers` are not as many as
    ///   there are consenters.
    init(
        _ consenters: RaftConsenters,
        identifiers: [NodeID],
        configuration: ChannelConfiguration
    ) throws(InvalidConsensusMetadata) {
        guard identifiers.count == consenters.count else {
            throw InvalidConsensusMetadata(
                "the newest block names \(identifiers.count) consenters, its configuration \(consenters.count)"
            )
        }
        var members: [ClusterMember] = []
        for (index, id) in identifiers.enumerated() {
            members.append(
                ClusterMember(
                    id: id,
                    endpoint: consenters.endpoints[index],
                    serverKey: try Self.key(consenters.serverCertificates[index], "server"),
                    clientKey: try Self.key(consenters.certificates[index], "client")
                )
            )
        }
        self.members = members
        self.rootsPEM = configuration.ordererTLSRootsPEM
    }

    private static func key(_ pem: Data, _ kind: String) throws(InvalidConsensusMetadata) -> PublicKey {
        do {
            return try Certificate(pem: pem).publicKey
        } catch {
            throw InvalidConsensusMetadata(
                "the tls \(kind) certificate of a consenter can't be read: \(error)"
            )
        }
    }

    /// The consenter that shows a certificate with this key as a client.
    func member(clientKey: PublicKey) -> ClusterMember? { self.members.first { $0.clientKey == clientKey } }

    func member(_ id: NodeID) -> ClusterMember? { self.members.first { $0.id == id } }

    /// Who of them is the node whose TLS server certificate has this key; a node without TLS can only be alone.
    func own(_ serverKey: PublicKey?) -> NodeID? {
        guard let serverKey else { return self.members.count == 1 ? self.members.first?.id : nil }
        return self.members.first { $0.serverKey == serverKey }?.id
    }
}

extension RaftConsenters {
    /// Whether the node whose TLS server certificate has this key is one of the consenters.
    func contains(_ serverKey: PublicKey?) -> Bool {
        guard let serverKey else { return self.count == 1 }
        return self.serverCertificates.contains { (try? Certificate(pem: $0))?.publicKey == serverKey }
    }
}

extension ChannelConfiguration {
    /// The certificates, PEM, that TLS certificates of the organizations of orderers lead to.
    var ordererTLSRootsPEM: String {
        let organizations = self.orderer?.organizations ?? []
        return Set(organizations.map(\.mspID)).sorted().compactMap { self.directory[$0] }
            .flatMap { $0.tlsRootCertificates + $0.tlsIntermediateCertificates }
            .map { String(decoding: $0, as: UTF8.self) }
            .joined(separator: "\n")
    }
}
