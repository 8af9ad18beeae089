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
    let store: any KeyValueStore

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
        for set in addition.sets { try Self.add(set, block: number, to: &batch) }
        for missing in addition.missing {
            batch.set(Self.value(of: missing), forKey: PrivateKey.missing(number, missing))
            guard !missing.isEligible else { continue }
            let name = CollectionName(namespace: missing.namespace, collection: missing.collection)
            batch.set(Data(), forKey: PrivateKey.foreignCollection(name))
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

    private static func add(
        _ set: PrivateWriteSet,
        block number: BlockNumber,
        to batch: inout WriteBatch
    ) throws {
        batch.set(set.bytes, forKey: PrivateKey.data(number, set))
        let namespace = Bytes(set.namespace.utf8)
        let collection = Bytes(set.collection.utf8)
        for write in try Kvrwset_KVRWSet(serializedBytes: set.bytes).writes {
            let key = Data(write.key.utf8)
            batch.set(key, forKey: PrivateKey.plainKey(namespace, collection, Bytes(Digest.sha256(key))))
        }
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
        for prefix in [PrivateKey.missingPrefix(number), PrivateKey.foreignPrefix(number)] {
            try self.store.forEach(prefix: prefix) { key, value in
                missing.append(try Self.missing(key, value).missing)
                return true
            }
        }
        return missing
    }

    /// What is noted as missing although this peer may have it, newest block first, in the order of each block's
    /// transactions; until `body` returns `false`.
    func forEachMissing(
        _ body: (_ block: BlockNumber, _ missing: MissingPrivateData) throws -> Bool
    ) throws {
        var upper = PrivateKey.allMissing.end
        while let (last, _) = try self.store.last(from: PrivateKey.allMissing.start, to: upper),
            let block = PrivateKey.block(last)
        {
            let prefix = PrivateKey.missingPrefix(block)
            var goesOn = true
            try self.store.forEach(from: prefix, to: upper) { key, value in
                goesOn = try body(block, try Self.missing(key, value).missing)
                return goesOn
            }
            guard goesOn else { return }
            upper = prefix
        }
    }

    static func value(of missing: MissingPrivateData) -> Data { Data([missing.isEligible ? 1 : 0]) }

    static func missing(
        _ key: Data,
        _ value: Data
    ) throws -> (block: BlockNumber, missing: MissingPrivateData) {
        guard let place = PrivateKey.place(key), let block = PrivateKey.block(key) else {
            throw LedgerError(code: .damaged, message: "a note of missing private data has a malformed key")
        }
        let missing = MissingPrivateData(
            transaction: place.transaction,
            namespace: place.namespace,
            collection: place.collection,
            isEligible: value == Data([1])
        )
        return (block, missing)
    }

    // MARK: Late data

    /// Private data that came after its block, to be stored in one step with the end of its being missing.
    struct LateAddition {
        var block: BlockNumber
        /// What there is; `nil` if all of it has expired, or was purged, in the meantime.
        var set: PrivateWriteSet?
        var missing: MissingPrivateData
        /// The block with whose commit the data expires.
        var expiry: BlockNumber?
    }

    /// Stores late data, synced, each with a mark that the state doesn't show it yet: see ``late()``.
    func add(_ additions: [LateAddition]) throws {
        guard !additions.isEmpty else { return }
        var batch = WriteBatch()
        for addition in additions {
            batch.removeValue(forKey: PrivateKey.missing(addition.block, addition.missing))
            guard let set = addition.set else { continue }
            try Self.add(set, block: addition.block, to: &batch)
            if let expiry = addition.expiry {
                batch.set(
                    Data(),
                    forKey: PrivateKey.expiry(expiry, PrivateKey.data(addition.block, set))
                )
            }
            batch.set(Data(), forKey: PrivateKey.late(addition.block, set))
        }
        try self.store.write(batch, durably: true)
    }

    /// Late data that the state may not show yet, in the order of the chain.
    func late() throws -> [(block: BlockNumber, set: PrivateWriteSet)] {
        var late: [(block: BlockNumber, set: PrivateWriteSet)] = []
        try self.store.forEach(prefix: PrivateKey.latePrefix) { key, _ in
            guard let place = PrivateKey.place(key), let block = PrivateKey.block(key) else {
                throw LedgerError(code: .damaged, message: "a note of late private data has a malformed key")
            }
            var set = PrivateWriteSet(
                transaction: place.transaction,
                namespace: place.namespace,
                collection: place.collection,
                bytes: Data()
            )
            // It may have expired since.
            guard let bytes = try self.store.value(forKey: PrivateKey.data(block, set)) else { return true }
            set.bytes = bytes
            late.append((block, set))
            return true
        }
        return late
    }

    /// Takes note that the state shows all late data.
    func removeLateMarks() throws {
        var batch = WriteBatch()
        try self.store.forEach(prefix: PrivateKey.latePrefix) { key, _ in
            batch.removeValue(forKey: key)
            return true
        }
        guard !batch.isEmpty else { return }
        try self.store.write(batch, durably: false)
    }

    /// Whether a key was purged by a transaction after `version`.
    func isPurged(_ namespace: String, _ collection: String, keyHash: Data, after version: Version) throws
        -> Bool
    {
        let key = PrivateKey.purge(Bytes(namespace.utf8), Bytes(collection.utf8), Bytes(keyHash))
        guard let marker = try self.store.value(forKey: key), let purged = Version(encoded: marker) else {
            return false
        }
        return version < purged
    }

    /// Whether `set` is what the transaction endorsed, apart from keys that were purged since.
    func explains(
        _ set: PrivateWriteSet,
        of collection: TransactionReadWriteSet.Collection,
        block: BlockNumber
    ) throws -> Bool {
        let version = Version(block: block, transaction: UInt64(set.transaction))
        switch PrivateWriteHashes(collection).match(set.bytes) {
        case .whole: return true
        case .none: return false
        case .part(let lacking):
            return try lacking.allSatisfy {
                try self.isPurged(set.namespace, set.collection, keyHash: $0, after: version)
            }
        }
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

    func withoutPurged(_ set: PrivateWriteSet, block: BlockNumber) throws -> PrivateWriteSet? {
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
    private static let foreign = UInt8(ascii: "f")
    private static let late = UInt8(ascii: "l")
    private static let foreignCollection = UInt8(ascii: "c")

    static var allData: (start: Data, end: Data) { (Data([self.data]), Data([self.data + 1])) }

    static func data(_ block: BlockNumber, _ set: PrivateWriteSet) -> Data {
        self.place(self.data, block, set.transaction, set.namespace, set.collection)
    }

    static func dataPrefix(_ block: BlockNumber) -> Data { self.prefix(self.data, block) }

    /// What this peer may have has keys of their own, so that they are found among what it may not have.
    static func missing(_ block: BlockNumber, _ missing: MissingPrivateData) -> Data {
        let kind = missing.isEligible ? self.missing : self.foreign
        return self.place(kind, block, missing.transaction, missing.namespace, missing.collection)
    }

    static func missingPrefix(_ block: BlockNumber) -> Data { self.prefix(self.missing, block) }

    static func foreignPrefix(_ block: BlockNumber) -> Data { self.prefix(self.foreign, block) }

    static var allMissing: (start: Data, end: Data) { (Data([self.missing]), Data([self.missing + 1])) }

    static var allForeign: (start: Data, end: Data) { (Data([self.foreign]), Data([self.foreign + 1])) }

    /// A collection of which there are notes of data that this peer may not have.
    static func foreignCollection(_ name: CollectionName) -> Data {
        var bytes = Bytes([self.foreignCollection])
        bytes.appendCounted(name.namespace.utf8)
        bytes.appendCounted(name.collection.utf8)
        return Data(bytes)
    }

    /// The key itself says that all such collections are in the store.
    static var foreignCollectionPrefix: Data { Data([self.foreignCollection]) }

    /// The collection in a key made by ``foreignCollection(_:)``.
    static func collection(_ key: Data) -> CollectionName? {
        var reader = RecordReader(key.dropFirst())
        guard let namespace = reader.counted(), let collection = reader.counted(), reader.isAtEnd else {
            return nil
        }
        return CollectionName(
            namespace: String(decoding: namespace, as: UTF8.self),
            collection: String(decoding: collection, as: UTF8.self)
        )
    }

    static func late(_ block: BlockNumber, _ set: PrivateWriteSet) -> Data {
        self.place(self.late, block, set.transaction, set.namespace, set.collection)
    }

    static var latePrefix: Data { Data([self.late]) }

    /// The block in a key of data, or of missing or late data.
    static func block(_ key: Data) -> BlockNumber? {
        var reader = RecordReader(key.dropFirst())
        return reader.orderPreserving()
    }

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
