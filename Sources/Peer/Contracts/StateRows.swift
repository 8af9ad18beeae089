package import Foundation

/// A key and its committed value.
package struct StateRow: Equatable, Sendable {
    package var key: String
    package var value: Data
}

/// Some of the rows of a range, and where to go on.
package struct StatePage: Equatable, Sendable {
    package var rows: [StateRow]
    /// The key at which the next page begins; empty at the end of the range.
    package var bookmark: String
}

/// The rows of a range, fetched ahead as Fabric's peer does.
///
/// What was fetched, not what the contract looked at, enters the read-write set, so the peers of a channel
/// agree on it only if all fetch alike: up to 100 rows are queued, and one more is tried before they are
/// handed out.
///
/// - Source: Fabric v3.1, `core/chaincode/query_response_generator.go`.
package final class StateRows {
    /// Rows handed out in one message of the chaincode protocol.
    package static let batchSize = 100
    /// The most rows that one range yields; the rest is cut off (`ledger.state.totalQueryLimit`).
    package static let totalLimit = 100_000

    private let fetch: () throws -> (key: String, value: Data)?
    private var queue: [StateRow] = []
    private var handedOut = 0
    private var fetched = 0
    private var ended = false

    init(_ fetch: @escaping () throws -> (key: String, value: Data)?) throws {
        self.fetch = fetch
        try self.refill()
    }

    /// The next row, `nil` after the last.
    ///
    /// With the last row of a batch the next batch is fetched, as Fabric's shim for Go does.
    package func next() async throws -> StateRow? {
        guard self.handedOut < self.batchLength else { return nil }
        let row = self.queue[self.handedOut]
        self.handedOut += 1
        if self.handedOut == self.batchLength, self.hasMore {
            self.queue.removeFirst(self.handedOut)
            self.handedOut = 0
            try self.refill()
        }
        return row
    }

    /// The rows of one message, and whether there are more: for the chaincode protocol.
    package func nextBatch() throws -> (rows: [StateRow], hasMore: Bool) {
        self.queue.removeFirst(self.handedOut)
        self.handedOut = 0
        try self.refill()
        self.handedOut = self.batchLength
        return (Array(self.queue.prefix(self.batchLength)), self.hasMore)
    }

    /// Ends the range early; rows that were fetched stay recorded.
    package func close() {
        self.queue = []
        self.handedOut = 0
        self.ended = true
    }

    private var batchLength: Int { min(self.queue.count, Self.batchSize) }
    private var hasMore: Bool { self.queue.count > Self.batchSize }

    /// Fetches until a batch is queued and one row more, or the end.
    private func refill() throws {
        while !self.ended, self.queue.count <= Self.batchSize {
            guard self.fetched < Self.totalLimit else {
                self.ended = true
                return
            }
            guard let row = try self.fetch() else {
                self.ended = true
                return
            }
            self.fetched += 1
            self.queue.append(StateRow(key: row.key, value: row.value))
        }
    }
}
