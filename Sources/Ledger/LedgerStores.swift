internal import Foundation
package import KeyValueStore

/// The three stores of a channel's ledger, each written and kept in its own way.
///
/// Key layouts: `docs/formats/ledger.md`.
package struct LedgerStores: Sendable {
    /// Blocks, validation flags and commit hashes: the truth; written synced, before the block counts.
    package var log: any KeyValueStore
    /// Private data, which no other peer may have: written synced, before the block that it belongs to.
    package var `private`: any KeyValueStore
    /// World state and indexes, which can be computed again from the other two: written unsynced.
    package var derived: any KeyValueStore

    package init(log: any KeyValueStore, private: any KeyValueStore, derived: any KeyValueStore) {
        self.log = log
        self.private = `private`
        self.derived = derived
    }

    /// Opens, or makes, the LevelDB folders `log`, `private` and `derived` in `folder`.
    package static func open(folder: String) throws(KeyValueStoreError) -> LedgerStores {
        LedgerStores(
            log: try LevelDBStore(folder: "\(folder)/log", options: .forLog),
            private: try LevelDBStore(folder: "\(folder)/private", options: .forPrivate),
            derived: try LevelDBStore(folder: "\(folder)/derived", options: .forDerived)
        )
    }

    /// Stores that end with the process, for tests and simulations.
    package static func inMemory() -> LedgerStores {
        LedgerStores(log: MemoryStore(), private: MemoryStore(), derived: MemoryStore())
    }
}

extension LevelDBOptions {
    /// For blocks: large values, keys that only grow, mostly read once and in order.
    package static var forLog: LevelDBOptions {
        var options = LevelDBOptions()
        options.writeBufferBytes = 2 << 20
        options.fileBytes = 32 << 20
        options.blockBytes = 16 << 10
        options.cacheBytes = 4 << 20
        options.filterBitsPerKey = 0
        return options
    }

    /// For private data: little of it, and deletable.
    package static var forPrivate: LevelDBOptions {
        var options = LevelDBOptions()
        options.writeBufferBytes = 2 << 20
        options.cacheBytes = 2 << 20
        return options
    }

    /// For state and indexes: small values, keys in no order, looked up one by one and often in vain.
    package static var forDerived: LevelDBOptions {
        var options = LevelDBOptions()
        options.writeBufferBytes = 4 << 20
        options.fileBytes = 8 << 20
        options.cacheBytes = 8 << 20
        return options
    }
}

/// Marks a store with what it holds and in which layout, and refuses one that holds something else.
enum StoreFormat {
    /// Sorts before every other key.
    private static let key = Bytes([0])

    static func check(_ store: any KeyValueStore, name: String) throws {
        let expected = Bytes("weft \(name) 1".utf8)
        if let found = try store.value(forKey: .init(self.key)) {
            guard Bytes(found) == expected else {
                throw LedgerError(
                    code: .unknownFormat,
                    message:
                        "the store \"\(name)\" holds \"\(String(decoding: found.prefix(100), as: UTF8.self))\", "
                        + "this program reads \"\(String(decoding: expected, as: UTF8.self))\"; "
                        + "use the version of Weft that wrote it, or another data folder"
                )
            }
            return
        }
        var batch = WriteBatch()
        batch.set(.init(expected), forKey: .init(self.key))
        try store.write(batch, durably: true)
    }
}
