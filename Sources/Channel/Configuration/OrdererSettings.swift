package import FabricProtos
package import FoundationEssentials
import SwiftProtobuf

/// The Orderer group of a channel configuration.
package struct OrdererSettings: Sendable {
    /// `etcdraft` or `BFT`.
    package let consensusType: String
    /// Serialized `etcdraft.ConfigMetadata` or `orderer.smartbft.Options`.
    package let consensusMetadata: Data
    /// Normal traffic is refused while the consensus type is being changed.
    package let isMaintenance: Bool
    package let batch: BatchSettings
    /// The longest wait before a block is cut.
    package let batchTimeout: Duration
    /// How many channels the ordering service may carry.
    ///
    /// 0 is no limit. Fabric 3 does not enforce it.
    package let maximumChannels: UInt64
    /// By name of the group.
    package let organizations: [OrdererOrganization]
    /// The consenters of a BFT channel, in the order of the block validation policy; empty for Raft.
    package let consenters: [Common_Consenter]

    /// Bounds of a block.
    package struct BatchSettings: Equatable, Sendable {
        /// At least 1.
        package let maxMessageCount: Int
        /// Bytes of one envelope; at least 1.
        package let absoluteMaxBytes: Int
        /// Bytes of a block's envelopes, unless a single one is larger.
        package let preferredMaxBytes: Int
    }
}

/// An organization that runs orderers.
package struct OrdererOrganization: Equatable, Sendable {
    /// The name of its group, which need not be its MSP identifier.
    package let name: String
    package let mspID: MSPID
    /// `host:port`.
    package let endpoints: [String]
}

extension OrdererSettings {
    private static let values: Set<String> = [
        ConfigurationKey.consensusType, ConfigurationKey.batchSize, ConfigurationKey.batchTimeout,
        ConfigurationKey.channelRestrictions, ConfigurationKey.capabilities, ConfigurationKey.orderers,
        ConfigurationKey.kafkaBrokers,
    ]

    init(
        _ group: ConfigurationGroup,
        capabilities: Capabilities,
        membership: inout MembershipBuilder
    ) throws(ConfigurationError) {
        try group.expect(values: Self.values, groups: nil)
        let consensus: Orderer_ConsensusType = try group.value(ConfigurationKey.consensusType)
        self.consensusType = consensus.type
        self.consensusMetadata = consensus.metadata
        self.isMaintenance = consensus.state == .maintenance
        self.batch = try BatchSettings(group)
        let timeout: Orderer_BatchTimeout = try group.value(ConfigurationKey.batchTimeout)
        guard let duration = GoDuration.parse(timeout.timeout), duration > .zero else {
            throw group.error(
                at: ConfigurationKey.batchTimeout,
                "\"\(timeout.timeout)\" is no duration above zero such as \"2s\" or \"500ms\""
            )
        }
        self.batchTimeout = duration
        let restrictions: Orderer_ChannelRestrictions = try group.value(ConfigurationKey.channelRestrictions)
        self.maximumChannels = restrictions.maxCount
        let orderers: Common_Orderers = try group.value(ConfigurationKey.orderers)
        self.consenters = orderers.consenterMapping
        var organizations: [OrdererOrganization] = []
        for (name, child) in group.groups {
            try child.expect(values: [ConfigurationKey.msp, ConfigurationKey.endpoints], groups: [])
            let endpoints: Common_OrdererAddresses = try child.value(ConfigurationKey.endpoints)
            let organization = OrdererOrganization(
                name: name,
                mspID: try membership.add(child),
                endpoints: endpoints.addresses
            )
            try organization.checkEndpoints(child, capabilities)
            organizations.append(organization)
        }
        self.organizations = organizations
    }
}

extension OrdererOrganization {
    fileprivate func checkEndpoints(
        _ group: ConfigurationGroup,
        _ capabilities: Capabilities
    ) throws(ConfigurationError) {
        if capabilities.identifiesBlockSignersByConsenter, self.endpoints.isEmpty {
            throw group.error(
                at: ConfigurationKey.endpoints,
                "channel capability V3_0 requires at least one endpoint of every orderer organization"
            )
        }
        if !capabilities.hasOrganizationEndpoints, !self.endpoints.isEmpty {
            throw group.error(
                at: ConfigurationKey.endpoints,
                "endpoints of an organization require channel capability V1_4_2 or higher"
            )
        }
    }
}

extension OrdererSettings.BatchSettings {
    fileprivate init(_ group: ConfigurationGroup) throws(ConfigurationError) {
        let size: Orderer_BatchSize = try group.value(ConfigurationKey.batchSize)
        let fields = [
            ("max_message_count", size.maxMessageCount), ("absolute_max_bytes", size.absoluteMaxBytes),
            ("preferred_max_bytes", size.preferredMaxBytes),
        ]
        for (name, value) in fields where value == 0 {
            throw group.error(at: ConfigurationKey.batchSize, "\(name) is 0; it must be at least 1")
        }
        guard size.preferredMaxBytes <= size.absoluteMaxBytes else {
            throw group.error(
                at: ConfigurationKey.batchSize,
                "preferred_max_bytes (\(size.preferredMaxBytes)) is above absolute_max_bytes "
                    + "(\(size.absoluteMaxBytes))"
            )
        }
        self.maxMessageCount = Int(size.maxMessageCount)
        self.absoluteMaxBytes = Int(size.absoluteMaxBytes)
        self.preferredMaxBytes = Int(size.preferredMaxBytes)
    }
}
