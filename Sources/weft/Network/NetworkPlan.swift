import Foundation

/// What `weft network up` is going to make: which organizations, and where each node listens.
struct NetworkPlan {
    /// An organization with a peer.
    struct Organization {
        /// The name of its group in the channel configuration, of its folder and of its peer.
        var name: String
        var mspID: String
        var domain: String
        var peerEndpoint: String
        /// Where the peer shows metrics and health.
        var peerOperations: String
    }

    /// The name of each organization's node inside the organization.
    static let nodeName = "node0"
    static let ordererName = "orderer"
    /// How far the port of a node's operations service is from the node's own.
    static let operationsDistance = 100
    static let ordererMSPID = "OrdererMSP"
    static let ordererDomain = "orderer.example"
    /// The members of the consortium in the founding case.
    static let organizationNames = ["utility", "auditor", "agency"]

    var folder: String
    var channel: String
    var contracts: [String]
    var ordererEndpoint: String
    /// Where the orderer's channels are joined and removed.
    var administrationEndpoint: String
    var ordererOperations: String
    var organizations: [Organization]

    /// Plans a network.
    ///
    /// - Parameters:
    ///   - folder: The network's folder, absolute.
    ///   - organizations: How many organizations with a peer, 1 to 3.
    ///   - channel: The channel's name.
    ///   - contracts: The built-in contracts to define on it.
    ///   - basePort: The orderer's port; the peers take the next ones, the orderer's administration the one behind them,
    ///     and the operations services those ``operationsDistance`` higher. 0 takes ports that are free.
    /// - Throws: ``Failure`` when a port is taken.
    init(
        folder: String,
        organizations: Int,
        channel: String,
        contracts: [String],
        basePort: Int
    ) throws(Failure) {
        let names = Self.organizationNames.prefix(organizations)
        let ports: [Int]
        if basePort == 0 {
            ports = try LoopbackPorts.free(2 * names.count + 3)
        } else {
            let operations = basePort + Self.operationsDistance
            ports =
                Array(basePort...basePort + names.count + 1) + Array(operations...operations + names.count)
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
        self.ordererEndpoint = "127.0.0.1:\(ports[0])"
        self.administrationEndpoint = "127.0.0.1:\(ports[names.count + 1])"
        let operations = ports.suffix(names.count + 1).map { "127.0.0.1:\($0)" }
        self.ordererOperations = operations[0]
        self.organizations = zip(names, zip(ports.dropFirst(), operations.dropFirst())).map { name, places in
            Organization(
                name: name,
                mspID: name.prefix(1).uppercased() + name.dropFirst() + "MSP",
                domain: "\(name).example",
                peerEndpoint: "127.0.0.1:\(places.0)",
                peerOperations: places.1
            )
        }
    }

    /// The description that goes into the network's folder.
    var description: NetworkDescription {
        var nodes = [
            NetworkDescription.Node(
                name: Self.ordererName,
                role: .orderer,
                mspID: Self.ordererMSPID,
                endpoint: self.ordererEndpoint,
                operations: self.ordererOperations,
                folder: "nodes/\(Self.ordererName)",
                tlsRoots:
                    "organizations/\(Self.ordererName)/orderers/\(Self.nodeName).\(Self.ordererDomain)/tls/ca.crt",
                administration: self.administrationEndpoint
            )
        ]
        var identities: [NetworkDescription.Identity] = []
        for organization in self.organizations {
            nodes.append(
                NetworkDescription.Node(
                    name: organization.name,
                    role: .peer,
                    mspID: organization.mspID,
                    endpoint: organization.peerEndpoint,
                    operations: organization.peerOperations,
                    folder: "nodes/\(organization.name)",
                    tlsRoots:
                        "organizations/\(organization.name)/peers/\(Self.nodeName).\(organization.domain)/tls/ca.crt"
                )
            )
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
