import Foundation

/// What Weft makes of the keys of one of Fabric's configuration files.
///
/// Every key of Fabric v3's samples and of its code is listed, so that a misspelt one is told apart from one that Weft
/// has no use for.
struct FabricKeys: Sendable {
    /// What Weft makes of a key.
    enum Use: Equatable, Sendable {
        /// It is read and has its effect.
        case used
        /// Weft doesn't need it, for this reason: nothing is lost without.
        case notNeeded(String)
        /// What it asks for isn't there yet; `unless` it asks for just what Weft does anyway.
        case notYet(String, unless: [String] = [])
        /// There is no such key.
        case unknown
    }

    /// Keys with the same use.
    ///
    /// A key that ends with `.*` stands for all below it.
    struct Group: Sendable {
        var use: Use
        var keys: [String]

        init(_ use: Use, _ keys: [String]) {
            self.use = use
            self.keys = keys
        }

        /// Keys below the same path.
        init(_ use: Use, below path: String, _ keys: [String]) {
            self.init(use, keys.map { "\(path).\($0)" })
        }
    }

    private var uses: [String: Use] = [:]
    private var opened: [(prefix: String, use: Use)] = []
    private var spelled: [String: String] = [:]

    init(_ groups: [Group]) {
        for group in groups {
            for key in group.keys {
                if key.hasSuffix(".*") {
                    self.opened.append((String(key.dropLast(1)).lowercased(), group.use))
                } else {
                    self.uses[key.lowercased()] = group.use
                    self.spelled[key.lowercased()] = key
                }
            }
        }
    }

    /// What Weft makes of a key, however it is spelled.
    func use(of key: String) -> Use {
        let key = key.lowercased()
        if let use = self.uses[key] { return use }
        // An empty section, or one that a list or mapping of any shape may stand in for.
        if let open = self.opened.first(where: { key.hasPrefix($0.prefix) || key + "." == $0.prefix }) {
            return open.use
        }
        return self.uses.keys.contains { $0.hasPrefix(key + ".") } ? .notNeeded("an empty section") : .unknown
    }

    /// The key that a variable of the environment stands for, in `kind`; nil if there is none.
    func key(ofVariable name: String, _ kind: FabricSettings.Kind) -> String? {
        guard name.hasPrefix(kind.prefix) else { return nil }
        let flattened = name.dropFirst(kind.prefix.count).lowercased()
        for key in self.uses.keys where key.replacingOccurrences(of: ".", with: "_") == flattened {
            return self.spelled[key]
        }
        let open = self.opened.first { open in
            flattened.hasPrefix(open.prefix.replacingOccurrences(of: ".", with: "_"))
        }
        return open.map { $0.prefix + flattened.dropFirst($0.prefix.count) }
    }

    // MARK: - What an operator is told

    /// A sentence for each kind of key that has no effect: which keys, and whether Weft needs them.
    func remarks(on settings: FabricSettings) -> [String] {
        var keys: [String: [String]] = [:]
        var order: [String] = []
        func add(_ key: String, _ use: Use) {
            let remark: String
            switch use {
            case .used: return
            case .notNeeded(let reason): remark = "not needed by Weft: \(reason)"
            case .notYet(let reason, let values):
                guard let value = settings.shown(key), !values.contains(value.lowercased()) else { return }
                remark = "without effect, Weft doesn't do this yet: \(reason)"
            case .unknown: remark = "unknown key, neither Fabric nor Weft reads it; is it misspelt?"
            }
            if keys[remark] == nil { order.append(remark) }
            keys[remark, default: []].append(key)
        }
        for key in settings.writtenKeys { add(key, self.use(of: key)) }
        for name in settings.environment.keys.sorted() {
            let key = self.key(ofVariable: name, settings.kind)
            // A key of the file is named once.
            if let key, settings.values[key.lowercased()] != nil { continue }
            add(key ?? name, key.map(self.use) ?? .unknown)
        }
        return order.map { "\($0) (\(Self.list(keys[$0] ?? [])))" }
    }

    private static func list(_ keys: [String]) -> String {
        let shown = keys.prefix(8).joined(separator: ", ")
        return keys.count > 8 ? "\(shown) and \(keys.count - 8) more" : shown
    }
}
