import Foundation
import Peer

/// What `weft network up` is going to make: which organizations, and where each node listens.
struct NetworkPlan {
    /// An organization with peers.
    struct Organization {
        /// The name of its group in the channel configuration, of its folder and of its first peer.
        var name: String
        var mspID: String
        var domain: String
        /// The first one is its anchor peer.
        var peers: [Peer]
    }

    /// A peer.
    struct Peer {
        /// The name of its folder.
        var name: String
        /// The name of its identity inside the organization.
        var node: String
        var endpoint: String
        /// Where it shows metrics and health.
        var operations: String
    }

    /// A node of the ordering service.
    struct Orderer {
        /// The name of its folder.
        var name: String
        /// The name of its identity inside the organization.
        var node: String
        var endpoint: String
        /// Where its channels are joined and removed.
        var administration: String
        /// Where it shows metrics and health.
        var operations: String
    }

    static let ordererName = "orderer"
    /// How far the port of a node's operations service is from the node's own.
    static let operationsDistance = 100
    static let ordererMSPID = "OrdererMSP"
    static let ordererDomain = "orderer.example"
    /// The members of the consortium in the founding case.
    static let organizationNames = ["utility", "auditor", "agency"]
    /// The contracts that peers have without a package.
    static let builtInContracts = ContractCatalog.standardBuiltIns.keys.sorted()

    /// How the orderers agree.
    enum Consensus { case raft, bft }

    var folder: String
    var channel: String
    var contracts: [String]
    var consensus: Consensus
    var orderers: [Orderer]
    var organizations: [Organization]

    /// Plans a network.
    ///
    /// - Parameters:
    ///   - folder: The network's folder, absolute.
    ///   - organizations: How many organizations with peers, 1 to 3.
    ///   - peers: How many peers each of them has, at least 1.
    ///   - orderers: How many consenters the ordering service has, at least 1.
    ///   - consensus: How they agree.
    ///   - channel: The channel's name.
    ///   - contracts: The built-in contracts to define on it.
    ///   - basePort: The first orderer's port; the organizations' first peers take the next ones, that orderer's
    ///     administration the one behind them, then further orderers two each, for themselves and for their administration,
    ///     then further peers; the operations services take those ``operationsDistance`` higher. 0 takes ports that are
    ///     free.
    /// - Throws: ``Failure`` when a port is taken.
    init(
        folder: String,
        organizations: Int,
        peers: Int = 1,
        orderers: Int = 1,
        consensus: Consensus = .raft,
        channel: String,
        contracts: [String],
        basePort: Int
    ) throws(Failure) {
        let names = Self.organizationNames.prefix(organizations)
        // Endpoints of the first orderer, the first peers, its administration, the further orderers, the further peers.
        let more = names.count * (peers - 1)
        let count = names.count + 2 * orderers + more
        let ports: [Int]
        if basePort == 0 {
            ports = try LoopbackPorts.free(count + names.count + orderers + more)
        } else {
            let operations = basePort + Self.operationsDistance
            ports =
                Array(basePort..<basePort + count)
                + Array(operations..<operations + names.count + orderers + more)
            for port in ports where !LoopbackPorts.isFree(port) {
                throw Failure(
                    """
                    port \(port) on 127.0.0.1 is in use by another process; stop it, or choose other ports with \
                    --base-port (0 takes any that are free)
                    """
                )
            }
        }
        self.folder = folder
        self.channel = channel
        self.contracts = contracts
        self.consensus = consensus
        let endpoints = ports.prefix(count).map { "127.0.0.1:\($0)" }
        let operations = ports.dropFirst(count).map { "127.0.0.1:\($0)" }
        self.orderers = (0..<orderers).map { index in
            let place = index == 0 ? 0 : names.count + 2 * index
            return Orderer(
                name: index == 0 ? Self.ordererName : "\(Self.ordererName)\(index)",
                node: "node\(index)",
                endpoint: endpoints[place],
                administration: endpoints[index == 0 ? names.count + 1 : place + 1],
                operations: operations[index == 0 ? 0 : names.count + index]
            )
        }
        self.organizations = names.enumerated().map { position, name in
            Organization(
                name: name,
                mspID: name.prefix(1).uppercased() + name.dropFirst() + "MSP",
                domain: "\(name).example",
                peers: (0..<peers).map { index in
                    let behind = (index - 1) * names.count + position
                    return Peer(
                        name: index == 0 ? name : "\(name)\(index)",
                        node: "node\(index)",
                        endpoint: endpoints[index == 0 ? position + 1 : count - more + behind],
                        operations: operations[index == 0 ? position + 1 : names.count + orderers + behind]
                    )
                }
            )
        }
    }

    /// The description that goes into the network's folder.
    var description: NetworkDescription {
        var nodes = self.orderers.map { orderer in
            NetworkDescription.Node(
                name: orderer.name,
                role: .orderer,
                mspID: Self.ordererMSPID,
                endpoint: orderer.endpoint,
                operations: orderer.operations,
                folder: "nodes/\(orderer.name)",
                tlsRoots:
                    "organizations/\(Self.ordererName)/orderers/\(orderer.node).\(Self.ordererDomain)/tls/ca.crt",
                administration: orderer.administration
            )
        }
        var identities: [NetworkDescription.Identity] = []
        for organization in self.organizations {
            nodes += organization.peers.map { peer in
                NetworkDescription.Node(
                    name: peer.name,
                    role: .peer,
                    mspID: organization.mspID,
                    endpoint: peer.endpoint,
                    operations: peer.operations,
                    folder: "nodes/\(peer.name)",
                    tlsRoots:
                        "organizations/\(organization.name)/peers/\(peer.node).\(organization.domain)/tls/ca.crt"
                )
            }
            for user in ["user", "admin"] {
                let folder = "organizations/\(organization.name)/users/\(user)@\(organization.domain)"
                identities.append(
                    NetworkDescription.Identity(
                        name: "\(organization.name)/\(user)",
                        mspID: organization.mspID,
                        msp: folder + "/msp",
                        tlsCertificate: folder + "/tls/client.crt",
                        tlsKey: folder + "/tls/client.key"
                    )
                )
            }
        }
        return NetworkDescription(
            folder: self.folder,
            channel: self.channel,
            contracts: self.contracts,
            nodes: nodes,
            identities: identities
        )
    }
}
