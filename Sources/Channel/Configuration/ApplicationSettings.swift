import FabricProtos
import SwiftProtobuf

/// The Application group of a channel configuration.
package struct ApplicationSettings: Sendable {
    /// By name of the group.
    package let organizations: [ApplicationOrganization]
    /// Policies by resource name, as written in the configuration.
    package let acls: [String: String]
}

/// An organization that runs peers and clients.
package struct ApplicationOrganization: Equatable, Sendable {
    /// The name of its group, which need not be its MSP identifier.
    package let name: String
    package let mspID: MSPID
    /// Peers that other organizations may reach.
    package let anchorPeers: [AnchorPeer]

    package struct AnchorPeer: Hashable, Sendable {
        package let host: String
        package let port: Int

        package init(host: String, port: Int) {
            self.host = host
            self.port = port
        }
    }
}

extension ApplicationSettings {
    init(
        _ group: ConfigurationGroup,
        capabilities: Capabilities,
        membership: inout MembershipBuilder
    ) throws(ConfigurationError) {
        try group.expect(
            values: [ConfigurationKey.accessControlLists, ConfigurationKey.capabilities],
            groups: nil
        )
        let lists: Protos_ACLs = try group.value(ConfigurationKey.accessControlLists)
        guard lists.acls.isEmpty || capabilities.allowsAccessControlLists else {
            throw group.error(
                at: ConfigurationKey.accessControlLists,
                "access control lists require application capability V1_2 or higher"
            )
        }
        self.acls = lists.acls.mapValues(\.policyRef)
        var organizations: [ApplicationOrganization] = []
        for (name, child) in group.groups {
            try child.expect(values: [ConfigurationKey.msp, ConfigurationKey.anchorPeers], groups: [])
            let anchors: Protos_AnchorPeers = try child.value(ConfigurationKey.anchorPeers)
            organizations.append(
                ApplicationOrganization(
                    name: name,
                    mspID: try membership.add(child),
                    anchorPeers: anchors.anchorPeers.map { .init(host: $0.host, port: Int($0.port)) }
                )
            )
        }
        self.organizations = organizations
    }
}
