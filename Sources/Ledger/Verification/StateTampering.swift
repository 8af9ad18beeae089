package import Channel
package import Foundation
internal import KeyValueStore

/// Changes a stored state behind the ledger's back, with valid checksums, to show that verification notices.
package enum StateTampering {
    /// Replaces the value of a public key in the state of the ledger in `folder`, which no node may have open.
    ///
    /// Returns the version that the value pretends to have; `nil` if there is no such key.
    package static func rewrite(
        folder: String,
        namespace: String,
        key: String,
        value: Data
    ) throws -> Version? {
        var options = LevelDBOptions.forDerived
        options.createsIfMissing = false
        let store = try LevelDBStore(folder: "\(folder)/derived", options: options)
        let name = Bytes(namespace.utf8)
        guard var stored = try StateReader(store: store).value(name, key.utf8) else { return nil }
        stored.value = value
        var batch = WriteBatch()
        batch.set(stored.encoded, forKey: DerivedKey.state(name, key.utf8))
        try store.write(batch, durably: true)
        return stored.version
    }
}
