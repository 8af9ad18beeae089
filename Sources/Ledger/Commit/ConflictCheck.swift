internal import Channel
internal import FabricProtos
internal import Foundation
internal import KeyValueStore

/// The multi-version check: does what a transaction read still hold when its turn comes in the block?
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger/txmgmt/validation`.
extension StateTransition {
    /// Returns VALID, MVCC_READ_CONFLICT or PHANTOM_READ_CONFLICT.
    ///
    /// Namespaces are checked in the order of the set, in each the reads, the range queries, the hashed reads; the first
    /// that fails decides. What the transaction itself writes plays no part.
    mutating func check(_ set: TransactionReadWriteSet) throws -> Protos_TxValidationCode {
        for namespace in set.namespaces {
            let name = Bytes(namespace.name.utf8)
            for read in namespace.kv.reads {
                let key = Bytes(read.key.utf8)
                guard !self.updates.wrote(name, key),
                    try self.isCurrent(read.hasVersion ? read.version : nil, name, key)
                else { return .mvccReadConflict }
            }
            for query in namespace.kv.rangeQueriesInfo {
                guard try self.holds(query, name) else { return .phantomReadConflict }
            }
            for collection in namespace.collections {
                let collectionName = Bytes(collection.name.utf8)
                let derived = DerivedNamespace.hashes(name, collectionName)
                for read in collection.hashed.hashedReads {
                    let key = Bytes(read.keyHash)
                    guard !self.updates.wrote(name, collectionName, key),
                        try self.isCurrent(read.hasVersion ? read.version : nil, derived, key)
                    else { return .mvccReadConflict }
                }
            }
        }
        return .valid
    }

    private mutating func isCurrent(_ read: Kvrwset_Version?, _ namespace: Bytes, _ key: Bytes) throws -> Bool
    {
        let committed = try self.committedValue(namespace, key)?.version
        return committed == read.map { Version(block: $0.blockNum, transaction: $0.txNum) }
    }

    /// Whether the range holds the very keys and versions that the transaction found in it.
    ///
    /// The range ends before its end key if the query was read to its end, else with it.
    private func holds(_ query: Kvrwset_RangeQueryInfo, _ namespace: Bytes) throws -> Bool {
        var rows = UpdatedRange(self, namespace, query)
        guard case .readsMerkleHashes(let expected) = query.readsInfo else {
            for read in query.rawReads.kvReads {
                guard let row = try rows.next(), row.key == Bytes(read.key.utf8), read.hasVersion,
                    row.version == Version(block: read.version.blockNum, transaction: read.version.txNum)
                else { return false }
            }
            return try rows.next() == nil
        }
        // A degree below 2 makes no tree. Fabric's peers stop on it; it can only come from endorsers that agreed on it.
        guard var summary = RangeQuerySummary(maximumDegree: Int(expected.maxDegree)) else { return false }
        while let row = try rows.next() {
            summary.append(key: row.key, version: row.version)
        }
        guard case .hashes(let found)? = summary.finish() else { return false }
        return found == expected
    }
}

/// A range of committed keys with the updates of the block so far on top.
private struct UpdatedRange {
    typealias Row = (key: Bytes, version: Version)

    private let committed: StateRange
    private let updates: [OrderedUpdates.Entry]
    private var nextCommitted: Row?
    private var index = 0
    private var hasStarted = false

    init(_ transition: StateTransition, _ namespace: Bytes, _ query: Kvrwset_RangeQueryInfo) {
        let start = Bytes(query.startKey.utf8)
        var end = Bytes(query.endKey.utf8)
        // The first key after `end` is `end` with a zero byte.
        if !query.itrExhausted { end.append(0) }
        self.committed = StateRange(transition.reader, namespace: namespace, start: start, end: end)
        self.updates = (transition.updates.namespaces[namespace]?.keys ?? [:])
            .filter { key, _ in
                !key.lexicographicallyPrecedes(start) && (end.isEmpty || key.lexicographicallyPrecedes(end))
            }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
    }

    mutating func next() throws -> Row? {
        if !self.hasStarted {
            self.hasStarted = true
            try self.advance()
        }
        while true {
            guard self.index < self.updates.count else {
                guard let row = self.nextCommitted else { return nil }
                try self.advance()
                return row
            }
            let update = self.updates[self.index]
            if let row = self.nextCommitted, row.key.lexicographicallyPrecedes(update.key) {
                try self.advance()
                return row
            }
            self.index += 1
            if self.nextCommitted?.key == update.key { try self.advance() }
            if update.value.value != nil { return (update.key, update.value.version) }
        }
    }

    private mutating func advance() throws {
        self.nextCommitted = try self.committed.next().map { (Bytes($0.key), $0.value.version) }
    }
}
