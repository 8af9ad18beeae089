internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import SwiftProtobuf

/// Brings private data that came after its block into the state.
///
/// A value is put there only where the state has its hash: what was written again, deleted, purged or forgotten since
/// stays as it is. Doing it again does no harm, so that a crash anywhere in between is healed by the next start.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger/txmgmt/txmgr`, private data of old blocks.
struct LatePrivateData {
    let log: BlockLog
    let privateStore: PrivateStore
    let derived: any KeyValueStore

    /// - Returns: whether there was any.
    @discardableResult
    func apply() throws -> Bool {
        let late = try self.privateStore.late()
        guard !late.isEmpty else { return false }
        let reader = StateReader(store: self.derived)
        var updates = PrivateUpdates()
        for (block, set) in late where try self.isValid(set.transaction, block) {
            try self.apply(set, block, reader, &updates)
        }
        var batch = WriteBatch()
        for (namespace, keys) in updates.namespaces {
            for (key, update) in keys {
                let stateKey = DerivedKey.state(namespace, key)
                guard let value = update.value else {
                    batch.removeValue(forKey: stateKey)
                    continue
                }
                batch.set(
                    VersionedValue(value: value, version: update.version, metadataBytes: Data()).encoded,
                    forKey: stateKey
                )
            }
        }
        // The marks are removed after this, so it must not be lost.
        try self.derived.write(batch, durably: true)
        try self.privateStore.removeLateMarks()
        return true
    }

    private func isValid(_ transaction: Int, _ block: BlockNumber) throws -> Bool {
        guard let codes = try self.log.summary(block)?.codes, codes.indices.contains(transaction) else {
            return false
        }
        return codes[transaction] == .valid
    }

    private func apply(
        _ set: PrivateWriteSet,
        _ block: BlockNumber,
        _ reader: StateReader,
        _ updates: inout PrivateUpdates
    ) throws {
        let (namespace, collection) = (Bytes(set.namespace.utf8), Bytes(set.collection.utf8))
        let values = DerivedNamespace.values(namespace, collection)
        let hashes = DerivedNamespace.hashes(namespace, collection)
        let version = Version(block: block, transaction: UInt64(set.transaction))
        for write in try Kvrwset_KVRWSet(serializedBytes: set.bytes).writes {
            let key = Bytes(write.key.utf8)
            let hash = try reader.value(hashes, Digest.sha256(Data(key)))
            if write.deletes {
                // A deletion that was noted at the commit has removed the value then, if it was known.
                guard hash == nil, let old = try reader.value(values, key), old.version < version else {
                    continue
                }
                updates.set(values, key, StateUpdate(value: nil, version: version))
            } else if let hash, !(hash.version < version), hash.value == Digest.sha256(write.value) {
                // New metadata alone gave the hash a new version.
                updates.set(values, key, StateUpdate(value: write.value, version: hash.version))
            }
        }
    }
}
