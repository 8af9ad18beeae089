import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import Logging
import Orderer
import Peer
import RPC
import ServiceLifecycle
import SwiftProtobuf
import WeftClient

/// A consortium of one orderer and a peer for each of three organizations, in one process, over mutual TLS on
/// loopback, with identities made for the test.
final class TestConsortium: Sendable {
    static let organizations = ["Utility", "Auditor", "Agency"]

    let folder: String
    let channelID: ChannelID
    let orderer: OrdererNode
    let peers: [String: Peer.PeerNode]
    let ordererPort: Int
    private let authorities: [String: OrganizationAuthority]

    /// One member: its enrollment, and its certificate for TLS.
    struct Member: Sendable {
        let identity: SigningIdentity
        let tls: TLSIdentity
    }

    /// - Parameters:
    ///   - channel: the channel's name.
    ///   - logger: where the nodes log to.
    ///   - contracts: what the peers have built in besides the usual contracts.
    ///   - prepare: changes what the authorities say before the channel is made.
    /// - Throws: what making identities and nodes throws.
    init(
        channel: String = "emissions",
        logger: Logger = TestConsortium.logger,
        contracts: [String: any Contract] = [:],
        prepare: ([String: OrganizationAuthority]) throws -> Void = { _ in }
    ) throws {
        let folder = NSTemporaryDirectory() + "weft-consortium-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        self.folder = folder
        self.channelID = try ChannelID(channel)
        var authorities: [String: OrganizationAuthority] = [:]
        for name in Self.organizations + ["Orderer"] {
            authorities[name] = try OrganizationAuthority.create(
                at: "\(folder)/\(name)",
                Organization(domain: "\(name.lowercased()).example.com", mspID: "\(name)MSP"),
                now: Date()
            )
        }
        try prepare(authorities)
        self.authorities = authorities
        self.ordererPort = try Self.freePort()

        var peers: [String: Peer.PeerNode] = [:]
        for name in Self.organizations {
            let member = try Self.issue("peer0", .peer, by: authorities[name])
            var configuration = PeerNodeConfiguration(
                listenAddress: "127.0.0.1:0",
                tls: ServerTLS(
                    identity: member.tls,
                    clientRootsPEM: try Self.roots(authorities),
                    clientCertificates: .required
                ),
                clientTLSIdentity: member.tls,
                identity: member.identity,
                localMSP: try Self.msp(of: name, authorities[name]),
                dataFolder: "\(folder)/data/\(name)"
            )
            configuration.builtInContracts.merge(contracts) { $1 }
            peers[name] = try Peer.PeerNode(configuration: configuration, logger: logger)
        }
        self.peers = peers

        let member = try Self.issue("orderer0", .orderer, by: authorities["Orderer"])
        var configuration = OrdererNodeConfiguration(
            listenAddress: "127.0.0.1:\(self.ordererPort)",
            tls: ServerTLS(
                identity: member.tls,
                clientRootsPEM: try Self.roots(authorities),
                clientCertificates: .required
            ),
            identity: member.identity,
            dataFolder: "\(folder)/data/orderer"
        )
        let genesis = try Self.genesis(
            self.channelID,
            authorities,
            ports: peers.mapValues(\.boundPort),
            orderer: (self.ordererPort, member.tls)
        )
        configuration.genesisBlocks = [genesis]
        self.orderer = try OrdererNode(configuration: configuration, logger: logger)
        for peer in peers.values { try peer.channels.join(genesis) }
    }

    deinit { try? FileManager.default.removeItem(atPath: self.folder) }

    /// Runs all nodes while `body` runs, and shuts them down gracefully.
    ///
    /// - Parameters:
    ///   - others: What else runs.
    ///   - body: Calls the nodes.
    /// - Throws: what `body` or a node throws.
    func run(
        beside others: [any Service] = [],
        _ body: @Sendable () async throws -> Void
    ) async throws {
        let services: [any Service] = others + [self.orderer] + Array(self.peers.values)
        let group = ServiceGroup(services: services, logger: Self.logger)
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            try await body()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    func channel(of organization: String) throws -> PeerChannel {
        guard let channel = self.peers[organization]?.channels[self.channelID] else {
            throw Missing(what: "channel of \(organization)")
        }
        return channel
    }

    /// Connects a new client or administrator of an organization to its peer.
    func connect<Value: Sendable>(
        as name: String,
        _ role: IssueRequest.Role,
        of organization: String,
        _ body: @Sendable (Connection, ClientIdentity) async throws -> Value
    ) async throws -> Value {
        guard let authority = self.authorities[organization], let peer = self.peers[organization] else {
            throw Missing(what: organization)
        }
        let issued = try authority.issue(IssueRequest(name: name, role: role), now: Date())
        let security = try ConnectionSecurity(
            roots: Self.file("\(issued.path)/tls/ca.crt"),
            clientCertificate: Self.file("\(issued.path)/tls/client.crt"),
            clientKey: Self.file("\(issued.path)/tls/client.key")
        )
        let identity = try ClientIdentity(
            mspID: "\(organization)MSP",
            certificate: issued.enrollment.pem,
            privateKey: Self.file("\(issued.path)/msp/keystore/priv_sk")
        )
        return try await withConnection(to: Endpoint("localhost:\(peer.boundPort)"), security: security) {
            try await body($0, identity)
        }
    }

    /// Connects a new client of an organization to the orderer.
    func connectToOrderer<Value: Sendable>(
        as name: String,
        of organization: String,
        _ body: @Sendable (Connection) async throws -> Value
    ) async throws -> Value {
        guard let authority = self.authorities[organization], let orderer = self.authorities["Orderer"] else {
            throw Missing(what: organization)
        }
        let issued = try authority.issue(IssueRequest(name: name, role: .client), now: Date())
        let security = try ConnectionSecurity(
            roots: Data(Self.roots(["Orderer": orderer]).utf8),
            clientCertificate: Self.file("\(issued.path)/tls/client.crt"),
            clientKey: Self.file("\(issued.path)/tls/client.key")
        )
        return try await withConnection(
            to: Endpoint("localhost:\(self.ordererPort)"),
            security: security,
            body
        )
    }

    /// Has every organization approve a contract that is built in, and commits its first definition.
    ///
    /// - Parameter contract: the contract's name.
    /// - Throws: what the gateways say.
    func define(_ contract: String) async throws {
        for organization in Self.organizations {
            let arguments: Data = try Lifecycle_ApproveChaincodeDefinitionForMyOrgArgs.with {
                $0.sequence = 1
                $0.name = contract
                $0.version = "1.0"
            }.serializedBytes()
            try await self.submit(
                "ApproveChaincodeDefinitionForMyOrg",
                arguments,
                as: "Admin",
                of: organization,
                endorsedBy: ["\(organization)MSP"]
            )
        }
        let arguments: Data = try Lifecycle_CommitChaincodeDefinitionArgs.with {
            $0.sequence = 1
            $0.name = contract
            $0.version = "1.0"
        }.serializedBytes()
        try await self.submit(
            "CommitChaincodeDefinition",
            arguments,
            as: "Officer",
            of: "Utility",
            endorsedBy: ["UtilityMSP", "AuditorMSP"]
        )
    }

    private func submit(
        _ function: String,
        _ arguments: Data,
        as name: String,
        of organization: String,
        endorsedBy organizations: [String]
    ) async throws {
        try await self.connect(as: name, .admin, of: organization) { connection, identity in
            _ = try await connection.gateway(channel: self.channelID.description, as: identity).submit(
                Invocation(
                    contract: "_lifecycle",
                    arguments: [Data(function.utf8), arguments],
                    organizations: organizations
                )
            )
        }
    }

    struct Missing: Error {
        var what: String
    }

    static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
}

// MARK: - Identities and configuration

extension TestConsortium {
    private static func file(_ path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: path))
    }

    private static func issue(
        _ name: String,
        _ role: IssueRequest.Role,
        by authority: OrganizationAuthority?
    ) throws -> Member {
        guard let authority else { throw Missing(what: "authority of \(name)") }
        let issued = try authority.issue(
            IssueRequest(name: name, role: role, hosts: ["localhost", "127.0.0.1"]),
            now: Date()
        )
        let folder = MSPFolder("\(issued.path)/msp")
        return Member(
            identity: try folder.signingIdentity(mspID: MSPID(authority.organization.mspID)),
            tls: TLSIdentity(
                certificateChainPEM: try Self.text("\(issued.path)/tls/server.crt"),
                privateKeyPEM: try Self.text("\(issued.path)/tls/server.key")
            )
        )
    }

    private static func text(_ path: String) throws -> String {
        String(decoding: try Self.file(path), as: UTF8.self)
    }

    private static func msp(of name: String, _ authority: OrganizationAuthority?) throws -> Msp_MSPConfig {
        guard let authority else { throw Missing(what: "authority of \(name)") }
        return try MSPFolder("\(authority.path)/msp").configuration(mspID: MSPID("\(name)MSP")).config
    }

    /// The TLS authorities of all organizations.
    private static func roots(_ authorities: [String: OrganizationAuthority]) throws -> String {
        try authorities.values.map { authority in
            let folder = "\(authority.path)/msp/tlscacerts"
            return try FileManager.default.contentsOfDirectory(atPath: folder)
                .map { try Self.text("\(folder)/\($0)") }
                .joined(separator: "\n")
        }.joined(separator: "\n")
    }

    private static func genesis(
        _ channelID: ChannelID,
        _ authorities: [String: OrganizationAuthority],
        ports: [String: Int],
        orderer: (port: Int, tls: TLSIdentity)
    ) throws -> Common_Block {
        var consenter = Etcdraft_Consenter()
        consenter.host = "localhost"
        consenter.port = UInt32(orderer.port)
        consenter.clientTlsCert = Data(orderer.tls.certificateChainPEM.utf8)
        consenter.serverTlsCert = Data(orderer.tls.certificateChainPEM.utf8)
        var raft = Etcdraft_ConfigMetadata()
        raft.consenters = [consenter]
        raft.options = .fabricDefault
        let profile = ChannelProfile(
            orderer: .init(
                consensus: .raft(raft),
                organizations: [
                    .init(
                        name: "Orderer",
                        msp: try Self.msp(of: "Orderer", authorities["Orderer"]),
                        policies: .ordererOrganization("OrdererMSP"),
                        ordererEndpoints: ["localhost:\(orderer.port)"]
                    )
                ]
            ),
            application: .init(
                organizations: try Self.organizations.map { name in
                    .init(
                        name: name,
                        msp: try Self.msp(of: name, authorities[name]),
                        policies: .applicationOrganization("\(name)MSP"),
                        anchorPeers: [.init(host: "localhost", port: ports[name] ?? 0)]
                    )
                }
            )
        )
        return try GenesisBlock.make(
            channelID: channelID,
            profile: profile,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
    }

    /// A port that nothing listened on a moment ago: the genesis block must name the orderer's.
    private static func freePort() throws -> Int {
        try CoreServerTransport(listeningOn: "127.0.0.1:0").boundPort
    }
}
