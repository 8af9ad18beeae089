/// Who may use a resource of a peer.
package enum ACLRule: Equatable, Sendable {
    /// Signers must satisfy the policy at this path of the channel configuration.
    case channel(path: String)
    /// Administrators of the peer's own organization.
    case localAdmins
    /// Members of the peer's own organization.
    case localMembers
    /// Nobody: the resource has no rule.
    case unmapped
}

/// The rules that hold where a channel says nothing else.
///
/// - Source: Fabric v3.1, package `core/aclmgmt`, default policies by resource.
enum DefaultAccessControlList {
    /// Rules that a channel cannot change.
    static let local: [String: ACLRule] = [
        "_lifecycle/InstallChaincode": .localAdmins,
        // Weft's own: Fabric's peers have no such function.
        "_lifecycle/UninstallChaincode": .localAdmins,
        "_lifecycle/QueryInstalledChaincode": .localAdmins,
        "_lifecycle/GetInstalledChaincodePackage": .localAdmins,
        "_lifecycle/QueryInstalledChaincodes": .localAdmins,
        "_lifecycle/ApproveChaincodeDefinitionForMyOrg": .localAdmins,
        "_lifecycle/QueryApprovedChaincodeDefinition": .localAdmins,
        "_lifecycle/QueryApprovedChaincodeDefinitions": .localAdmins,
        "snapshot/submitrequest": .localAdmins,
        "snapshot/cancelrequest": .localAdmins,
        "snapshot/listpending": .localAdmins,
        "lscc/Install": .localAdmins,
        "lscc/GetInstalledChaincodes": .localAdmins,
        "cscc/JoinChain": .localAdmins,
        "cscc/JoinChainBySnapshot": .localAdmins,
        "cscc/JoinBySnapshotStatus": .localAdmins,
        "cscc/GetChannels": .localMembers,
        "discovery/LocalPeers": .localAdmins,
        "discovery/LocalPeersForMembers": .localMembers,
    ]

    /// Paths of policies, for resources that a channel may map otherwise.
    static let channel: [String: String] = [
        "_lifecycle/CommitChaincodeDefinition": Self.writers,
        "_lifecycle/QueryChaincodeDefinition": Self.writers,
        "_lifecycle/QueryChaincodeDefinitions": Self.writers,
        "_lifecycle/CheckCommitReadiness": Self.writers,
        "lscc/ChaincodeExists": Self.readers,
        "lscc/GetDeploymentSpec": Self.readers,
        "lscc/GetChaincodeData": Self.readers,
        "lscc/GetInstantiatedChaincodes": Self.readers,
        "lscc/GetCollectionsConfig": Self.readers,
        "qscc/GetChainInfo": Self.readers,
        "qscc/GetBlockByNumber": Self.readers,
        "qscc/GetBlockByHash": Self.readers,
        "qscc/GetTransactionByID": Self.readers,
        "qscc/GetBlockByTxID": Self.readers,
        "cscc/GetConfigBlock": Self.readers,
        "cscc/GetChannelConfig": Self.readers,
        "peer/Propose": Self.writers,
        "peer/ChaincodeToChaincode": Self.writers,
        "event/Block": Self.readers,
        "event/FilteredBlock": Self.readers,
        "gateway/CommitStatus": Self.readers,
        "gateway/ChaincodeEvents": Self.readers,
        "discovery/Discover": Self.writers,
    ]

    private static let readers = "/Channel/Application/Readers"
    private static let writers = "/Channel/Application/Writers"
}

extension ACLRule {
    /// The rule of a resource where no channel is concerned: for resources of the peer as a whole.
    package static func local(forResource resource: String) -> ACLRule? {
        DefaultAccessControlList.local[resource]
    }
}

extension ChannelConfiguration {
    /// The rule of a resource such as `qscc/GetChainInfo` on this channel.
    ///
    /// A name without a leading `/` in the configuration means a policy of the Application group.
    package func policyPath(forResource resource: String) -> ACLRule {
        if let rule = DefaultAccessControlList.local[resource] { return rule }
        if let name = self.application?.acls[resource], !name.isEmpty {
            return .channel(path: name.hasPrefix("/") ? name : "/Channel/Application/\(name)")
        }
        return DefaultAccessControlList.channel[resource].map { .channel(path: $0) } ?? .unmapped
    }
}
