internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import SwiftProtobuf

internal import struct Channel.Version

/// The effects of one block on private store and state, worked out before anything is written.
///
/// Commit, recovery and verification go through here, so that a state computed again from the log is the same state.
struct BlockApplication {
    let header: Common_BlockHeader
    private let reader: StateReader
    private(set) var codes: [Protos_TxValidationCode] = []
    private(set) var transition: StateTransition
    private var privateUpdates = PrivateUpdates()
    private var index = WriteBatch()

    init(header: Common_BlockHeader, reader: StateReader, metadataNamespaces: Set<Bytes>) {
        self.header = header
        self.reader = reader
        self.transition = StateTransition(
            block: header.number,
            reader: reader,
            metadataNamespaces: metadataNamespaces
        )
    }

    // MARK: Transactions

    /// Gives the final verdict on each transaction and applies the valid ones.
    ///
    /// Identifiers first: a transaction that is valid so far is a duplicate if the ledger, or an earlier transaction of
    /// this block that is valid so far, has its identifier. Then, in order, conflicts.
    mutating func judge(_ transactions: [TransactionToCommit]) throws {
        var known = try self.indexTransactions(transactions)
        self.codes = transactions.map(\.code)
        for (index, transaction) in transactions.enumerated() where transaction.code == .valid {
            guard let id = transaction.id else { continue }
            if !known.insert(Bytes(id.utf8)).inserted { self.codes[index] = .duplicateTxid }
        }
        for (index, transaction) in transactions.enumerated() where self.codes[index] == .valid {
            if let set = transaction.readWriteSet, transaction.config == nil {
                self.codes[index] = try self.transition.check(set)
            }
            if self.codes[index] == .valid { try self.apply(transaction, index) }
        }
        self.indexCodes(transactions)
    }

    /// Applies the transactions that a stored block says are valid, without judging again.
    mutating func replay(_ transactions: [TransactionToCommit]) throws {
        _ = try self.indexTransactions(transactions)
        self.codes = transactions.map(\.code)
        for (index, transaction) in transactions.enumerated() where transaction.code == .valid {
            try self.apply(transaction, index)
        }
        self.indexCodes(transactions)
    }

    private mutating func apply(_ transaction: TransactionToCommit, _ index: Int) throws {
        if let config = transaction.config {
            self.transition.apply(config: config)
        } else if let set = transaction.readWriteSet {
            try self.transition.apply(set, transaction: index)
            let version = Version(block: self.header.number, transaction: UInt64(index))
            for namespace in set.namespaces where !namespace.kv.writes.isEmpty {
                let name = Bytes(namespace.name.utf8)
                for write in namespace.kv.writes {
                    self.index.set(Data(), forKey: DerivedKey.history(name, Bytes(write.key.utf8), version))
                }
            }
        } else {
            throw LedgerError(
                code: .malformed,
                message: "transaction \(index) of block \(self.header.number) is marked VALID, but has no "
                    + "read-write set and no configuration"
            )
        }
    }

    /// Places in this block of the transactions that are the first of their identifier.
    private var firstOfIdentifier: [Int] = []

    /// Returns the identifiers, among those of this block, that the ledger already has.
    private mutating func indexTransactions(_ transactions: [TransactionToCommit]) throws -> Set<Bytes> {
        var inLedger = Set<Bytes>()
        var seen = Set<Bytes>()
        for (index, transaction) in transactions.enumerated() {
            guard let id = transaction.id else { continue }
            let bytes = Bytes(id.utf8)
            guard seen.insert(bytes).inserted else { continue }
            if try !transaction.isNew && self.reader.containsTransaction(id) {
                inLedger.insert(bytes)
            } else {
                self.firstOfIdentifier.append(index)
            }
        }
        return inLedger
    }

    private mutating func indexCodes(_ transactions: [TransactionToCommit]) {
        for index in self.firstOfIdentifier {
            guard let id = transactions[index].id else { continue }
            let record = TransactionRecord(
                id: id,
                block: self.header.number,
                index: index,
                code: self.codes[index]
            )
            self.index.set(record.encoded, forKey: DerivedKey.transaction(id))
        }
    }

    // MARK: Private data

    /// Applies the private data of valid transactions, and returns all that the private store must hold of the block.
    ///
    /// Data that does not match its hash in the transaction is left out, and noted as missing; what comes from the
    /// private store was checked when it got there, and parts of it may have been purged since: by `purges`, if that is
    /// given, else it is not checked again.
    mutating func applyPrivateData(
        _ sets: [PrivateWriteSet],
        missing: [MissingPrivateData],
        transactions: [TransactionToCommit],
        lifetimes: inout CollectionLifetimes,
        checksHashes: Bool = true,
        trimmedBy purges: PrivateStore? = nil
    ) throws -> PrivateStore.Addition {
        var addition = PrivateStore.Addition(missing: missing)
        for set in sets.sorted(by: { $0.transaction < $1.transaction }) {
            guard transactions.indices.contains(set.transaction),
                let collection = transactions[set.transaction].collection(of: set)
            else { continue }
            guard
                try !checksHashes || Digest.sha256(set.bytes) == collection.privateHash
                    || purges?.explains(set, of: collection, block: self.header.number) == true
            else {
                addition.missing.append(
                    MissingPrivateData(
                        transaction: set.transaction,
                        namespace: set.namespace,
                        collection: set.collection,
                        isEligible: true
                    )
                )
                continue
            }
            addition.sets.append(set)
            let expiry = try lifetimes.expiry(
                Bytes(set.namespace.utf8),
                Bytes(set.collection.utf8),
                writtenIn: self.header.number,
                self.reader
            )
            if let expiry { addition.expiries.append(.init(set: set, block: expiry)) }
            if self.codes[set.transaction] == .valid {
                try self.privateUpdates.apply(set, block: self.header.number, self.reader)
            }
        }
        addition.purges = self.purges(transactions)
        return addition
    }

    private func purges(_ transactions: [TransactionToCommit]) -> [PrivateStore.Addition.Purge] {
        var purges: [PrivateStore.Addition.Purge] = []
        for (index, transaction) in transactions.enumerated() where self.codes[index] == .valid {
            for namespace in transaction.readWriteSet?.namespaces ?? [] {
                for collection in namespace.collections {
                    for write in collection.hashed.hashedWrites where write.isPurge {
                        purges.append(
                            .init(
                                namespace: Bytes(namespace.name.utf8),
                                collection: Bytes(collection.name.utf8),
                                keyHash: Bytes(write.keyHash),
                                transaction: index
                            )
                        )
                    }
                }
            }
        }
        return purges
    }

    /// Removes the private values of keys that are purged, or written anew, by transactions whose private data is not
    /// here; so a private value that can be read is always the one whose hash is in the state.
    mutating func removePurged(_ addition: PrivateStore.Addition, _ store: PrivateStore) throws {
        for purge in addition.purges {
            guard
                self.transition.updates.update(purge.namespace, purge.collection, purge.keyHash)?.value
                    == nil,
                let key = try store.plainKey(purge.namespace, purge.collection, purge.keyHash)
            else { continue }
            self.privateUpdates.remove(
                DerivedNamespace.values(purge.namespace, purge.collection),
                Bytes(key),
                version: Version(block: self.header.number, transaction: UInt64(purge.transaction))
            )
        }
        try self.removeStale(addition, store)
    }

    private struct Place: Hashable {
        var transaction: UInt64
        var namespace: Bytes
        var collection: Bytes
    }

    private mutating func removeStale(_ addition: PrivateStore.Addition, _ store: PrivateStore) throws {
        let present = Set(
            addition.sets.map {
                Place(
                    transaction: UInt64($0.transaction),
                    namespace: Bytes($0.namespace.utf8),
                    collection: Bytes($0.collection.utf8)
                )
            }
        )
        for (namespace, updates) in self.transition.updates.namespaces {
            for (collection, keys) in updates.collections {
                let values = DerivedNamespace.values(namespace, collection)
                for (keyHash, update) in keys {
                    let place = Place(
                        transaction: update.version.transaction,
                        namespace: namespace,
                        collection: collection
                    )
                    guard !present.contains(place),
                        let key = try self.plainKey(namespace, collection, keyHash, values, store)
                    else { continue }
                    let current =
                        if let update = self.privateUpdates.namespaces[values]?[key] {
                            update.value
                        } else {
                            try self.reader.value(values, key)?.value
                        }
                    guard let current else { continue }
                    let isSame = update.value == Digest.sha256(current)
                    self.privateUpdates.set(
                        values,
                        key,
                        StateUpdate(value: isSame ? current : nil, version: update.version)
                    )
                }
            }
        }
    }

    /// The key of this hash, if this peer has private data that writes it, of this block or an earlier one.
    private func plainKey(
        _ namespace: Bytes,
        _ collection: Bytes,
        _ keyHash: Bytes,
        _ values: Bytes,
        _ store: PrivateStore
    ) throws -> Bytes? {
        if let key = try store.plainKey(namespace, collection, keyHash) { return Bytes(key) }
        return self.privateUpdates.namespaces[values]?.keys.first {
            Bytes(Digest.sha256(Data($0))) == keyHash
        }
    }

    // MARK: Results

    /// One byte for each transaction: its code.
    var flags: Data { Data(self.codes.map { UInt8(truncatingIfNeeded: $0.rawValue) }) }

    /// The updates in their canonical order.
    func orderedUpdates() -> [OrderedUpdates] { self.transition.updates.ordered }

    /// All changes of the store `derived`, with the savepoint.
    func derivedChanges(
        _ ordered: [OrderedUpdates],
        lifetimes: inout CollectionLifetimes,
        privateStore: PrivateStore?
    ) throws -> WriteBatch {
        var batch = self.index
        for namespace in ordered {
            self.add(namespace.keys, namespace.namespace, to: &batch)
            for collection in namespace.collections {
                let derived = DerivedNamespace.hashes(namespace.namespace, collection.name)
                self.add(collection.keys, derived, to: &batch)
                try self.scheduleExpiry(namespace.namespace, collection, &lifetimes, to: &batch)
            }
        }
        for (namespace, keys) in self.privateUpdates.namespaces {
            self.add(keys.map { ($0.key, $0.value) }, namespace, to: &batch)
        }
        try self.expire(to: &batch, privateStore)
        batch.set(
            Data(),
            forKey: DerivedKey.blockHash(self.header.hash),
            varint: self.header.number
        )
        batch.set(Data(), forKey: DerivedKey.savepoint, varint: self.header.number + 1)
        return batch
    }

    /// Namespaces in which metadata was written for the first time.
    func newMetadataNamespaces(besides known: Set<Bytes>) -> Set<Bytes> {
        self.transition.metadataNamespaces.subtracting(known)
    }

    private func add(_ entries: [OrderedUpdates.Entry], _ namespace: Bytes, to batch: inout WriteBatch) {
        for (key, update) in entries {
            let stateKey = DerivedKey.state(namespace, key)
            guard let value = update.value else {
                batch.removeValue(forKey: stateKey)
                continue
            }
            let stored = VersionedValue(
                value: value,
                version: update.version,
                metadataBytes: update.metadataBytes
            )
            batch.set(stored.encoded, forKey: stateKey)
        }
    }

    // MARK: Expiry

    private func scheduleExpiry(
        _ namespace: Bytes,
        _ collection: (name: Bytes, keys: [OrderedUpdates.Entry]),
        _ lifetimes: inout CollectionLifetimes,
        to batch: inout WriteBatch
    ) throws {
        let expiry = try lifetimes.expiry(
            namespace,
            collection.name,
            writtenIn: self.header.number,
            self.reader
        )
        guard let expiry else { return }
        for (keyHash, update) in collection.keys where update.value != nil {
            var key = DerivedKey.expiryPrefix(expiry)
            key.appendOrderPreserving(self.header.number)
            key.appendCounted(namespace)
            key.appendCounted(collection.name)
            key.append(contentsOf: keyHash)
            batch.set(update.version.encoded, forKey: Data(key))
        }
    }

    /// Removes what expires with this block and was not written again since.
    private func expire(to batch: inout WriteBatch, _ privateStore: PrivateStore?) throws {
        let prefix = Data(DerivedKey.expiryPrefix(self.header.number))
        try self.reader.store.forEach(prefix: prefix) { key, encoded in
            batch.removeValue(forKey: key)
            var record = RecordReader(key.dropFirst(prefix.count))
            guard record.orderPreserving() != nil, let namespace = record.counted(),
                let collection = record.counted(), let version = Version(encoded: encoded)
            else { throw LedgerError.damagedState("an entry of the expiry schedule is malformed") }
            let names = (Bytes(namespace), Bytes(collection), Bytes(record.rest))
            let hashes = DerivedNamespace.hashes(names.0, names.1)
            let values = DerivedNamespace.values(names.0, names.1)
            if self.transition.updates.update(names.0, names.1, names.2) == nil,
                try self.reader.value(hashes, names.2)?.version == version
            {
                batch.removeValue(forKey: DerivedKey.state(hashes, names.2))
            }
            if let plain = try privateStore?.plainKey(names.0, names.1, names.2).map(Bytes.init),
                self.privateUpdates.namespaces[values]?[plain] == nil,
                try self.reader.value(values, plain)?.version == version
            {
                batch.removeValue(forKey: DerivedKey.state(values, plain))
            }
            return true
        }
    }
}

extension TransactionToCommit {
    /// What the transaction tells everybody of these private writes; `nil` if it doesn't touch the collection.
    func collection(of set: PrivateWriteSet) -> TransactionReadWriteSet.Collection? {
        self.readWriteSet?.namespaces
            .first { Bytes($0.name.utf8) == Bytes(set.namespace.utf8) }?
            .collections.first { Bytes($0.name.utf8) == Bytes(set.collection.utf8) }
    }

    /// Whether the transaction touches private collections.
    var hasCollections: Bool {
        self.readWriteSet?.namespaces.contains { !$0.collections.isEmpty } ?? false
    }
}

extension WriteBatch {
    fileprivate mutating func set(_ start: Data, forKey key: Data, varint: UInt64) {
        var bytes = Bytes(start)
        bytes.appendVarint(varint)
        self.set(Data(bytes), forKey: key)
    }
}
