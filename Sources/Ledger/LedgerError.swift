internal import Channel

/// A failure while reading or extending the ledger of one channel.
///
/// Callers switch on ``code``; people read ``description``. New codes may be added in any release.
package struct LedgerError: Error, Sendable, CustomStringConvertible {
    package struct Code: Hashable, Sendable, CustomStringConvertible {
        package let description: String
        /// The block does not continue the chain: fetch the missing blocks and try again.
        package static let outOfOrder = Self(description: "out of order")
        /// Stored bytes are not what was written, or contradict each other: an operator must restore the ledger.
        package static let damaged = Self(description: "damaged")
        /// The folder was written by a newer version, or holds something else.
        package static let unknownFormat = Self(description: "unknown format")
        /// The caller's block and its transactions do not fit together.
        package static let malformed = Self(description: "malformed")
        /// An earlier commit failed half-way, so that no further one is accepted until the ledger is opened again.
        package static let stopped = Self(description: "stopped")
    }

    package var code: Code
    /// What was found, what was expected, and what the reader can do about it.
    package var message: String
    package var cause: (any Error)?

    package init(code: Code, message: String, cause: (any Error)? = nil) {
        self.code = code
        self.message = message
        self.cause = cause
    }

    package var description: String {
        let reason = self.cause.map { " (cause: \($0))" } ?? ""
        return "ledger \(self.code): \(self.message)\(reason)"
    }

    static func outOfOrder(expected: BlockNumber, received: BlockNumber) -> Self {
        Self(
            code: .outOfOrder,
            message: "block \(expected) is needed next, but block \(received) was received; "
                + "request the blocks from \(expected) on"
        )
    }

    static func damaged(block: BlockNumber, _ what: String) -> Self {
        Self(
            code: .damaged,
            message: "block \(block) in the log: \(what); "
                + "restore the folder from a backup, or let the node fetch the channel again into an empty folder"
        )
    }

    /// For a record of the state that can be computed again from the log.
    static func damagedState(_ what: String) -> Self {
        Self(
            code: .damaged,
            message: "\(what); stop the node and remove the ledger's folder \"derived\", "
                + "which is computed again from the log at the next start"
        )
    }
}
