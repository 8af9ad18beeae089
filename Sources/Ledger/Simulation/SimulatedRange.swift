internal import Channel
internal import FabricProtos
package import Foundation
internal import Synchronization

/// The rows of a range query, each recorded in the read-write set as it is fetched.
package final class SimulatedRange: Sendable {
    private let state: Mutex<State>

    private struct State {
        let rows: StateRange
        let isRecorded: Bool
        let start: String
        let end: String
        /// The last row fetched.
        var lastKey = ""
        var isExhausted = false
        var summary: RangeQuerySummary?
        var isClosed = false
    }

    /// `start` is included, `end` is not; an empty `end` is the end of the namespace.
    init(_ snapshot: StateSnapshot, namespace: String, start: String, end: String) {
        self.state = Mutex(
            State(
                rows: snapshot.range(namespace: namespace, start: start, end: end),
                isRecorded: true,
                start: start,
                end: end,
                summary: RangeQuerySummary(maximumDegree: RangeQuerySummary.defaultDegree)
            )
        )
    }

    /// A range of private keys, of which nothing is recorded.
    init(_ snapshot: StateSnapshot, namespace: String, collection: String, start: String, end: String) {
        self.state = Mutex(
            State(
                rows: snapshot.privateRange(
                    namespace: namespace,
                    collection: collection,
                    start: start,
                    end: end
                ),
                isRecorded: false,
                start: start,
                end: end
            )
        )
    }

    /// Returns the next row, or `nil` at the end of the range or after ``close()``.
    package func next() throws -> (key: String, value: Data)? {
        try self.state.withLock { state in
            guard !state.isClosed, !state.isExhausted else { return nil }
            guard let row = try state.rows.next() else {
                state.isExhausted = true
                return nil
            }
            if state.isRecorded { state.summary?.append(key: Bytes(row.key), version: row.value.version) }
            state.lastKey = String(decoding: row.key, as: UTF8.self)
            return (state.lastKey, Data(row.value.value))
        }
    }

    /// The key after the last row fetched, without recording it; empty at the end.
    func peek() throws -> String {
        try self.state.withLock { state in
            guard !state.isExhausted, let row = try state.rows.next() else { return "" }
            state.isClosed = true
            return String(decoding: row.key, as: UTF8.self)
        }
    }

    /// Ends the query where it stands.
    package func close() {
        self.state.withLock { $0.isClosed = true }
    }

    /// What the read-write set holds of this query; `nil` for one that is not recorded.
    func recorded() -> Kvrwset_RangeQueryInfo? {
        self.state.withLock { state in
            guard state.isRecorded else { return nil }
            state.isClosed = true
            var query = Kvrwset_RangeQueryInfo()
            query.startKey = state.start
            query.endKey = state.isExhausted ? state.end : state.lastKey
            query.itrExhausted = state.isExhausted
            switch state.summary?.finish() {
            case .reads(let reads)?: query.rawReads = reads
            case .hashes(let hashes)?: query.readsMerkleHashes = hashes
            case nil: break
            }
            return query
        }
    }
}
