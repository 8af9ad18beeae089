import Foundation
import Yams

/// How Fabric reads YAML: keys in any case, none that it doesn't know, and values that the environment overrides.
///
/// - Source: Fabric v3.1, package `common/viperutil`.
extension ConfigurationSection {
    /// The same with its keys spelled as in `known`, whatever their case in the file.
    ///
    /// - Throws: ``ConfigurationError`` for a key that is not known, since it would become a silent default, and for one
    ///   that is there twice in different cases.
    func spelled(_ known: [String]) throws(ConfigurationError) -> Self {
        var spelling: [String: String] = [:]
        for key in known { spelling[key.lowercased()] = key }
        guard let mapping = self.node.mapping else { return self }
        var result = Node.Mapping([], mapping.tag, mapping.style, mapping.mark)
        for (keyNode, value) in mapping {
            let key = keyNode.string ?? ""
            guard let name = spelling[key.lowercased()] else {
                throw self.error(key, "unknown key; known here: \(known.sorted().joined(separator: ", "))")
            }
            let node = Node.scalar(.init(name, keyNode.tag, .any, keyNode.mark))
            // A key without a value is as if it weren't there: what was merged may spell the key otherwise.
            let before = result[node].flatMap { $0.null == nil ? $0 : nil }
            guard before == nil || value.null != nil else { throw self.error(key, "the key is there twice") }
            if before == nil { result[node] = value }
        }
        return self.replacing(.mapping(result))
    }

    /// The same with values that the environment overrides.
    ///
    /// `CONFIGTX_ORDERER_BATCHTIMEOUT` stands for the key `Orderer.BatchTimeout`. Only keys that are in the file are
    /// overridden, and none inside of lists; `[a, b]` is a list.
    ///
    /// - Parameters:
    ///   - environment: The environment of the process.
    ///   - prefix: The name that the variables begin with.
    /// - Returns: The section.
    func overridden(by environment: [String: String], prefix: String) -> Self {
        guard environment.keys.contains(where: { $0.hasPrefix(prefix + "_") }) else { return self }
        return self.replacing(Self.overriding(self.node, environment, prefix))
    }

    private static func overriding(_ node: Node, _ environment: [String: String], _ name: String) -> Node {
        guard var mapping = node.mapping else { return node }
        for (key, value) in mapping {
            guard let text = key.string else { continue }
            let variable = name + "_" + text.uppercased().replacing(".", with: "_")
            if let override = environment[variable], !override.isEmpty {
                mapping[key] = Self.node(of: override, mark: key.mark)
            } else {
                mapping[key] = Self.overriding(value, environment, variable)
            }
        }
        return .mapping(mapping)
    }

    private static func node(of text: String, mark: Mark?) -> Node {
        guard let items = Self.items(of: text) else { return Self.scalar(text, mark) }
        return .sequence(.init(items.map { Self.scalar($0, mark) }, .implicit, .any, mark))
    }

    private static func scalar(_ text: String, _ mark: Mark?) -> Node {
        .scalar(.init(text, .implicit, .doubleQuoted, mark))
    }

    /// The items of `[a, b]`; `nil` for a text without brackets.
    private static func items(of text: String) -> [String]? {
        guard text.count > 1, text.first == "[", text.last == "]" else { return nil }
        return text.dropFirst().dropLast().split(separator: ",", omittingEmptySubsequences: false).map {
            $0.trimmingCharacters(in: .whitespaces)
        }
    }

    /// The texts of a list under a key, which may also be one text, or a text of the form `[a, b]`.
    func list(_ key: String) throws(ConfigurationError) -> [String] {
        guard self.contains(key), let text = self.node[key]?.scalar?.string else {
            return try self.texts(key)
        }
        return Self.items(of: text) ?? [text].filter { !$0.isEmpty }
    }
}
