package import FabricProtos
import FoundationEssentials
import SwiftProtobuf

/// The name of the policy that guards what a profile writes.
let administrators = "Admins"

/// The policies without which Fabric writes no group of policies.
private let standardPolicies = [administrators, "Readers", "Writers"]

/// A profile that cannot become a channel configuration.
package struct InvalidProfile: Error, Equatable, Sendable, CustomStringConvertible {
    /// The part at fault, as a path of the configuration it would become.
    package var path: String
    /// What is wrong and what would be right, as a clause.
    package var reason: String

    package init(path: String, reason: String) {
        self.path = path
        self.reason = reason
    }

    package var description: String { "invalid channel profile: \(self.path): \(self.reason)" }
}

extension ChannelProfile {
    /// The root group of the configuration that the profile describes: what `configtxgen` writes.
    ///
    /// - Throws: ``InvalidProfile``.
    package func channelGroup() throws(InvalidProfile) -> Common_ConfigGroup {
        var group = GroupEncoder(path: PolicyTree.root)
        try group.add(self.policies, required: standardPolicies)
        try group.set(
            ConfigurationKey.hashingAlgorithm,
            Common_HashingAlgorithm.with { $0.name = "SHA256" }
        )
        try group.set(
            ConfigurationKey.blockDataHashingStructure,
            Common_BlockDataHashingStructure.with { $0.width = .max }
        )
        if let addresses = self.orderer?.addresses, !addresses.isEmpty {
            try group.set(
                ConfigurationKey.ordererAddresses,
                Common_OrdererAddresses.with { $0.addresses = addresses },
                modificationPolicy: ordererAdministrators
            )
        }
        if let consortium {
            try group.set(ConfigurationKey.consortium, Common_Consortium.with { $0.name = consortium })
        }
        try group.add(capabilities: self.capabilities)
        if let orderer {
            group.message.groups[ConfigurationKey.orderer] = try orderer.group()
        }
        if let application {
            group.message.groups[ConfigurationKey.application] = try application.group()
        }
        if let consortiums {
            group.message.groups[ConfigurationKey.consortiums] = try Self.group(of: consortiums)
        }
        return group.message
    }
}

extension ChannelProfile.OrdererProfile {
    fileprivate func group() throws(InvalidProfile) -> Common_ConfigGroup {
        var group = GroupEncoder(path: "\(PolicyTree.root)/\(ConfigurationKey.orderer)")
        try group.add(self.policies, required: standardPolicies + ["BlockValidation"])
        var type = Orderer_ConsensusType()
        switch self.consensus {
        case .raft(let metadata):
            type.type = "etcdraft"
            type.metadata = try group.bytes(metadata)
        case .bft(let options, let consenters):
            type.type = "BFT"
            type.metadata = try group.bytes(options)
            try group.set(
                ConfigurationKey.orderers,
                Common_Orderers.with { $0.consenterMapping = consenters }
            )
            try group.set(policy: "BlockValidation") { try BFTBlockValidation.policy(consenters: consenters) }
        }
        try group.set(ConfigurationKey.consensusType, type)
        try group.set(ConfigurationKey.batchSize, self.batchSize)
        try group.set(
            ConfigurationKey.batchTimeout,
            Orderer_BatchTimeout.with { $0.timeout = GoDuration.text(self.batchTimeout) }
        )
        try group.set(
            ConfigurationKey.channelRestrictions,
            Orderer_ChannelRestrictions.with { $0.maxCount = self.maximumChannels }
        )
        try group.add(capabilities: self.capabilities)
        for organization in self.organizations {
            try group.add(organization) { () throws(InvalidProfile) in try organization.ordererGroup() }
        }
        return group.message
    }
}

extension ChannelProfile.ApplicationProfile {
    fileprivate func group() throws(InvalidProfile) -> Common_ConfigGroup {
        var group = GroupEncoder(path: "\(PolicyTree.root)/\(ConfigurationKey.application)")
        try group.add(self.policies, required: standardPolicies)
        if !self.acls.isEmpty {
            try group.set(
                ConfigurationKey.accessControlLists,
                Protos_ACLs.with {
                    $0.acls = self.acls.mapValues { path in .with { $0.policyRef = path } }
                }
            )
        }
        try group.add(capabilities: self.capabilities)
        for organization in self.organizations {
            try group.add(organization) { () throws(InvalidProfile) in try organization.applicationGroup() }
        }
        return group.message
    }
}

extension ChannelProfile.OrganizationProfile {
    /// The organization's group in the Orderer group, as `configtxgen -printOrg` writes it for an update.
    ///
    /// - Throws: ``InvalidProfile``.
    package func ordererGroup() throws(InvalidProfile) -> Common_ConfigGroup {
        let parent = "\(PolicyTree.root)/\(ConfigurationKey.orderer)"
        var encoder = GroupEncoder(path: "\(parent)/\(self.name)", message: try self.group(in: parent))
        guard self.msp != nil, !self.ordererEndpoints.isEmpty else { return encoder.message }
        try encoder.set(
            ConfigurationKey.endpoints,
            Common_OrdererAddresses.with { $0.addresses = self.ordererEndpoints }
        )
        return encoder.message
    }

    /// The organization's group in the Application group, as `configtxgen -printOrg` writes it for an update.
    ///
    /// - Throws: ``InvalidProfile``.
    package func applicationGroup() throws(InvalidProfile) -> Common_ConfigGroup {
        let parent = "\(PolicyTree.root)/\(ConfigurationKey.application)"
        var encoder = GroupEncoder(path: "\(parent)/\(self.name)", message: try self.group(in: parent))
        guard self.msp != nil, !self.anchorPeers.isEmpty else { return encoder.message }
        try encoder.set(
            ConfigurationKey.anchorPeers,
            Protos_AnchorPeers.with {
                $0.anchorPeers = self.anchorPeers.map { anchor in
                    .with {
                        $0.host = anchor.host
                        $0.port = Int32(clamping: anchor.port)
                    }
                }
            }
        )
        return encoder.message
    }

    /// The organization's group with its MSP and policies: all that stands in every group.
    func group(in parent: String) throws(InvalidProfile) -> Common_ConfigGroup {
        var encoder = GroupEncoder(path: "\(parent)/\(self.name)")
        guard let msp else { return encoder.message }
        try encoder.add(self.policies, required: standardPolicies)
        try encoder.set(ConfigurationKey.msp, msp)
        return encoder.message
    }
}

/// Builds one group.
struct GroupEncoder {
    let path: String
    var message: Common_ConfigGroup

    init(path: String, message: Common_ConfigGroup = .with { $0.modPolicy = administrators }) {
        self.path = path
        self.message = message
    }

    /// The serialized message; equal messages give equal bytes.
    func bytes(_ value: some Message) throws(InvalidProfile) -> Data {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        do {
            return try value.serializedBytes(options: options)
        } catch {
            throw InvalidProfile(path: self.path, reason: "\(error)")
        }
    }

    mutating func set(
        _ key: String,
        _ value: some Message,
        modificationPolicy: String = administrators
    ) throws(InvalidProfile) {
        var entry = Common_ConfigValue()
        entry.value = try self.bytes(value)
        entry.modPolicy = modificationPolicy
        self.message.values[key] = entry
    }

    mutating func set(policy name: String, _ policy: () throws -> Common_Policy) throws(InvalidProfile) {
        var entry = Common_ConfigPolicy()
        entry.modPolicy = administrators
        do {
            entry.policy = try policy()
        } catch {
            throw InvalidProfile(path: "\(self.path)/\(name)", reason: "\(error)")
        }
        self.message.policies[name] = entry
    }

    mutating func add(
        _ policies: [String: ChannelProfile.PolicyDefinition],
        required: [String]
    ) throws(InvalidProfile) {
        for name in required where policies[name] == nil {
            throw InvalidProfile(
                path: self.path,
                reason: "the policy \(name) is missing; define it under Policies"
            )
        }
        for (name, definition) in policies.sorted(by: { $0.key < $1.key }) {
            try self.set(policy: name) {
                switch definition {
                case .signature(let text): try PolicyExpression.parse(text).policy()
                case .implicitMeta(let text): try ImplicitMetaRule(parsing: text).policy()
                }
            }
        }
    }

    mutating func add(capabilities: [String]) throws(InvalidProfile) {
        guard !capabilities.isEmpty else { return }
        try self.set(
            ConfigurationKey.capabilities,
            Common_Capabilities.with {
                for name in capabilities { $0.capabilities[name] = Common_Capability() }
            }
        )
    }

    mutating func add(
        _ organization: ChannelProfile.OrganizationProfile,
        _ encode: () throws(InvalidProfile) -> Common_ConfigGroup
    ) throws(InvalidProfile) {
        if let fault = ConfigurationName.fault(of: organization.name) {
            throw InvalidProfile(path: "\(self.path)/\(organization.name)", reason: fault)
        }
        guard self.message.groups[organization.name] == nil else {
            throw InvalidProfile(path: "\(self.path)/\(organization.name)", reason: "it is listed twice")
        }
        self.message.groups[organization.name] = try encode()
    }
}
