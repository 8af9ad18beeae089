internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

internal import struct Channel.Version

/// Collects what a simulated transaction reads and writes, and lays it out in the one order that all endorsers use.
///
/// Names and keys are kept and sorted as bytes.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger/txmgmt/rwsetutil`.
struct ReadWriteSetBuilder {
    struct Namespace {
        /// The version of each key read; `nil` for a key that did not exist.
        var reads: [Bytes: Version?] = [:]
        /// The new value of each key; `nil` to remove it.
        var writes: [Bytes: Data?] = [:]
        var metadataWrites: [Bytes: [Kvrwset_KVMetadataEntry]] = [:]
        /// In the order in which the queries began.
        var ranges: [SimulatedRange] = []
        var collections: [Bytes: Collection] = [:]
    }

    /// By plain key, although only hashes become public.
    struct Collection {
        var reads: [Bytes: Version?] = [:]
        var writes: [Bytes: PrivateWrite] = [:]
        var metadataWrites: [Bytes: [Kvrwset_KVMetadataEntry]] = [:]
    }

    enum PrivateWrite {
        case set(Data)
        case delete
        case purge
    }

    var namespaces: [Bytes: Namespace] = [:]

    /// The read-write set to be published, its encoding, and the private writes.
    func finish() throws -> (
        set: TransactionReadWriteSet, bytes: Data, privateWrites: Rwset_TxPvtReadWriteSet?
    ) {
        var decoded: [TransactionReadWriteSet.Namespace] = []
        var encoded = WireMessage(capacity: 512)
        var privateWrites = Rwset_TxPvtReadWriteSet()
        for (name, namespace) in self.namespaces.inKeyOrder {
            let keyValues = namespace.keyValues()
            var publicEntry = WireMessage(capacity: 256)
            publicEntry.field(1, name)
            publicEntry.field(2, try keyValues.encoded())
            var privateEntry = Rwset_NsPvtReadWriteSet()
            privateEntry.namespace = name.text
            var collections: [TransactionReadWriteSet.Collection] = []
            for (collectionName, collection) in namespace.collections.inKeyOrder {
                let hashed = collection.hashed()
                let plain: Data = try collection.plain().serializedBytes()
                let privateHash = plain.isEmpty ? Data() : Digest.sha256(plain)
                collections.append(.init(name: collectionName.text, hashed: hashed, privateHash: privateHash))
                var entry = Rwset_CollectionHashedReadWriteSet()
                entry.collectionName = collectionName.text
                entry.hashedRwset = try hashed.serializedBytes()
                entry.pvtRwsetHash = privateHash
                publicEntry.message(3, try entry.serializedBytes())
                guard !plain.isEmpty else { continue }
                var privateCollection = Rwset_CollectionPvtReadWriteSet()
                privateCollection.collectionName = collectionName.text
                privateCollection.rwset = plain
                privateEntry.collectionPvtRwset.append(privateCollection)
            }
            decoded.append(.init(name: name.text, kv: keyValues, collections: collections))
            encoded.message(2, publicEntry.bytes)
            if !privateEntry.collectionPvtRwset.isEmpty { privateWrites.nsPvtRwset.append(privateEntry) }
        }
        return (
            TransactionReadWriteSet(namespaces: decoded),
            encoded.data,
            privateWrites.nsPvtRwset.isEmpty ? nil : privateWrites
        )
    }
}

extension Kvrwset_KVRWSet {
    /// The message's bytes; those of reads and writes alone, which nearly all sets have, are put together directly.
    fileprivate func encoded() throws -> [UInt8] {
        guard self.rangeQueriesInfo.isEmpty, self.metadataWrites.isEmpty else {
            return try self.serializedBytes()
        }
        var set = WireMessage(capacity: 256)
        for read in self.reads {
            var entry = WireMessage()
            entry.field(1, read.key.utf8)
            if read.hasVersion {
                var version = WireMessage(capacity: 24)
                version.field(1, read.version.blockNum)
                version.field(2, read.version.txNum)
                entry.message(2, version.bytes)
            }
            set.message(1, entry.bytes)
        }
        for write in self.writes {
            var entry = WireMessage(capacity: 32 + write.key.utf8.count + write.value.count)
            entry.field(1, write.key.utf8)
            entry.field(2, write.isDelete)
            entry.field(3, write.value)
            set.message(3, entry.bytes)
        }
        return set.bytes
    }
}

extension ReadWriteSetBuilder.Namespace {
    fileprivate func keyValues() -> Kvrwset_KVRWSet {
        var set = Kvrwset_KVRWSet()
        set.reads = self.reads.inKeyOrder.map { Kvrwset_KVRead(key: $0, version: $1) }
        set.rangeQueriesInfo = self.distinctRanges()
        set.writes = self.writes.inKeyOrder.map { key, value in
            var write = Kvrwset_KVWrite()
            write.key = key.text
            // The empty value can't be told from no value: writing it removes the key.
            write.isDelete = value?.isEmpty ?? true
            write.value = value ?? Data()
            return write
        }
        set.metadataWrites = self.metadataWrites.inKeyOrder.map { key, entries in
            var write = Kvrwset_KVMetadataWrite()
            write.key = key.text
            write.entries = entries
            return write
        }
        return set
    }

    /// The range queries without repetitions of one that began and ended alike.
    private func distinctRanges() -> [Kvrwset_RangeQueryInfo] {
        var seen = Set<[Bytes]>()
        return self.ranges.compactMap { $0.recorded() }.filter { query in
            let name = [
                Bytes(query.startKey.utf8), Bytes(query.endKey.utf8), query.itrExhausted ? [1] : [0],
            ]
            return seen.insert(name).inserted
        }
    }
}

extension ReadWriteSetBuilder.Collection {
    /// Hashes in the order of the plain keys.
    fileprivate func hashed() -> Kvrwset_HashedRWSet {
        var set = Kvrwset_HashedRWSet()
        set.hashedReads = self.reads.inKeyOrder.map { key, version in
            var read = Kvrwset_KVReadHash()
            read.keyHash = key.hash
            if let version { read.version = Kvrwset_Version(version) }
            return read
        }
        set.hashedWrites = self.writes.inKeyOrder.map { key, change in
            var write = Kvrwset_KVWriteHash()
            write.keyHash = key.hash
            switch change {
            case .set(let value) where !value.isEmpty:
                write.valueHash = Digest.sha256(value)
            case .set, .delete:
                write.isDelete = true
            case .purge:
                write.isDelete = true
                write.isPurge = true
            }
            return write
        }
        set.metadataWrites = self.metadataWrites.inKeyOrder.map { key, entries in
            var write = Kvrwset_KVMetadataWriteHash()
            write.keyHash = key.hash
            write.entries = entries
            return write
        }
        return set
    }

    /// Plain keys and values; empty if the collection was only read.
    fileprivate func plain() -> Kvrwset_KVRWSet {
        var set = Kvrwset_KVRWSet()
        set.writes = self.writes.inKeyOrder.map { key, change in
            var write = Kvrwset_KVWrite()
            write.key = key.text
            if case .set(let value) = change, !value.isEmpty {
                write.value = value
            } else {
                write.isDelete = true
            }
            return write
        }
        set.metadataWrites = self.metadataWrites.inKeyOrder.map { key, _ in
            var write = Kvrwset_KVMetadataWrite()
            write.key = key.text
            return write
        }
        return set
    }
}

extension Dictionary where Key == Bytes {
    fileprivate var inKeyOrder: [(key: Bytes, value: Value)] {
        self.sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }
}

extension Bytes {
    fileprivate var text: String { String(decoding: self, as: UTF8.self) }
    fileprivate var hash: Data { Digest.sha256(Data(self)) }
}
