internal import Foundation
internal import KeyValueStore

/// Data that this peer lacks because it was no member of its collection, and may have once it is one.
///
/// Every private write of a channel is noted, also those of collections that the peer never becomes a member of. An index
/// of these collections tells without a look through all notes whether there is something to claim.
///
/// - Source: Fabric v3.1, package `core/ledger/pvtdatastorage`, ineligible missing data.
extension PrivateStore {
    /// Notes that one step looks at, so that a commit doesn't wait long.
    static let claimStep = 20_000

    /// The collections of which there are notes of data that this peer lacked as no member.
    func foreignCollections() throws -> Set<CollectionName> {
        var names = Set<CollectionName>()
        try self.store.forEach(prefix: PrivateKey.foreignCollectionPrefix) { key, _ in
            if let name = PrivateKey.collection(key) { names.insert(name) }
            return true
        }
        return names
    }

    /// Notes data of these collections as missing, from the key `start` on: some of it in one step.
    ///
    /// At the end the collections leave the index, so no block may be added while this runs.
    ///
    /// - Returns: how many sets were noted, and where to go on; `nil` at the end.
    func claim(
        _ names: Set<CollectionName>,
        from start: Data,
        step: Int = PrivateStore.claimStep
    ) throws -> (count: Int, next: Data?) {
        var batch = WriteBatch()
        var seen = 0
        var count = 0
        var next: Data?
        try self.store.forEach(from: start, to: PrivateKey.allForeign.end) { key, _ in
            guard seen < step else {
                next = key
                return false
            }
            seen += 1
            guard let place = PrivateKey.place(key), let block = PrivateKey.block(key),
                names.contains(CollectionName(namespace: place.namespace, collection: place.collection))
            else { return true }
            let missing = MissingPrivateData(
                transaction: place.transaction,
                namespace: place.namespace,
                collection: place.collection,
                isEligible: true
            )
            batch.removeValue(forKey: key)
            batch.set(Self.value(of: missing), forKey: PrivateKey.missing(block, missing))
            count += 1
            return true
        }
        if next == nil {
            for name in names { batch.removeValue(forKey: PrivateKey.foreignCollection(name)) }
        }
        if !batch.isEmpty { try self.store.write(batch, durably: true) }
        return (count, next)
    }

    /// Makes the index of a store that has none, and puts notes where they belong that older versions wrote elsewhere.
    func indexForeignCollections() throws {
        guard try self.store.value(forKey: PrivateKey.foreignCollectionPrefix) == nil else { return }
        var names = Set<CollectionName>()
        try self.store.forEach(from: PrivateKey.allForeign.start, to: PrivateKey.allForeign.end) { key, _ in
            guard let place = PrivateKey.place(key) else { return true }
            names.insert(CollectionName(namespace: place.namespace, collection: place.collection))
            return true
        }
        var batch = WriteBatch()
        try self.store.forEach(from: PrivateKey.allMissing.start, to: PrivateKey.allMissing.end) {
            key,
            value in
            let (block, missing) = try Self.missing(key, value)
            guard !missing.isEligible else { return true }
            names.insert(CollectionName(namespace: missing.namespace, collection: missing.collection))
            batch.removeValue(forKey: key)
            batch.set(value, forKey: PrivateKey.missing(block, missing))
            return true
        }
        for name in names { batch.set(Data(), forKey: PrivateKey.foreignCollection(name)) }
        batch.set(Data(), forKey: PrivateKey.foreignCollectionPrefix)
        try self.store.write(batch, durably: true)
    }
}

/// A private collection of a contract.
struct CollectionName: Hashable, Sendable {
    var namespace: String
    var collection: String
}
