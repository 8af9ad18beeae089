package import Channel
package import FabricProtos
package import Foundation
internal import Synchronization

/// Runs one transaction on a snapshot of the ledger and records what it reads and writes; nothing is changed.
///
/// A transaction sees the committed state only, not its own writes. Calls may come from any thread, one at a time or
/// together. After ``results()`` every call fails.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger/txmgmt`.
package final class TransactionSimulator: Sendable {
    package let snapshot: StateSnapshot
    package let transactionID: String
    let recording: Mutex<Recording>

    /// What was done so far.
    struct Recording {
        var set = ReadWriteSetBuilder()
        /// Collections of which a value, not only a hash, was read.
        var privateReads: [Bytes: Set<Bytes>] = [:]
        var hasWritten = false
        var hasPaged = false
        var hasQueriedPrivately = false
        var isFinished = false
    }

    package init(snapshot: StateSnapshot, transactionID: String) {
        self.snapshot = snapshot
        self.transactionID = transactionID
        self.recording = Mutex(Recording())
    }

    // MARK: Public state

    /// Returns the committed value of `key`, or `nil` if it does not exist.
    package func value(namespace: String, key: String) throws -> Data? {
        try self.read(namespace, key)?.value
    }

    /// Returns the metadata of `key` in the order of the names; empty if it has none or does not exist.
    package func metadata(namespace: String, key: String) throws -> [Kvrwset_KVMetadataEntry] {
        try self.read(namespace, key)?.metadata ?? []
    }

    /// Writes `value`; the empty value removes the key.
    package func setValue(_ value: Data, namespace: String, key: String) throws {
        try self.write {
            $0.set.namespaces[Bytes(namespace.utf8), default: .init()].writes[Bytes(key.utf8)] = value
        }
    }

    /// Removes `key`, with its metadata.
    package func deleteValue(namespace: String, key: String) throws {
        try self.write {
            $0.set.namespaces[Bytes(namespace.utf8), default: .init()].writes[Bytes(key.utf8)] = .some(nil)
        }
    }

    /// Replaces all metadata of `key`; no entries remove it.
    package func setMetadata(_ entries: [Kvrwset_KVMetadataEntry], namespace: String, key: String) throws {
        let sorted = entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        try self.write {
            $0.set.namespaces[Bytes(namespace.utf8), default: .init()].metadataWrites[Bytes(key.utf8)] =
                sorted
        }
    }

    /// Begins a query of the keys from `start` up to, not including, `end`; an empty `end` is the end of the namespace.
    package func range(namespace: String, start: String, end: String) throws -> SimulatedRange {
        try self.recording.withLock { recording in
            try Self.checkNotFinished(recording)
            let range = SimulatedRange(self.snapshot, namespace: namespace, start: start, end: end)
            recording.set.namespaces[Bytes(namespace.utf8), default: .init()].ranges.append(range)
            return range
        }
    }

    /// One page of a query.
    package struct Page: Sendable {
        package var rows: [(key: String, value: Data)]
        /// The start of the next page; empty after the last one.
        package var bookmark: String
    }

    /// Returns the first `limit` keys from `start` up to, not including, `end`.
    ///
    /// Transactions that write can't use it, since what lies beyond the page is not recorded.
    package func rangePage(namespace: String, start: String, end: String, limit: Int) throws -> Page {
        let range = try self.recording.withLock { recording in
            try Self.checkNotFinished(recording)
            guard !recording.hasWritten else {
                throw SimulationError.unsupported(
                    self.transactionID,
                    "Paginated queries are supported only in a read-only transaction"
                )
            }
            recording.hasPaged = true
            let range = SimulatedRange(self.snapshot, namespace: namespace, start: start, end: end)
            recording.set.namespaces[Bytes(namespace.utf8), default: .init()].ranges.append(range)
            return range
        }
        var page = Page(rows: [], bookmark: "")
        while page.rows.count < limit, let row = try range.next() { page.rows.append(row) }
        page.bookmark = try range.peek()
        return page
    }

    /// Every write of `key` by a valid transaction, newest first; nothing is recorded.
    package func history(namespace: String, key: String) throws -> HistoryCursor {
        try self.recording.withLock { try Self.checkNotFinished($0) }
        return self.snapshot.history(namespace: namespace, key: key)
    }

    private func read(_ namespace: String, _ key: String) throws -> VersionedValue? {
        let value = try self.snapshot.value(namespace: namespace, key: key)
        try self.recording.withLock { recording in
            try Self.checkNotFinished(recording)
            recording.set.namespaces[Bytes(namespace.utf8), default: .init()].reads[Bytes(key.utf8)] =
                .some(value?.version)
        }
        return value
    }

    func write(_ body: (inout Recording) -> Void) throws {
        try self.recording.withLock { recording in
            try Self.checkNotFinished(recording)
            guard !recording.hasQueriedPrivately else {
                throw SimulationError.unsupported(
                    self.transactionID,
                    "Transaction has already performed queries on pvt data. Writes are not allowed"
                )
            }
            guard !recording.hasPaged else {
                throw SimulationError.unsupported(
                    self.transactionID,
                    "Transaction has already performed a paginated query. Writes are not allowed"
                )
            }
            recording.hasWritten = true
            body(&recording)
        }
    }

    static func checkNotFinished(_ recording: Recording) throws {
        guard !recording.isFinished else { throw SimulationError.finished }
    }

    // MARK: Results

    /// Ends the simulation and returns what was recorded, in canonical order and encoding.
    package func results() throws -> SimulationResults {
        let recording = try self.recording.withLock { recording in
            try Self.checkNotFinished(recording)
            recording.isFinished = true
            return recording
        }
        let (set, bytes, privateWrites) = try recording.set.finish()
        let privateReads = recording.privateReads
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
            .map { namespace, collections in
                SimulationResults.PrivateReads(
                    namespace: String(decoding: namespace, as: UTF8.self),
                    collections: collections.sorted { $0.lexicographicallyPrecedes($1) }
                        .map { String(decoding: $0, as: UTF8.self) }
                )
            }
        return SimulationResults(
            publicBytes: bytes,
            publicSet: set,
            privateWrites: privateWrites,
            privateReads: privateReads
        )
    }
}

/// What a simulated transaction read and wrote.
package struct SimulationResults: Sendable {
    /// The collections of one namespace of which values were read.
    package struct PrivateReads: Sendable, Equatable {
        package var namespace: String
        package var collections: [String]
    }

    /// A `rwset.TxReadWriteSet`, byte for byte what any other endorser gets.
    package var publicBytes: Data
    /// The same, decoded.
    package var publicSet: TransactionReadWriteSet
    /// What goes to the members of private collections only; `nil` without private writes.
    package var privateWrites: Rwset_TxPvtReadWriteSet?
    /// Reading a private value, unlike its hash, needs an endorser that is a member.
    package var privateReads: [PrivateReads]
}
