import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import Peer
import RPC
import SwiftProtobuf

/// Makes everything that a network of `weft network up` consists of before its processes start: identities, the
/// channel's genesis block, and a configuration file for each node.
struct NetworkFiles {
    private let plan: NetworkPlan
    private let now: Date

    init(plan: NetworkPlan, now: Date = Date()) {
        self.plan = plan
        self.now = now
    }

    /// The files of one organization.
    private struct Member {
        var name: String
        var mspID: String
        var isOrderer: Bool
        var nodes: [MemberNode]
        /// The organization's folder.
        var folder: String
    }

    /// The files of one node.
    private struct MemberNode {
        /// The name of its folder below `nodes`.
        var name: String
        /// Its name inside the organization.
        var identity: String
        var endpoint: String
        var operations: String
        /// Where an orderer is administered.
        var administration: String?
        /// The node's own folder, with `msp` and `tls`.
        var files = ""
    }

    /// Writes all files.
    ///
    /// They are made in a folder beside the network's and put into place at the end: an interrupted run leaves no half of
    /// a network behind.
    ///
    /// - Returns: The description of the network, which is also in its folder.
    /// - Throws: ``Failure`` when a file can't be written.
    func write() throws -> NetworkDescription {
        guard !FileManager.default.fileExists(atPath: self.plan.folder) else {
            throw Failure(
                "\(self.plan.folder) exists and holds no network; choose another folder with --folder, or delete it"
            )
        }
        let description = self.plan.description
        do {
            try FileManager.default.createDirectory(
                atPath: self.plan.folder,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw Failure("can't make \(self.plan.folder): \(error.localizedDescription)")
        }
        do {
            let members = try self.makeIdentities()
            let block = self.plan.folder + "/\(self.plan.channel).block"
            try writeNew(self.genesisBlock(members).serializedBytes(), to: block)
            for member in members {
                for node in member.nodes {
                    try self.writeConfiguration(node, of: member, all: members, block: block)
                }
            }
            try description.write()
        } catch {
            try? FileManager.default.removeItem(atPath: self.plan.folder)
            throw error
        }
        return description
    }

    // MARK: - Identities

    private func makeIdentities() throws -> [Member] {
        try FileManager.default.createDirectory(
            atPath: self.plan.folder + "/organizations",
            withIntermediateDirectories: true
        )
        let orderer = try self.makeMember(
            NetworkPlan.ordererName,
            NetworkPlan.ordererMSPID,
            NetworkPlan.ordererDomain,
            self.plan.orderers.map { orderer in
                MemberNode(
                    name: orderer.name,
                    identity: orderer.node,
                    endpoint: orderer.endpoint,
                    operations: orderer.operations,
                    administration: orderer.administration
                )
            },
            role: .orderer
        )
        return try [orderer]
            + self.plan.organizations.map { organization in
                try self.makeMember(
                    organization.name,
                    organization.mspID,
                    organization.domain,
                    organization.peers.map { peer in
                        MemberNode(
                            name: peer.name,
                            identity: peer.node,
                            endpoint: peer.endpoint,
                            operations: peer.operations
                        )
                    },
                    role: .peer
                )
            }
    }

    private func makeMember(
        _ name: String,
        _ mspID: String,
        _ domain: String,
        _ nodes: [MemberNode],
        role: IssueRequest.Role
    ) throws -> Member {
        let folder = self.plan.folder + "/organizations/\(name)"
        let authority = try OrganizationAuthority.create(
            at: folder,
            Organization(domain: domain, mspID: mspID),
            now: self.now
        )
        let hosts = ["localhost", "127.0.0.1"]
        let nodes = try nodes.map { node in
            var node = node
            let request = IssueRequest(name: node.identity, role: role, hosts: hosts)
            node.files = try authority.issue(request, now: self.now).path
            return node
        }
        try authority.issue(IssueRequest(name: "admin", role: .admin), now: self.now)
        if role == .peer { try authority.issue(IssueRequest(name: "user", role: .client), now: self.now) }
        return Member(
            name: name,
            mspID: mspID,
            isOrderer: role == .orderer,
            nodes: nodes,
            folder: folder
        )
    }

    // MARK: - The channel

    /// The orderers, numbered from 1, with what either engine wants to know of them.
    private func consenters(_ members: [Member]) throws -> [Common_Consenter] {
        var consenters: [Common_Consenter] = []
        for member in members where member.isOrderer {
            for node in member.nodes {
                let (host, port) = Self.parts(of: node.endpoint)
                var consenter = Common_Consenter()
                consenter.id = UInt32(consenters.count + 1)
                consenter.host = host
                consenter.port = UInt32(port)
                consenter.mspID = member.mspID
                consenter.identity = try MSPFolder(node.files + "/msp").memberCertificate().pem
                consenter.serverTlsCert = try readBytes(
                    node.files + "/tls/server.crt",
                    as: "the orderer's TLS certificate"
                )
                consenter.clientTlsCert = consenter.serverTlsCert
                consenters.append(consenter)
            }
        }
        return consenters
    }

    private func consensus(_ members: [Member]) throws -> ChannelProfile.Consensus {
        let consenters = try self.consenters(members)
        switch self.plan.consensus {
        case .bft: return .bft(options: .quick, consenters: consenters)
        case .raft:
            var raft = Etcdraft_ConfigMetadata()
            raft.options = .quick
            raft.consenters = consenters.map { consenter in
                .with {
                    $0.host = consenter.host
                    $0.port = consenter.port
                    $0.clientTlsCert = consenter.clientTlsCert
                    $0.serverTlsCert = consenter.serverTlsCert
                }
            }
            return .raft(raft)
        }
    }

    private func genesisBlock(_ members: [Member]) throws -> Common_Block {
        let profile = ChannelProfile(
            orderer: .init(
                consensus: try self.consensus(members),
                organizations: try members.filter(\.isOrderer).map { member in
                    try self.organization(member, policies: .ordererOrganization(member.mspID))
                }
            ),
            application: .init(
                organizations: try members.filter { !$0.isOrderer }.map { member in
                    try self.organization(member, policies: .applicationOrganization(member.mspID))
                }
            )
        )
        return try GenesisBlock.make(
            channelID: ChannelID(self.plan.channel),
            profile: profile,
            nonce: secureRandomBytes(24),
            timestamp: self.now
        )
    }

    private func organization(
        _ member: Member,
        policies: [String: ChannelProfile.PolicyDefinition]
    ) throws -> ChannelProfile.OrganizationProfile {
        return ChannelProfile.OrganizationProfile(
            name: member.name,
            msp: try MSPFolder(member.folder + "/msp").configuration(mspID: MSPID(member.mspID)).config,
            policies: policies,
            ordererEndpoints: member.isOrderer ? member.nodes.map(\.endpoint) : [],
            anchorPeers: member.isOrderer
                ? []
                : member.nodes.prefix(1).map { node in
                    let (host, port) = Self.parts(of: node.endpoint)
                    return ApplicationOrganization.AnchorPeer(host: host, port: port)
                }
        )
    }

    private static func parts(of endpoint: String) -> (host: String, port: Int) {
        let parts = endpoint.split(separator: ":")
        return (parts.first.map(String.init) ?? "", parts.last.flatMap { Int($0) } ?? 0)
    }

    // MARK: - Configuration files

    private func writeConfiguration(
        _ node: MemberNode,
        of member: Member,
        all members: [Member],
        block: String
    ) throws {
        let folder = self.plan.folder + "/nodes/\(node.name)"
        try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let identity = IdentityFiles(mspID: member.mspID, folder: node.files + "/msp")
        let tls = TLSFiles(
            certificate: node.files + "/tls/server.crt",
            key: node.files + "/tls/server.key",
            roots: members.compactMap { $0.nodes.first }.map { $0.files + "/tls/ca.crt" },
            clients: .required
        )
        // On loopback, and read-only but for the level of logs: TLS would only be in the way.
        let operations = OperationsFiles(listen: node.operations, tls: nil)
        let yaml: String
        if let administration = node.administration {
            var configuration = OrdererConfiguration(
                listen: node.endpoint,
                data: folder + "/data",
                identity: identity,
                tls: tls,
                channels: [block],
                admin: AdministrationFiles(
                    listen: administration,
                    tls: TLSFiles(
                        certificate: tls.certificate,
                        key: tls.key,
                        roots: [node.files + "/tls/ca.crt"],
                        clients: .required
                    )
                )
            )
            configuration.operations = operations
            yaml = configuration.yaml
        } else {
            var configuration = PeerConfiguration(
                listen: node.endpoint,
                advertise: node.endpoint,
                data: folder + "/data",
                identity: identity,
                tls: tls,
                channels: [block],
                orderers: [:],
                limits: ConcurrencyLimits(gateway: EndorserService.defaultConcurrency)
            )
            configuration.operations = operations
            yaml = configuration.yaml
        }
        let role = member.isOrderer ? "orderer" : "peer"
        try writeNew(Data(yaml.utf8), to: "\(folder)/\(role).yaml")
    }
}

extension Etcdraft_Options {
    /// Fabric's options with a tick of 100 ms instead of 500: on one machine, or in one data center, a leader that fell
    /// silent is replaced after 1 to 2 s instead of 5 to 10.
    fileprivate static let quick = {
        var options = Etcdraft_Options.fabricDefault
        options.tickInterval = "100ms"
        return options
    }()
}
