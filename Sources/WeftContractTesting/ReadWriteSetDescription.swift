internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import WeftContract

internal import struct Channel.Version

extension StateAccess {
    /// What a transaction read and wrote.
    static func list(_ set: TransactionReadWriteSet) -> [StateAccess] {
        set.namespaces.filter { $0.name != "_lifecycle" }.flatMap { namespace in
            Self.publicAccesses(namespace)
                + namespace.collections.flatMap { Self.hashedAccesses(namespace.name, $0) }
        }
    }

    private static func publicAccesses(_ namespace: TransactionReadWriteSet.Namespace) -> [StateAccess] {
        func access(_ key: String, _ kind: Kind) -> StateAccess {
            StateAccess(contract: namespace.name, collection: "", key: Self.printable(key), kind: kind)
        }
        let kv = namespace.kv
        return kv.reads.map { access($0.key, .read(version: $0.hasVersion ? $0.version.text : nil)) }
            + kv.rangeQueriesInfo.map { access($0.startKey, .range(to: Self.printable($0.endKey))) }
            + kv.writes.map { access($0.key, $0.isDelete ? .delete : .write($0.value)) }
            + kv.metadataWrites.map { access($0.key, .policy) }
    }

    private static func hashedAccesses(
        _ namespace: String,
        _ collection: TransactionReadWriteSet.Collection
    ) -> [StateAccess] {
        func access(_ key: Data, _ kind: Kind) -> StateAccess {
            StateAccess(contract: namespace, collection: collection.name, key: hexadecimal(key), kind: kind)
        }
        let hashed = collection.hashed
        return hashed.hashedReads.map {
            access($0.keyHash, .read(version: $0.hasVersion ? $0.version.text : nil))
        }
            + hashed.hashedWrites.map { access($0.keyHash, $0.isDelete ? .delete : .write($0.valueHash)) }
            + hashed.metadataWrites.map { access($0.keyHash, .policy) }
    }

    /// A key for people.
    static func printable(_ key: String) -> String {
        let end = key.hasSuffix("\u{10FFFF}") ? String(key.dropLast()) : key
        guard let composite = CompositeKey(parsing: end) else { return key }
        return composite.description + (end == key ? "" : "/…")
    }
}

extension Kvrwset_Version {
    fileprivate var text: String { "(\(self.blockNum), \(self.txNum))" }
}

/// Finds what a transaction has lost against.
struct ConflictSearch {
    /// The state before the block.
    let snapshot: StateSnapshot
    /// The valid transactions before this one in the block.
    var earlier: [(id: String, set: TransactionReadWriteSet)] = []
    /// Who wrote a version of the state.
    let writer: (Version) -> String?

    func conflicts(of set: TransactionReadWriteSet) throws -> [Conflict] {
        try set.namespaces.flatMap { namespace in
            try self.conflicts(publicReadsOf: namespace) + self.phantoms(namespace)
                + namespace.collections.flatMap { try self.conflicts(namespace.name, $0) }
        }
    }

    private func conflicts(publicReadsOf namespace: TransactionReadWriteSet.Namespace) throws -> [Conflict] {
        try namespace.kv.reads.compactMap { read in
            func conflict(_ winner: String?) -> Conflict {
                Conflict(
                    contract: namespace.name,
                    collection: "",
                    key: StateAccess.printable(read.key),
                    winner: winner
                )
            }
            if let winner = self.earlierWriter(of: read.key, in: namespace.name) { return conflict(winner) }
            let current = try self.snapshot.value(namespace: namespace.name, key: read.key)?.version
            guard current != read.knownVersion else { return nil }
            return conflict(current.flatMap(self.writer))
        }
    }

    private func earlierWriter(of key: String, in namespace: String) -> String? {
        self.earlier.first { transaction in
            transaction.set.namespaces.contains { other in
                other.name == namespace && other.kv.writes.contains { $0.key == key }
            }
        }?.id
    }

    /// Keys that came, went or changed in a range that was read.
    private func phantoms(_ namespace: TransactionReadWriteSet.Namespace) throws -> [Conflict] {
        try namespace.kv.rangeQueriesInfo.flatMap { query in
            var found: [String: Version] = [:]
            if case .rawReads(let reads) = query.readsInfo {
                for read in reads.kvReads { found[read.key] = read.knownVersion }
            }
            let range = self.snapshot.range(
                namespace: namespace.name,
                start: query.startKey,
                end: query.endKey
            )
            var present: [String: Version] = [:]
            while let row = try range.next() {
                present[String(decoding: row.key, as: UTF8.self)] = row.value.version
            }
            let changed = Set(found.keys).union(present.keys).filter { found[$0] != present[$0] }
            let written = self.earlier.flatMap { transaction in
                transaction.set.namespaces.filter { $0.name == namespace.name }.flatMap(\.kv.writes).map(
                    \.key
                )
            }.filter { key in
                !key.utf8.lexicographicallyPrecedes(query.startKey.utf8)
                    && (query.endKey.isEmpty || key.utf8.lexicographicallyPrecedes(query.endKey.utf8))
            }
            return changed.union(written).sorted().map { key in
                Conflict(
                    contract: namespace.name,
                    collection: "",
                    key: StateAccess.printable(key),
                    winner: self.earlierWriter(of: key, in: namespace.name)
                        ?? present[key].flatMap(self.writer)
                )
            }
        }
    }

    private func earlierWriter(of keyHash: Data, in namespace: String, _ collection: String) -> String? {
        for transaction in self.earlier {
            for other in transaction.set.namespaces where other.name == namespace {
                for set in other.collections where set.name == collection {
                    if set.hashed.hashedWrites.contains(where: { $0.keyHash == keyHash }) {
                        return transaction.id
                    }
                }
            }
        }
        return nil
    }

    private func conflicts(_ namespace: String, _ collection: TransactionReadWriteSet.Collection) throws
        -> [Conflict]
    {
        try collection.hashed.hashedReads.compactMap { read in
            func conflict(_ winner: String?) -> Conflict {
                Conflict(
                    contract: namespace,
                    collection: collection.name,
                    key: hexadecimal(read.keyHash),
                    winner: winner
                )
            }
            if let winner = self.earlierWriter(of: read.keyHash, in: namespace, collection.name) {
                return conflict(winner)
            }
            let current = try self.snapshot.hashed(
                namespace: namespace,
                collection: collection.name,
                keyHash: read.keyHash
            )?.version
            let known = read.hasVersion ? read.version.version : nil
            return current == known ? nil : conflict(current.flatMap(self.writer))
        }
    }
}

extension Kvrwset_Version {
    fileprivate var version: Version { Version(block: self.blockNum, transaction: self.txNum) }
}

extension Kvrwset_KVRead {
    fileprivate var knownVersion: Version? { self.hasVersion ? self.version.version : nil }
}
