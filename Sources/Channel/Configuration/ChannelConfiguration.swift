package import FabricProtos
import FoundationEssentials
import SwiftProtobuf

/// A channel configuration that was checked, with everything in it ready to be used.
///
/// Values never change: a new configuration is a new object, and everything cached about identities goes
/// with the old one.
///
/// - Source: Fabric v3.1, packages `common/channelconfig` and `common/configtx`.
package final class ChannelConfiguration: Sendable {
    package let channelID: ChannelID
    /// Grows by one with every update.
    package let sequence: UInt64
    package let config: Common_Config
    package let directory: MembershipDirectory
    package let policies: PolicyTree
    package let capabilities: Capabilities
    /// `nil` where the channel has no Orderer group.
    package let orderer: OrdererSettings?
    /// `nil` where the channel has no Application group.
    package let application: ApplicationSettings?
    /// Addresses of the ordering service as a whole, `host:port`; empty since V3_0.
    package let ordererAddresses: [String]
    /// The channel is a system channel of Fabric 1 or 2, which Fabric 3 does not run.
    package let isSystemChannel: Bool

    /// Checks a configuration.
    ///
    /// Unknown capabilities are not refused here, since peers and orderers answer for different levels:
    /// ask ``Capabilities/unsupported(at:)``.
    ///
    /// - Throws: ``ConfigurationError`` naming the first element that breaks a rule.
    package init(channelID: ChannelID, config: Common_Config) throws(ConfigurationError) {
        let root = ConfigurationGroup(path: PolicyTree.root, message: config.channelGroup)
        try root.checkNames()
        try root.expect(
            values: Self.values,
            groups: [ConfigurationKey.orderer, ConfigurationKey.application, ConfigurationKey.consortiums]
        )
        let orderer = root.group(ConfigurationKey.orderer)
        let application = root.group(ConfigurationKey.application)
        try Self.checkCapabilityLevels(root, orderer: orderer, application: application)
        let capabilities = Capabilities(
            channel: try Self.capabilities(root),
            orderer: try Self.capabilities(orderer),
            application: try Self.capabilities(application)
        )
        self.ordererAddresses = try Self.checkChannelValues(root, capabilities)
        var membership = MembershipBuilder(version: capabilities.mspVersion)
        self.orderer = try orderer.map { group throws(ConfigurationError) in
            try OrdererSettings(group, capabilities: capabilities, membership: &membership)
        }
        self.application = try application.map { group throws(ConfigurationError) in
            try ApplicationSettings(group, capabilities: capabilities, membership: &membership)
        }
        let consortiums = root.group(ConfigurationKey.consortiums)
        if let consortiums { try Self.checkConsortiums(consortiums, membership: &membership) }
        self.isSystemChannel = consortiums != nil
        let directory = try membership.directory()
        do {
            self.policies = try PolicyTree(config.channelGroup, directory: directory)
        } catch {
            throw ConfigurationError(path: error.policy, reason: error.reason)
        }
        self.channelID = channelID
        self.sequence = config.sequence
        self.config = config
        self.directory = directory
        self.capabilities = capabilities
    }

    /// Reads the configuration that a config block carries, with the channel it names.
    ///
    /// - Throws: ``ConfigurationError``, also if the block is no config block.
    package convenience init(configBlock: Common_Block) throws(ConfigurationError) {
        let channelID: ChannelID
        let config: Common_Config
        do {
            config = try configBlock.configEnvelope().config
            let envelope = try Common_Envelope(serializedBytes: configBlock.data.data.first ?? .init())
            channelID = try ChannelID(EnvelopeHeaders(envelope).channel.channelID)
        } catch {
            throw ConfigurationError(path: PolicyTree.root, reason: "\(error)")
        }
        try self.init(channelID: channelID, config: config)
    }
}

extension ChannelConfiguration {
    private static let values: Set<String> = [
        ConfigurationKey.hashingAlgorithm, ConfigurationKey.blockDataHashingStructure,
        ConfigurationKey.ordererAddresses, ConfigurationKey.consortium, ConfigurationKey.capabilities,
        ConfigurationKey.orderers,
    ]

    private static func capabilities(_ group: ConfigurationGroup?) throws(ConfigurationError) -> Set<String> {
        let message: Common_Capabilities = try group?.value(ConfigurationKey.capabilities) ?? .init()
        return Set(message.capabilities.keys)
    }

    /// Capabilities begin at the orderer level: a network whose orderers have none may have none elsewhere.
    private static func checkCapabilityLevels(
        _ root: ConfigurationGroup,
        orderer: ConfigurationGroup?,
        application: ConfigurationGroup?
    ) throws(ConfigurationError) {
        let key = ConfigurationKey.capabilities
        guard let orderer, orderer.message.values[key] == nil else { return }
        for group in [root, application] {
            guard let group, group.message.values[key] != nil else { continue }
            throw group.error(
                at: key,
                "capabilities require that the Orderer group has capabilities too; add for example V2_0 there"
            )
        }
    }

    /// Checks the values of the root group and gives back the addresses of orderers.
    private static func checkChannelValues(
        _ root: ConfigurationGroup,
        _ capabilities: Capabilities
    ) throws(ConfigurationError) -> [String] {
        let hashing: Common_HashingAlgorithm = try root.value(ConfigurationKey.hashingAlgorithm)
        guard ["SHA256", "SHA3_256"].contains(hashing.name) else {
            throw root.error(
                at: ConfigurationKey.hashingAlgorithm,
                "\"\(hashing.name)\" is neither SHA256 nor SHA3_256"
            )
        }
        let structure: Common_BlockDataHashingStructure =
            try root.value(ConfigurationKey.blockDataHashingStructure)
        guard structure.width == .max else {
            throw root.error(
                at: ConfigurationKey.blockDataHashingStructure,
                "width is \(structure.width); only \(UInt32.max), no tree, is possible"
            )
        }
        _ = try root.value(ConfigurationKey.consortium, Common_Consortium.self)
        _ = try root.value(ConfigurationKey.orderers, Common_Orderers.self)
        let addresses = try root.value(ConfigurationKey.ordererAddresses, Common_OrdererAddresses.self)
            .addresses
        if capabilities.identifiesBlockSignersByConsenter, !addresses.isEmpty {
            throw root.error(
                at: ConfigurationKey.ordererAddresses,
                "channel capability V3_0 forbids addresses here; list them as Endpoints of the orderer organizations"
            )
        }
        if !capabilities.hasOrganizationEndpoints, addresses.isEmpty {
            throw root.error(
                at: ConfigurationKey.ordererAddresses,
                "at least one address is required without channel capability V1_4_2 or higher"
            )
        }
        return addresses
    }

    private static func checkConsortiums(
        _ group: ConfigurationGroup,
        membership: inout MembershipBuilder
    ) throws(ConfigurationError) {
        try group.expect(values: [], groups: nil)
        for (_, consortium) in group.groups {
            try consortium.expect(values: [ConfigurationKey.channelCreationPolicy], groups: nil)
            for (_, organization) in consortium.groups {
                try organization.expect(values: [ConfigurationKey.msp], groups: [])
                _ = try membership.add(organization)
            }
        }
    }
}

extension ChannelConfiguration {
    /// The certificates, PEM, that TLS certificates of the channel's organizations lead to.
    package var tlsRootsPEM: [String] {
        self.directory.mspIDs.flatMap { id in
            guard let msp = self.directory[id] else { return [String]() }
            return (msp.tlsRootCertificates + msp.tlsIntermediateCertificates)
                .map { String(decoding: $0, as: UTF8.self) }
        }
    }
}
