import Channel
import Foundation
import Yams

/// What `core.yaml` or `orderer.yaml` and the environment say.
///
/// Keys are paths such as `peer.tls.cert.file`; upper and lower case are the same. A variable of the environment wins
/// over the file: `CORE_PEER_TLS_CERT_FILE` for that key, whether the file has the key or not.
///
/// - Source: Fabric v3.1, packages `core/config` and `common/viperutil`; `github.com/spf13/viper`, documentation.
struct FabricSettings: Sendable {
    /// The two files and their environments.
    enum Kind: String, Sendable {
        case core, orderer

        var prefix: String { self.rawValue.uppercased() + "_" }
    }

    /// A value together with where it was found, for error messages.
    enum Found: Sendable {
        case variable(String, name: String)
        case value(Value, line: Int?)
    }

    /// A value of the file.
    enum Value: Sendable {
        case text(String)
        case list([Item])

        /// An entry of a list: a text, or the texts of a mapping by their keys in lower case; a list of texts in it is one
        /// text, with an entry on each line.
        enum Item: Sendable {
            case text(String)
            case section([String: String])
        }
    }

    static let officialFolder = "/etc/hyperledger/fabric"

    let kind: Kind
    /// The file, absolute; relative paths are meant from its folder.
    let file: String
    /// The values of the file by their keys in lower case; lists are values.
    private(set) var values: [String: (value: Value, line: Int?)] = [:]
    /// The keys of the file as they are written there.
    private(set) var writtenKeys: [String] = []
    /// The variables that begin with the prefix.
    let environment: [String: String]

    /// Finds and reads the file: in the folder that `FABRIC_CFG_PATH` names, or else in the present one, and then in
    /// `/etc/hyperledger/fabric`.
    ///
    /// - Throws: ``ConfigurationError`` when there is none, or it can't be read.
    init(_ kind: Kind, environment: [String: String]) throws(ConfigurationError) {
        try self.init(kind, file: Self.find(kind, environment), environment: environment)
    }

    /// Reads a file.
    init(_ kind: Kind, file: String, environment: [String: String]) throws(ConfigurationError) {
        self.kind = kind
        self.file = file
        self.environment = environment.filter { $0.key.hasPrefix(kind.prefix) }
        let root = try ConfigurationSection(file: file).merged()
        self.take(root.node, path: "", written: "")
    }

    private static func find(
        _ kind: Kind,
        _ environment: [String: String]
    ) throws(ConfigurationError) -> String {
        let name = "\(kind.rawValue).yaml"
        let present = FileManager.default.currentDirectoryPath
        let folders: [String]
        if let folder = environment["FABRIC_CFG_PATH"], !folder.isEmpty {
            folders = [URL(fileURLWithPath: folder).standardizedFileURL.path]
        } else {
            folders = [present, Self.officialFolder]
        }
        for folder in folders where FileManager.default.fileExists(atPath: "\(folder)/\(name)") {
            return "\(folder)/\(name)"
        }
        throw ConfigurationError(
            file: name,
            key: "",
            problem:
                "Could not find config file. Please make sure that FABRIC_CFG_PATH is set to a path which "
                + "contains \(name) (looked in \(folders.joined(separator: ", ")))"
        )
    }

    private mutating func take(_ node: Node, path: String, written: String) {
        guard let mapping = node.mapping else {
            if let value = Value(node) { self.values[path] = (value, node.mark?.line) }
            self.writtenKeys.append(written)
            return
        }
        for (key, value) in mapping {
            guard let name = key.string else { continue }
            let dot = path.isEmpty ? "" : "."
            self.take(value, path: path + dot + name.lowercased(), written: written + dot + name)
        }
    }

    // MARK: - Values

    /// The value of a key as a remark shows it; nil where nothing is set.
    func shown(_ key: String) -> String? {
        switch self.found(key) {
        case nil: nil
        case .variable(let text, _), .value(.text(let text), _): text.isEmpty ? nil : text
        case .value(.list(let items), _): items.isEmpty ? nil : "[…]"
        }
    }

    /// The variable of the environment that stands for a key.
    func variable(for key: String) -> String {
        self.kind.prefix + key.uppercased().replacingOccurrences(of: ".", with: "_")
    }

    /// Where a key has a value; nil where it has none, or an empty one in the file.
    func found(_ key: String) -> Found? {
        let name = self.variable(for: key)
        // An empty variable empties a setting of a peer; an orderer takes no notice of it.
        if let value = self.environment[name], self.kind == .core || !value.isEmpty {
            return .variable(value, name: name)
        }
        return self.values[key.lowercased()].map { .value($0.value, line: $0.line) }
    }

    /// The text of a key; nil when it has none or an empty one.
    func text(_ key: String) throws(ConfigurationError) -> String? {
        switch self.found(key) {
        case nil: return nil
        case .variable(let text, _): return text.isEmpty ? nil : text
        case .value(.text(let text), _): return text.isEmpty ? nil : text
        case .value(.list, _): throw self.error(key, "expected one value, found a list")
        }
    }

    /// A value in a form of its own.
    ///
    /// - Throws: ``ConfigurationError`` when the text is not in the `expected` form.
    func value<Value>(
        _ key: String,
        expected: String,
        _ parse: (String) -> Value?
    ) throws(ConfigurationError) -> Value? {
        guard let text = try self.text(key) else { return nil }
        guard let value = parse(text) else {
            throw self.error(key, "\"\(text)\" is not valid; expected \(expected)")
        }
        return value
    }

    func flag(_ key: String) throws(ConfigurationError) -> Bool? {
        try self.value(key, expected: "true or false") { goBoolean($0) ?? configuredFlag($0) }
    }

    func integer(_ key: String) throws(ConfigurationError) -> Int? {
        try self.value(key, expected: "a whole number", goInteger)
    }

    /// A duration such as `30s`; a number alone counts nanoseconds, as in Fabric.
    func duration(_ key: String) throws(ConfigurationError) -> Duration? {
        try self.value(key, expected: "a duration, such as 30s or 1m30s") { text in
            GoDuration.parse(text) ?? Int64(text).map { .nanoseconds($0) }
        }
    }

    /// A path, made absolute.
    func path(_ key: String) throws(ConfigurationError) -> String? {
        try self.text(key).map { configuredPath($0, from: self.file) }
    }

    /// A list of texts.
    ///
    /// In the environment it is written `[a,b]`; a peer's also `a b`.
    func texts(_ key: String) throws(ConfigurationError) -> [String] {
        switch self.found(key) {
        case nil: return []
        case .variable(let text, _), .value(.text(let text), _): return self.list(text)
        case .value(.list(let items), _):
            var texts: [String] = []
            for (index, item) in items.enumerated() {
                guard case .text(let text) = item else {
                    throw self.error(key, "entry \(index + 1) must be a text")
                }
                if !text.isEmpty { texts.append(text) }
            }
            return texts
        }
    }

    private func list(_ text: String) -> [String] {
        let text = text.trimmingCharacters(in: .whitespaces)
        if text.hasPrefix("["), text.hasSuffix("]") {
            return text.dropFirst().dropLast().split(separator: ",")
                .map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
        }
        return self.kind == .core ? text.split(whereSeparator: \.isWhitespace).map(String.init) : [text]
    }

    /// A list of paths, made absolute.
    func paths(_ key: String) throws(ConfigurationError) -> [String] {
        try self.texts(key).map { configuredPath($0, from: self.file) }
    }

    /// A list of mappings, which only the file can hold.
    func sections(_ key: String) throws(ConfigurationError) -> [[String: String]] {
        guard let value = self.values[key.lowercased()]?.value else { return [] }
        guard case .list(let items) = value else { throw self.error(key, "expected a list") }
        return items.map { item in
            guard case .section(let section) = item else { return [:] }
            return section
        }
    }

    /// An error about a key: where its value stands, and what is wrong with it.
    func error(_ key: String, _ problem: String) -> ConfigurationError {
        switch self.found(key) {
        case .variable(_, let name):
            return ConfigurationError(file: "environment", key: name, problem: problem)
        case .value(_, let line):
            return ConfigurationError(file: self.file, line: line, key: key, problem: problem)
        case nil:
            return ConfigurationError(file: self.file, key: key, problem: problem)
        }
    }
}

extension FabricSettings.Value {
    /// The value of a node; nil for none.
    fileprivate init?(_ node: Node) {
        if node.null != nil { return nil }
        if let text = node.string {
            self = .text(text)
        } else {
            self = .list(node.sequence.map { $0.compactMap(Item.init) } ?? [])
        }
    }
}

extension FabricSettings.Value.Item {
    fileprivate init?(_ node: Node) {
        if let text = node.string {
            self = .text(text)
            return
        }
        guard let mapping = node.mapping else { return nil }
        var section: [String: String] = [:]
        for (name, value) in mapping {
            let list = value.sequence?.compactMap(\.string).joined(separator: "\n")
            if let name = name.string, let text = value.string ?? list { section[name.lowercased()] = text }
        }
        self = .section(section)
    }
}
