internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

extension ConfigurationEditor {
    mutating func set(
        _ definition: ChannelProfile.PolicyDefinition,
        at path: String
    ) throws(ConfigurationEditError) {
        let policy: Common_Policy
        do {
            switch definition {
            case .signature(let text): policy = try PolicyExpression.parse(text).policy()
            case .implicitMeta(let text): policy = try ImplicitMetaRule(parsing: text).policy()
            }
        } catch {
            throw ConfigurationEditError(path, "\(error)")
        }
        try self.update(elementAt: path) { group, name throws(ConfigurationEditError) in
            if let fault = ConfigurationName.fault(of: name) { throw ConfigurationEditError(path, fault) }
            var entry = group.policies[name] ?? .with { $0.modPolicy = "Admins" }
            entry.policy = policy
            group.policies[name] = entry
        }
    }

    mutating func removePolicy(at path: String) throws(ConfigurationEditError) {
        try self.update(elementAt: path) { group, name throws(ConfigurationEditError) in
            guard group.policies[name] != nil else {
                throw ConfigurationEditError(
                    path,
                    "there is no such policy; the group has \(group.policies.keys.sorted().joined(separator: ", "))"
                )
            }
            group.policies[name] = nil
        }
    }

    mutating func setModificationPolicy(_ policy: String, of path: String) throws(ConfigurationEditError) {
        if let fault = ConfigurationName.fault(ofModificationPolicy: policy) {
            throw ConfigurationEditError(path, fault)
        }
        guard path != PolicyTree.root else {
            self.channelGroup.modPolicy = policy
            return
        }
        try self.update(elementAt: path) { group, name throws(ConfigurationEditError) in
            let kinds = [
                group.groups[name] != nil, group.values[name] != nil, group.policies[name] != nil,
            ].count { $0 }
            guard kinds == 1 else {
                throw ConfigurationEditError(
                    path,
                    kinds == 0
                        ? "there is no such group, value or policy" : "this names more than one element"
                )
            }
            group.groups[name]?.modPolicy = policy
            group.values[name]?.modPolicy = policy
            group.policies[name]?.modPolicy = policy
        }
    }

    mutating func setAccess(to resource: String, _ policy: String?) throws(ConfigurationEditError) {
        let path = Self.path("Application", "ACLs")
        guard DefaultAccessControlList.local[resource] == nil else {
            throw ConfigurationEditError(
                path,
                "who may use \(resource) is decided by the peer's own organization; a channel can't change it"
            )
        }
        guard DefaultAccessControlList.channel[resource] != nil else {
            let known = DefaultAccessControlList.channel.keys.sorted().joined(separator: ", ")
            throw ConfigurationEditError(path, "\"\(resource)\" is no resource; there are: \(known)")
        }
        if let policy {
            let absolute = policy.hasPrefix("/") ? policy : "/Channel/Application/\(policy)"
            guard self.policy(at: absolute) != nil else {
                throw ConfigurationEditError(
                    path,
                    "there is no policy \(absolute), so nobody could use \(resource)"
                )
            }
        }
        try self.update(.application) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            let key = ConfigurationKey.accessControlLists
            try Self.update(key, Protos_ACLs.self, of: &group, at: Self.path("Application")) {
                $0.acls[resource] = policy.map { path in .with { $0.policyRef = path } }
            }
        }
    }

    mutating func setCapability(
        _ name: String,
        at level: Capabilities.Level,
        _ isRequired: Bool
    ) throws(ConfigurationEditError) {
        let path = level == .channel ? PolicyTree.root : Self.path(level.rawValue)
        guard !isRequired || Capabilities.known(at: level).contains(name) else {
            throw ConfigurationEditError(
                "\(path)/Capabilities",
                "\"\(name)\" is no capability of that level, and nodes that don't know one stop; there are: "
                    + Capabilities.known(at: level).sorted().joined(separator: ", ")
            )
        }
        let change = { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            try Self.update(ConfigurationKey.capabilities, Common_Capabilities.self, of: &group, at: path) {
                $0.capabilities[name] = isRequired ? Common_Capability() : nil
            }
        }
        switch level {
        case .channel: try change(&self.channelGroup)
        case .application: try self.update(.application, change)
        case .orderer: try self.update(.orderer, change)
        }
    }

    // MARK: - Elements by path

    private func policy(at path: String) -> Common_ConfigPolicy? {
        var names = path.split(separator: "/").map(String.init)
        guard names.count >= 2, "/" + names.removeFirst() == PolicyTree.root, let last = names.popLast()
        else {
            return nil
        }
        var group = self.channelGroup
        for name in names {
            guard let child = group.groups[name] else { return nil }
            group = child
        }
        return group.policies[last]
    }

    /// Changes the group that holds the element at an absolute path.
    private mutating func update(
        elementAt path: String,
        _ change: (inout Common_ConfigGroup, _ name: String) throws(ConfigurationEditError) -> Void
    ) throws(ConfigurationEditError) {
        var names = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst().map(String.init)
        guard path.hasPrefix(PolicyTree.root + "/"), names.count >= 2, let last = names.popLast() else {
            throw ConfigurationEditError(
                path,
                "this is no path of an element, such as /Channel/Application/Writers"
            )
        }
        try Self.update(&self.channelGroup, below: names.dropFirst(), path: PolicyTree.root) {
            (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in try change(&group, last)
        }
    }

    private static func update(
        _ group: inout Common_ConfigGroup,
        below names: ArraySlice<String>,
        path: String,
        _ change: (inout Common_ConfigGroup) throws(ConfigurationEditError) -> Void
    ) throws(ConfigurationEditError) {
        guard let name = names.first else { return try change(&group) }
        guard var child = group.groups[name] else {
            let known = group.groups.keys.sorted().joined(separator: ", ")
            throw ConfigurationEditError(
                "\(path)/\(name)",
                "there is no such group; below \(path) there are: \(known.isEmpty ? "none" : known)"
            )
        }
        try Self.update(&child, below: names.dropFirst(), path: "\(path)/\(name)", change)
        group.groups[name] = child
    }
}
