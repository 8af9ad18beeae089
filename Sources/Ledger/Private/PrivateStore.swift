package import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import SwiftProtobuf

package import struct Channel.Version

/// The private data of committed transactions, with notes of what is missing, what expires and what was purged.
///
/// What a collection's members agreed to forget is really removed: see ``removeExpired(through:)``. Hashes, which every
/// peer keeps, are in the world state.
package final class PrivateStore: Sendable {
    private let store: any KeyValueStore

    init(store: any KeyValueStore) throws {
        try StoreFormat.check(store, name: "private")
        self.store = store
    }

    /// Everything about the private data of one block that is stored before the block.
    struct Addition {
        struct Expiry {
            var set: PrivateWriteSet
            /// The block with whose commit the data expires.
            var block: BlockNumber
        }

        struct Purge {
            var namespace: Bytes
            var collection: Bytes
            var keyHash: Bytes
            var transaction: Int
        }

        var sets: [PrivateWriteSet] = []
        var missing: [MissingPrivateData] = []
        var expiries: [Expiry] = []
        var purges: [Purge] = []

        var isEmpty: Bool { self.sets.isEmpty && self.missing.isEmpty && self.purges.isEmpty }
    }

    /// Stores the private data of block `number`, synced; does nothing if there is none.
    ///
    /// A crash may leave it one block ahead of the log: then the block comes again, and with it the same data.
    func add(_ addition: Addition, block number: BlockNumber) throws {
        guard !addition.isEmpty else { return }
        var batch = WriteBatch()
        for set in addition.sets {
            batch.set(set.bytes, forKey: PrivateKey.data(number, set))
            let namespace = Bytes(set.namespace.utf8)
            let collection = Bytes(set.collection.utf8)
            for write in try Kvrwset_KVRWSet(serializedBytes: set.bytes).writes {
                let key = Data(write.key.utf8)
                batch.set(key, forKey: PrivateKey.plainKey(namespace, collection, Bytes(Digest.sha256(key))))
            }
        }
        for missing in addition.missing {
            batch.set(Data([missing.isEligible ? 1 : 0]), forKey: PrivateKey.missing(number, missing))
        }
        for expiry in addition.expiries {
            batch.set(Data(), forKey: PrivateKey.expiry(expiry.block, PrivateKey.data(number, expiry.set)))
        }
        for purge in addition.purges {
            batch.set(
                Version(block: number, transaction: UInt64(purge.transaction)).encoded,
                forKey: PrivateKey.purge(purge.namespace, purge.collection, purge.keyHash)
            )
        }
        try self.store.write(batch, durably: true)
    }

    /// The private write sets of block `number`, in the order of its transactions.
    ///
    /// What was purged since is left out, unless the caller asks for the very bytes that were stored.
    package func writeSets(block number: BlockNumber, includingPurged: Bool = false) throws
        -> [PrivateWriteSet]
    {
        var sets: [PrivateWriteSet] = []
        try self.store.forEach(prefix: PrivateKey.dataPrefix(number)) { key, value in
            guard let place = PrivateKey.place(key) else {
                throw LedgerError(
                    code: .damaged,
                    message: "the private data of block \(number) has a malformed key"
                )
            }
            sets.append(
                PrivateWriteSet(
                    transaction: place.transaction,
                    namespace: place.namespace,
                    collection: place.collection,
                    bytes: value
                )
            )
            return true
        }
        guard !includingPurged else { return sets }
        return try sets.compactMap { try self.withoutPurged($0, block: number) }
    }

    /// What is noted as missing from block `number`, in the order of its transactions.
    package func missing(block number: BlockNumber) throws -> [MissingPrivateData] {
        var missing: [MissingPrivateData] = []
        try self.store.forEach(prefix: PrivateKey.missingPrefix(number)) { key, value in
            guard let place = PrivateKey.place(key) else {
                throw LedgerError(
                    code: .damaged,
                    message: "a note of missing private data has a malformed key"
                )
            }
            missing.append(
                MissingPrivateData(
                    transaction: place.transaction,
                    namespace: place.namespace,
                    collection: place.collection,
                    isEligible: value == Data([1])
                )
            )
            return true
        }
        return missing
    }

    /// The plain key with this hash, if a transaction that this peer has private data of ever wrote it.
    func plainKey(_ namespace: Bytes, _ collection: Bytes, _ keyHash: Bytes) throws -> Data? {
        try self.store.value(forKey: PrivateKey.plainKey(namespace, collection, keyHash))
    }

    /// Removes the private data that expired with a block up to `number`, so that its bytes leave the disk.
    func removeExpired(through number: BlockNumber) throws {
        var batch = WriteBatch()
        let end = Data(PrivateKey.expiryPrefix(number &+ 1))
        try self.store.forEach(from: Data(PrivateKey.expiryPrefix(0)), to: end) { key, _ in
            if let data = PrivateKey.expired(key) { batch.removeValue(forKey: data) }
            batch.removeValue(forKey: key)
            return true
        }
        guard !batch.isEmpty else { return }
        try self.store.write(batch, durably: false)
        self.store.compact(from: PrivateKey.allData.start, to: PrivateKey.allData.end)
    }

    private func withoutPurged(_ set: PrivateWriteSet, block: BlockNumber) throws -> PrivateWriteSet? {
        let namespace = Bytes(set.namespace.utf8)
        let collection = Bytes(set.collection.utf8)
        let version = Version(block: block, transaction: UInt64(set.transaction))
        var keyValues = try Kvrwset_KVRWSet(serializedBytes: set.bytes)
        let before = keyValues.writes.count
        try keyValues.writes.removeAll { write in
            let hash = Bytes(Digest.sha256(Data(write.key.utf8)))
            guard !write.deletes,
                let marker = try self.store.value(forKey: PrivateKey.purge(namespace, collection, hash)),
                let purged = Version(encoded: marker)
            else { return false }
            return version < purged
        }
        guard keyValues.writes.count < before else { return set }
        guard !keyValues.writes.isEmpty || !keyValues.metadataWrites.isEmpty else { return nil }
        var rest = set
        rest.bytes = try keyValues.serializedBytes()
        return rest
    }
}

/// The keys of the store `private`; see `docs/formats/ledger.md`.
enum PrivateKey {
    private static let data = UInt8(ascii: "d")
    private static let missing = UInt8(ascii: "m")
    private static let expiry = UInt8(ascii: "e")
    private static let plainKey = UInt8(ascii: "k")
    private static let purge = UInt8(ascii: "p")

    static var allData: (start: Data, end: Data) { (Data([self.data]), Data([self.data + 1])) }

    static func data(_ block: BlockNumber, _ set: PrivateWriteSet) -> Data {
        self.place(self.data, block, set.transaction, set.namespace, set.collection)
    }

    static func dataPrefix(_ block: BlockNumber) -> Data { self.prefix(self.data, block) }

    static func missing(_ block: BlockNumber, _ missing: MissingPrivateData) -> Data {
        self.place(self.missing, block, missing.transaction, missing.namespace, missing.collection)
    }

    static func missingPrefix(_ block: BlockNumber) -> Data { self.prefix(self.missing, block) }

    static func expiryPrefix(_ expiring: BlockNumber) -> Bytes {
        var bytes = Bytes([self.expiry])
        bytes.appendOrderPreserving(expiring)
        return bytes
    }

    static func expiry(_ expiring: BlockNumber, _ data: Data) -> Data {
        Data(self.expiryPrefix(expiring) + data)
    }

    /// The key of the data that an expiry entry stands for.
    static func expired(_ key: Data) -> Data? {
        var reader = RecordReader(key.dropFirst())
        guard reader.orderPreserving() != nil else { return nil }
        return reader.rest
    }

    static func plainKey(_ namespace: Bytes, _ collection: Bytes, _ keyHash: Bytes) -> Data {
        self.hashed(self.plainKey, namespace, collection, keyHash)
    }

    static func purge(_ namespace: Bytes, _ collection: Bytes, _ keyHash: Bytes) -> Data {
        self.hashed(self.purge, namespace, collection, keyHash)
    }

    /// The transaction, namespace and collection in a key of data or of missing data.
    static func place(_ key: Data) -> (transaction: Int, namespace: String, collection: String)? {
        var reader = RecordReader(key.dropFirst())
        guard reader.orderPreserving() != nil, let transaction = reader.orderPreserving(),
            transaction <= UInt64(UInt32.max), let namespace = reader.counted(),
            let collection = reader.counted(),
            reader.isAtEnd
        else { return nil }
        return (
            Int(transaction), String(decoding: namespace, as: UTF8.self),
            String(decoding: collection, as: UTF8.self)
        )
    }

    private static func prefix(_ kind: UInt8, _ block: BlockNumber) -> Data {
        var bytes = Bytes([kind])
        bytes.appendOrderPreserving(block)
        return Data(bytes)
    }

    private static func place(
        _ kind: UInt8,
        _ block: BlockNumber,
        _ transaction: Int,
        _ namespace: String,
        _ collection: String
    ) -> Data {
        var bytes = Bytes([kind])
        bytes.appendOrderPreserving(block)
        bytes.appendOrderPreserving(UInt64(transaction))
        bytes.appendCounted(namespace.utf8)
        bytes.appendCounted(collection.utf8)
        return Data(bytes)
    }

    private static func hashed(_ kind: UInt8, _ namespace: Bytes, _ collection: Bytes, _ hash: Bytes) -> Data
    {
        var bytes = Bytes([kind])
        bytes.appendCounted(namespace)
        bytes.appendCounted(collection)
        bytes.append(contentsOf: hash)
        return Data(bytes)
    }
}
