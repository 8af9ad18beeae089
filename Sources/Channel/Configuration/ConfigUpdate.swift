package import FabricProtos
import FoundationEssentials
import SwiftProtobuf

/// A configuration update that may not be made.
package struct ConfigUpdateError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The element at fault, such as `value /Channel/Orderer/BatchSize`; `nil` if it is the update as a whole.
    package var element: String?
    /// What is wrong, as a clause.
    package var reason: String
    /// The policy that the signatures do not satisfy, where that is the reason.
    package var failure: PolicyFailure?

    package init(element: String? = nil, reason: String, failure: PolicyFailure? = nil) {
        self.element = element
        self.reason = reason
        self.failure = failure
    }

    package var description: String {
        "configuration update refused: \(self.element.map { "\($0): " } ?? "")\(self.reason)"
    }
}

extension ChannelConfiguration {
    /// The configuration after an update, if its signatures allow it.
    ///
    /// The read set must name versions as they are; what the write set changes must have the next version, and
    /// signatures that satisfy the policy in force of each changed element. New elements need no policy of
    /// their own: the group they join is changed by them. The result still has to pass
    /// ``init(channelID:config:)`` and ``checkTransition(to:)``.
    ///
    /// - Throws: ``ConfigUpdateError``.
    /// - Source: Fabric v3.1, package `common/configtx`, authorization and application of updates.
    package func applying(
        _ envelope: Common_ConfigUpdateEnvelope
    ) throws(ConfigUpdateError) -> Common_Config {
        let update = try PendingUpdate(envelope.configUpdate, over: self)
        try self.authorize(update, signatures: Self.signedData(envelope))
        return try update.result()
    }

    /// The configuration after an update as it would be if all necessary signatures were there.
    ///
    /// - Throws: ``ConfigUpdateError``.
    package func previewing(
        _ envelope: Common_ConfigUpdateEnvelope
    ) throws(ConfigUpdateError) -> Common_Config {
        let update = try PendingUpdate(envelope.configUpdate, over: self)
        try update.checkVersions()
        return try update.result()
    }

    static func signedData(
        _ envelope: Common_ConfigUpdateEnvelope
    ) throws(ConfigUpdateError) -> [SignedData] {
        var set: [SignedData] = []
        for signature in envelope.signatures {
            let header = try PendingUpdate.decode(
                Common_SignatureHeader.self,
                signature.signatureHeader,
                "signature header"
            )
            set.append(
                SignedData(
                    data: signature.signatureHeader + envelope.configUpdate,
                    identity: header.creator,
                    signature: signature.signature
                )
            )
        }
        return set
    }

    private func authorize(
        _ update: PendingUpdate,
        signatures: [SignedData]
    ) throws(ConfigUpdateError) {
        let (identities, rejected) = SignatureSet.verified(signatures, in: self.directory)
        // Many elements have one policy: each is asked once.
        var satisfied: Set<String> = []
        for (key, element) in update.delta {
            try update.checkVersion(of: key, element)
            guard let existing = update.current[key] else { continue }
            let policy = self.policies.policy(named: existing.modificationPolicy, in: key.group)
            guard !satisfied.contains(policy.name) else { continue }
            guard policy.isSatisfied(by: identities) else {
                let failure = policy.failure(identities, rejected: rejected)
                throw ConfigUpdateError(element: "\(key)", reason: "\(failure)", failure: failure)
            }
            satisfied.insert(policy.name)
        }
    }
}

/// An update that was read and fits the configuration in force, but for its signatures.
struct PendingUpdate {
    /// The elements of the configuration in force.
    let current: [ConfigurationElementKey: ConfigurationElement]
    /// What the update writes beyond its read set, in the order of elements.
    let delta: [(key: ConfigurationElementKey, element: ConfigurationElement)]
    private let writeSet: [ConfigurationElementKey: ConfigurationElement]
    private let nextSequence: UInt64

    /// Reads a serialized `common.ConfigUpdate` and checks its read set.
    init(_ bytes: Data, over configuration: ChannelConfiguration) throws(ConfigUpdateError) {
        let update = try Self.decode(Common_ConfigUpdate.self, bytes, "config update")
        guard update.channelID == configuration.channelID.description else {
            throw ConfigUpdateError(
                reason: "it is for channel \"\(update.channelID)\", this is \(configuration.channelID)"
            )
        }
        if let fault = SerializedNames.fault(inConfigUpdate: bytes) {
            throw ConfigUpdateError(reason: fault)
        }
        self.current = try Self.elements(configuration.config.channelGroup, "the current configuration")
        let readSet = try Self.elements(update.readSet, "the read set")
        self.writeSet = try Self.elements(update.writeSet, "the write set")
        self.nextSequence = configuration.sequence &+ 1
        self.delta = self.writeSet
            .filter { key, element in readSet[key]?.version != element.version }
            .sorted { $0.key < $1.key }
            .map { (key: $0.key, element: $0.value) }
        try Self.checkReadSet(readSet, against: self.current)
        guard !self.delta.isEmpty else {
            throw ConfigUpdateError(reason: "its write set changes nothing beyond the read set")
        }
    }

    /// The configuration with the changes made.
    func result() throws(ConfigUpdateError) -> Common_Config {
        var result = Common_Config()
        result.sequence = self.nextSequence
        var elements = self.current
        for (key, element) in self.delta { elements[key] = element }
        result.channelGroup = try Self.assemble(PolicyTree.root, from: elements)
        try Self.checkComplete(result.channelGroup, holds: self.writeSet)
        if result.channelGroup.groups[ConfigurationKey.orderer]?.values[ConfigurationKey.capabilities] != nil
        {
            result.channelGroup.fillModificationPolicies()
        }
        return result
    }

    func checkVersions() throws(ConfigUpdateError) {
        for (key, element) in self.delta { try self.checkVersion(of: key, element) }
    }

    /// Checks that a changed element has the next version, and a policy that can be looked up.
    func checkVersion(
        of key: ConfigurationElementKey,
        _ element: ConfigurationElement
    ) throws(ConfigUpdateError) {
        if let fault = ConfigurationName.fault(ofModificationPolicy: element.modificationPolicy) {
            throw ConfigUpdateError(element: "\(key)", reason: fault)
        }
        guard let existing = self.current[key] else {
            guard element.version == 0 else {
                throw ConfigUpdateError(
                    element: "\(key)",
                    reason: "it is new, so its version must be 0, not \(element.version)"
                )
            }
            return
        }
        guard existing.version < .max, element.version == existing.version + 1 else {
            throw ConfigUpdateError(
                element: "\(key)",
                reason: "it is set to version \(element.version), but it is at version "
                    + "\(existing.version), so the next is \(existing.version &+ 1)"
            )
        }
    }

    static func decode<Value: Message>(
        _ type: Value.Type,
        _ bytes: Data,
        _ name: String
    ) throws(ConfigUpdateError) -> Value {
        do {
            return try Value(serializedBytes: bytes)
        } catch {
            throw ConfigUpdateError(reason: "its \(name) cannot be read: \(error)")
        }
    }

    private static func elements(
        _ group: Common_ConfigGroup,
        _ name: String
    ) throws(ConfigUpdateError) -> [ConfigurationElementKey: ConfigurationElement] {
        do {
            return try ConfigurationElement.all(in: group)
        } catch {
            throw ConfigUpdateError(element: error.path, reason: "in \(name), \(error.reason)")
        }
    }

    private static func checkReadSet(
        _ readSet: [ConfigurationElementKey: ConfigurationElement],
        against current: [ConfigurationElementKey: ConfigurationElement]
    ) throws(ConfigUpdateError) {
        for (key, element) in readSet.sorted(by: { $0.key < $1.key }) {
            guard let existing = current[key] else {
                throw ConfigUpdateError(
                    element: "\(key)",
                    reason: "it is in the read set, but the channel has no such element"
                )
            }
            guard existing.version == element.version else {
                throw ConfigUpdateError(
                    element: "\(key)",
                    reason: "the update was made for version \(element.version), but it is at version "
                        + "\(existing.version); fetch the current configuration and make the update again"
                )
            }
        }
    }

    /// Puts a group together from its elements: its members are those that the group itself lists.
    private static func assemble(
        _ path: String,
        from elements: [ConfigurationElementKey: ConfigurationElement]
    ) throws(ConfigUpdateError) -> Common_ConfigGroup {
        guard case .group(let listed)? = elements[.init(kind: .group, group: path, name: "")] else {
            throw ConfigUpdateError(element: "group \(path)", reason: "it is listed, but not defined")
        }
        var group = Common_ConfigGroup()
        group.version = listed.version
        group.modPolicy = listed.modPolicy
        for name in listed.groups.keys {
            group.groups[name] = try Self.assemble("\(path)/\(name)", from: elements)
        }
        for name in listed.values.keys {
            guard case .value(let value)? = elements[.init(kind: .value, group: path, name: name)] else {
                throw ConfigUpdateError(
                    element: "value \(path)/\(name)",
                    reason: "it is listed, but not defined"
                )
            }
            group.values[name] = value
        }
        for name in listed.policies.keys {
            guard case .policy(let policy)? = elements[.init(kind: .policy, group: path, name: name)] else {
                throw ConfigUpdateError(
                    element: "policy \(path)/\(name)",
                    reason: "it is listed, but not defined"
                )
            }
            group.policies[name] = policy
        }
        return group
    }

    private static func checkComplete(
        _ result: Common_ConfigGroup,
        holds writeSet: [ConfigurationElementKey: ConfigurationElement]
    ) throws(ConfigUpdateError) {
        let elements = try Self.elements(result, "the result")
        for key in writeSet.keys.sorted() where elements[key] == nil {
            throw ConfigUpdateError(
                element: "\(key)",
                reason:
                    "it is in the write set, but its group is not changed; raise the version of the group "
                    + "and list all its members"
            )
        }
    }
}

extension Common_ConfigGroup {
    /// Names `Admins` wherever nobody may change an element: configurations of old Fabric left that out.
    fileprivate mutating func fillModificationPolicies() {
        if self.modPolicy.isEmpty { self.modPolicy = "Admins" }
        for name in self.values.keys where self.values[name]?.modPolicy.isEmpty == true {
            self.values[name]?.modPolicy = "Admins"
        }
        for name in self.policies.keys where self.policies[name]?.modPolicy.isEmpty == true {
            self.policies[name]?.modPolicy = "Admins"
        }
        for name in self.groups.keys { self.groups[name]?.fillModificationPolicies() }
    }
}
