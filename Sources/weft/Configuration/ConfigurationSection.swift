import Foundation
import Yams

/// One mapping in a YAML file, which knows its own place for error messages.
///
/// ```swift
/// let root = try ConfigurationSection(file: "orderer.yaml")
/// try root.allow(keys: ["listen", "data"])
/// let address = try root.value("listen", expected: "host:port", Address.init)
/// ```
struct ConfigurationSection {
    let file: String
    let path: [String]
    let node: Node

    /// Reads a file.
    ///
    /// - Throws: ``ConfigurationError`` when the file can't be read, isn't YAML, or holds no mapping.
    init(file: String) throws(ConfigurationError) {
        let text: String
        do {
            text = try String(contentsOfFile: file, encoding: .utf8)
        } catch {
            let exists = FileManager.default.fileExists(atPath: file)
            let problem = exists ? "can't be read as UTF-8 text; check its permissions" : "no such file"
            throw ConfigurationError(file: file, key: "", problem: problem)
        }
        try self.init(yaml: text, file: file)
    }

    /// Reads YAML text that came from `file`.
    init(yaml: String, file: String) throws(ConfigurationError) {
        let node: Node?
        do {
            node = try Yams.compose(yaml: yaml)
        } catch {
            throw ConfigurationError(file: file, key: "", problem: "not valid YAML: \(error)")
        }
        let empty = Node([] as [(Node, Node)])
        let root = node ?? empty
        // An empty file is read as an empty string.
        let isEmpty = root.string?.isEmpty == true
        guard isEmpty || root.mapping != nil else {
            throw ConfigurationError(
                file: file,
                line: root.mark?.line,
                key: "",
                problem: "expected keys and values, such as `listen: 127.0.0.1:7050`"
            )
        }
        self.init(file: file, path: [], node: isEmpty ? empty : root)
    }

    private init(file: String, path: [String], node: Node) {
        self.file = file
        self.path = path
        self.node = node
    }

    /// The same place in the file with another content.
    func replacing(_ node: Node) -> Self { Self(file: self.file, path: self.path, node: node) }

    /// The same with YAML's merge keys (`<<: *Defaults`) carried out.
    func merged() throws(ConfigurationError) -> Self {
        Self(file: self.file, path: self.path, node: try MergedYAML.resolve(self.node, file: self.file))
    }

    /// Rejects keys that nothing would read: a misspelt key must not become a silent default.
    func allow(keys allowed: Set<String>) throws(ConfigurationError) {
        for key in self.keys where !allowed.contains(key) {
            throw self.error(key, "unknown key; known here: \(allowed.sorted().joined(separator: ", "))")
        }
    }

    /// The keys of this mapping, in the order written.
    var keys: [String] { self.node.mapping?.keys.compactMap(\.string) ?? [] }

    func contains(_ key: String) -> Bool { self.node[key] != nil && self.node[key]?.null == nil }

    /// The mapping under a key that must be there.
    func section(_ key: String) throws(ConfigurationError) -> Self {
        guard let section = try self.optionalSection(key) else { throw self.error(key, "missing section") }
        return section
    }

    /// The mapping under a key that may be left out.
    func optionalSection(_ key: String) throws(ConfigurationError) -> Self? {
        guard self.contains(key), let child = self.node[key] else { return nil }
        guard child.mapping != nil else { throw self.error(key, "expected keys and values below it") }
        return Self(file: self.file, path: self.path + [key], node: child)
    }

    /// The mappings of a list under a key; none when the key is absent.
    func sections(_ key: String) throws(ConfigurationError) -> [Self] {
        guard self.contains(key), let child = self.node[key] else { return [] }
        guard let items = child.sequence else { throw self.error(key, "expected a list") }
        var result: [Self] = []
        for (index, item) in items.enumerated() {
            guard item.mapping != nil else {
                throw self.error(key, "entry \(index + 1) must hold keys and values")
            }
            result.append(Self(file: self.file, path: self.path + ["\(key)[\(index)]"], node: item))
        }
        return result
    }

    /// The texts of a list under a key; none when the key is absent.
    func texts(_ key: String) throws(ConfigurationError) -> [String] {
        guard self.contains(key), let child = self.node[key] else { return [] }
        guard let items = child.sequence else { throw self.error(key, "expected a list") }
        var result: [String] = []
        for (index, item) in items.enumerated() {
            guard let text = item.string else { throw self.error(key, "entry \(index + 1) must be a text") }
            result.append(text)
        }
        return result
    }

    /// The value of a key that must be there.
    ///
    /// - Parameters:
    ///   - key: The key, in this section.
    ///   - expected: The accepted form, for the error message.
    ///   - parse: Makes the value from its text; nil when the text isn't in the accepted form.
    /// - Returns: The parsed value.
    /// - Throws: ``ConfigurationError`` when the key is missing or its value is not in the accepted form.
    func value<Value>(
        _ key: String,
        expected: String,
        _ parse: (String) -> Value?
    ) throws(ConfigurationError) -> Value {
        guard let value = try self.optionalValue(key, expected: expected, parse) else {
            throw self.error(key, "missing; expected \(expected)")
        }
        return value
    }

    /// The value of a key that may be left out; nil when it is.
    func optionalValue<Value>(
        _ key: String,
        expected: String,
        _ parse: (String) -> Value?
    ) throws(ConfigurationError) -> Value? {
        guard self.contains(key), let node = self.node[key] else { return nil }
        guard let text = node.string else {
            throw self.error(
                key,
                "expected \(expected), found \(node.mapping == nil ? "a list" : "keys below it")"
            )
        }
        guard let value = parse(text) else {
            throw self.error(key, "\"\(text)\" is not valid; expected \(expected)")
        }
        return value
    }

    /// An error about a key of this section.
    func error(_ key: String, _ problem: String) -> ConfigurationError {
        ConfigurationError(
            file: self.file,
            line: (self.keyNode(key) ?? self.node[key] ?? self.node).mark?.line,
            key: (self.path + [key]).filter { !$0.isEmpty }.joined(separator: "."),
            problem: problem
        )
    }

    private func keyNode(_ key: String) -> Node? {
        self.node.mapping?.keys.first { $0.string == key }
    }
}
