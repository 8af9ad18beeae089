import FabricProtos

/// Names one group, value or policy of a configuration.
struct ConfigurationElementKey: Hashable, Comparable, CustomStringConvertible {
    enum Kind: Int { case group, value, policy }

    var kind: Kind
    /// The path of the group that holds the element; for a group, its own path: `/Channel/Application`.
    var group: String
    /// The name in that group; empty for a group.
    var name: String

    var description: String {
        switch self.kind {
        case .group: "group \(self.group)"
        case .value: "value \(self.group)/\(self.name)"
        case .policy: "policy \(self.group)/\(self.name)"
        }
    }

    static func < (left: Self, right: Self) -> Bool {
        (left.group, left.kind.rawValue, left.name) < (right.group, right.kind.rawValue, right.name)
    }
}

/// A group, value or policy of a configuration, with its version and who may change it.
enum ConfigurationElement {
    case group(Common_ConfigGroup)
    case value(Common_ConfigValue)
    case policy(Common_ConfigPolicy)

    var version: UInt64 {
        switch self {
        case .group(let group): group.version
        case .value(let value): value.version
        case .policy(let policy): policy.version
        }
    }

    var modificationPolicy: String {
        switch self {
        case .group(let group): group.modPolicy
        case .value(let value): value.modPolicy
        case .policy(let policy): policy.modPolicy
        }
    }

    /// Every element of a tree, by key.
    ///
    /// - Throws: ``ConfigurationError`` for a name that breaks the grammar.
    static func all(
        in root: Common_ConfigGroup
    ) throws(ConfigurationError) -> [ConfigurationElementKey: ConfigurationElement] {
        try ConfigurationGroup(path: PolicyTree.root, message: root).checkNames()
        var elements: [ConfigurationElementKey: ConfigurationElement] = [:]
        Self.add(root, at: PolicyTree.root, to: &elements)
        return elements
    }

    private static func add(
        _ group: Common_ConfigGroup,
        at path: String,
        to elements: inout [ConfigurationElementKey: ConfigurationElement]
    ) {
        elements[.init(kind: .group, group: path, name: "")] = .group(group)
        for (name, value) in group.values {
            elements[.init(kind: .value, group: path, name: name)] = .value(value)
        }
        for (name, policy) in group.policies {
            elements[.init(kind: .policy, group: path, name: name)] = .policy(policy)
        }
        for (name, child) in group.groups { Self.add(child, at: "\(path)/\(name)", to: &elements) }
    }
}
