package import FabricProtos
import SwiftProtobuf

/// All policies of a channel configuration, by path.
///
/// - Source: Fabric v3, package `common/policies`, manager of policies.
package struct PolicyTree: Sendable {
    /// The name of the root group in paths.
    static let root = "/Channel"

    private var policies: [String: CompiledPolicy] = [:]
    package let directory: MembershipDirectory

    /// Compiles every policy of a configuration tree.
    ///
    /// - Throws: ``InvalidPolicy`` for the first policy that cannot be evaluated. Groups and policies are
    ///   visited in the order of their names.
    init(_ channelGroup: Common_ConfigGroup, directory: MembershipDirectory) throws(InvalidPolicy) {
        self.directory = directory
        try self.add(channelGroup, at: Self.root)
    }

    /// The policy at a path: absolute (`/Channel/Application/Writers`), or relative to the root group.
    package func policy(at path: String) -> CompiledPolicy? {
        self.policies[Self.absolute(path, in: Self.root)]
    }

    /// The policy that `name`, found in a group of the configuration, stands for; what cannot be resolved
    /// rejects everything.
    ///
    /// - Parameters:
    ///   - name: a path, or the name of a policy in the group or below it.
    ///   - group: the group's own path, for example `/Channel/Application`.
    /// - Returns: the policy, ready to be evaluated.
    package func policy(named name: String, in group: String) -> CompiledPolicy {
        let path = Self.absolute(name, in: group)
        return self.policies[path]
            ?? .rejectAll(name: path, reason: "there is no such policy", directory: self.directory)
    }

    /// Decides whether the signatures satisfy the policy at a path.
    ///
    /// - Throws: ``PolicyFailure``, also if there is no such policy.
    package func evaluate(_ path: String, _ set: [SignedData]) throws(PolicyFailure) {
        try self.policy(named: path, in: Self.root).evaluate(set)
    }

    /// Decides whether identities whose signatures were verified satisfy the policy at a path.
    ///
    /// - Throws: ``PolicyFailure``, also if there is no such policy.
    package func evaluate(_ path: String, identities: [Identity]) throws(PolicyFailure) {
        try self.policy(named: path, in: Self.root).evaluate(identities)
    }

    /// The policy of a contract definition or a collection: signatures of its own, or a path.
    ///
    /// - Throws: ``InvalidPolicy`` if it holds neither, or signatures that cannot be evaluated.
    package func policy(
        for message: Protos_ApplicationPolicy,
        name: String
    ) throws(InvalidPolicy) -> CompiledPolicy {
        switch message.type {
        case .signaturePolicy(let envelope):
            return try CompiledPolicy(name: name, signaturePolicy: envelope, directory: self.directory)
        case .channelConfigPolicyReference(let path):
            return self.policy(named: path, in: Self.root)
        case nil:
            throw InvalidPolicy(policy: name, reason: "it holds neither signatures nor the name of a policy")
        }
    }

    private static func absolute(_ path: String, in group: String) -> String {
        path.hasPrefix("/") ? path : "\(group)/\(path)"
    }

    /// The policy that a rule over groups asks in one of them; an absolute path must lie in that group.
    private func subPolicy(_ name: String, of group: String) -> CompiledPolicy {
        guard !name.hasPrefix("/") || name.hasPrefix(group + "/") else {
            return .rejectAll(
                name: "\(group)/\(name)",
                reason: "\(name) does not lie in \(group)",
                directory: self.directory
            )
        }
        return self.policy(named: name, in: group)
    }

    private mutating func add(_ group: Common_ConfigGroup, at path: String) throws(InvalidPolicy) {
        let groups = group.groups.sorted { $0.key < $1.key }
        for (name, child) in groups { try self.add(child, at: "\(path)/\(name)") }
        for (name, entry) in group.policies.sorted(by: { $0.key < $1.key }) {
            let own = "\(path)/\(name)"
            guard entry.hasPolicy else { throw InvalidPolicy(policy: own, reason: "it is empty") }
            self.policies[own] = try self.compile(
                entry.policy,
                name: own,
                groups: groups.map { (name: $0.key, path: "\(path)/\($0.key)") }
            )
        }
    }

    private func compile(
        _ policy: Common_Policy,
        name: String,
        groups: [(name: String, path: String)]
    ) throws(InvalidPolicy) -> CompiledPolicy {
        switch Common_Policy.PolicyType(rawValue: Int(policy.type)) {
        case .signature:
            return try CompiledPolicy(name: name, serialized: policy.value, directory: self.directory)
        case .implicitMeta:
            let rule = try ImplicitMetaRule(serialized: policy.value, policy: name)
            let children = groups.map { group in
                (name: group.name, policy: self.subPolicy(rule.subPolicy, of: group.path))
            }
            return CompiledPolicy(
                name: name,
                rule: .implicitMeta(rule, groups: children),
                directory: self.directory
            )
        default:
            throw InvalidPolicy(
                policy: name,
                reason: "its type is \(policy.type); types are 1 (signature) and 3 (implicit meta)"
            )
        }
    }
}
