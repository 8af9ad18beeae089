internal import Channel
internal import Foundation

/// What becomes of one key in a block.
struct StateUpdate {
    /// The new value, or `nil` if the key is removed.
    var value: Data?
    var metadataBytes = Data()
    var version: Version
}

/// What the valid transactions of a block, up to some point, change in the world state.
struct UpdateBatch {
    struct Namespace {
        /// Public keys.
        var keys: [Bytes: StateUpdate] = [:]
        /// Key hashes, by collection.
        var collections: [Bytes: [Bytes: StateUpdate]] = [:]
    }

    var namespaces: [Bytes: Namespace] = [:]

    /// Whether an earlier transaction of the block wrote the public key.
    func wrote(_ namespace: Bytes, _ key: Bytes) -> Bool {
        self.namespaces[namespace]?.keys[key] != nil
    }

    /// Whether an earlier transaction of the block wrote the private key with this hash.
    func wrote(_ namespace: Bytes, _ collection: Bytes, _ keyHash: Bytes) -> Bool {
        self.namespaces[namespace]?.collections[collection]?[keyHash] != nil
    }

    func update(_ namespace: Bytes, _ key: Bytes) -> StateUpdate? {
        self.namespaces[namespace]?.keys[key]
    }

    func update(_ namespace: Bytes, _ collection: Bytes, _ keyHash: Bytes) -> StateUpdate? {
        self.namespaces[namespace]?.collections[collection]?[keyHash]
    }

    /// All updates in the order in which the commit hash covers them.
    ///
    /// Namespaces ascending; in each the public keys ascending, then the collections ascending, in each the key hashes
    /// ascending.
    var ordered: [OrderedUpdates] {
        self.namespaces.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { name, namespace in
            OrderedUpdates(
                namespace: name,
                keys: namespace.keys.sorted { $0.key.lexicographicallyPrecedes($1.key) },
                collections: namespace.collections
                    .sorted { $0.key.lexicographicallyPrecedes($1.key) }
                    .map { ($0.key, $0.value.sorted { $0.key.lexicographicallyPrecedes($1.key) }) }
            )
        }
    }
}

/// The updates of one namespace, sorted.
struct OrderedUpdates {
    typealias Entry = (key: Bytes, value: StateUpdate)

    var namespace: Bytes
    var keys: [Entry]
    var collections: [(name: Bytes, keys: [Entry])]
}
