import Foundation
import Histogram
import Synchronization
import WeftClient

/// A closed loop: each worker submits a transaction, waits until it is committed, and starts the next.
struct Workload: Sendable {
    var contract: String
    var function: String
    var workers: Int
    var keys: Int
    var valueBytes: Int
    var warmUp: Duration
    var duration: Duration
    /// Where acknowledged transactions are written down, if anywhere.
    var record: AcknowledgedTransactions?
    /// Whether to end before the time is over; what was begun is waited for.
    var isInterrupted: @Sendable () -> Bool = { false }

    /// What the workers saw between the end of the warm-up and the end of the run.
    struct Tally: Sendable {
        /// From the start of a submission until its commit is known, in microseconds.
        var latency = Histogram<UInt64>(highestTrackableValue: 3_600_000_000)
        var committed = 0
        var failed = 0
        /// Distinct reasons of failures, with how often each came.
        var reasons: [String: Int] = [:]
        var firstBlock: UInt64 = .max
        var lastBlock: UInt64 = 0

        var blocks: UInt64 { self.committed == 0 ? 0 : self.lastBlock &- self.firstBlock &+ 1 }
    }

    /// Where all workers count.
    private final class Board: Sendable {
        let tally = Mutex(Tally())
    }

    /// Runs the loop over some gateways, by turns.
    ///
    /// - Parameters:
    ///   - gateways: At least one.
    ///   - whenWarm: Called once when measuring begins.
    ///   - progress: Called about once a second.
    /// - Returns: The tally, and how long was measured.
    /// - Throws: `CancellationError` when the task is cancelled.
    func run(
        over gateways: [Gateway],
        whenWarm: @Sendable @escaping () -> Void,
        progress: @Sendable @escaping () -> Void
    ) async throws -> (tally: Tally, seconds: Double) {
        let board = Board()
        let clock = ContinuousClock()
        let begin = clock.now.advanced(by: self.warmUp)
        let end = begin.advanced(by: self.duration)
        try await withThrowingTaskGroup { group in
            for worker in 0..<self.workers {
                let gateway = gateways[worker % gateways.count]
                group.addTask {
                    try await self.work(over: gateway, board, from: begin, until: end)
                }
            }
            group.addTask {
                while clock.now < begin, !self.isInterrupted() {
                    try await clock.sleep(until: min(begin, clock.now.advanced(by: .milliseconds(200))))
                }
                whenWarm()
                while clock.now < end, !self.isInterrupted() {
                    try await clock.sleep(for: .seconds(1))
                    progress()
                }
            }
            try await group.waitForAll()
        }
        let measured = begin.duration(to: min(clock.now, end))
        return (board.tally.withLock(\.self), Double(max(microseconds(measured), 1)) / 1e6)
    }

    private func work(
        over gateway: Gateway,
        _ board: Board,
        from begin: ContinuousClock.Instant,
        until end: ContinuousClock.Instant
    ) async throws {
        let clock = ContinuousClock()
        var random = SystemRandomNumberGenerator()
        while clock.now < end, !self.isInterrupted() {
            let key = "key-\(Int.random(in: 0..<self.keys, using: &random))"
            let value = Data((0..<self.valueBytes).map { _ in UInt8.random(in: 97...122, using: &random) })
            let invocation = Invocation(
                contract: self.contract,
                arguments: [Data(self.function.utf8), Data(key.utf8), value]
            )
            let start = clock.now
            do {
                let done = try await self.submit(invocation, over: gateway)
                let finish = clock.now
                guard finish >= begin, finish < end else { continue }
                let microseconds = microseconds(start.duration(to: finish))
                board.tally.withLock { tally in
                    tally.committed += 1
                    tally.latency.record(microseconds)
                    tally.firstBlock = min(tally.firstBlock, done.block)
                    tally.lastBlock = max(tally.lastBlock, done.block)
                }
            } catch let error as ClientError {
                board.tally.withLock { tally in
                    tally.failed += 1
                    let reason = error.description.prefix(300).description
                    if tally.reasons.count < 20 || tally.reasons[reason] != nil {
                        tally.reasons[reason, default: 0] += 1
                    }
                }
                // A node that refuses at once must not be asked a million times a second.
                try await Task.sleep(for: .milliseconds(50))
            }
        }
    }

    /// Has one transaction committed, and writes down what was promised on the way.
    private func submit(_ invocation: Invocation, over gateway: Gateway) async throws -> CommittedTransaction
    {
        guard let record else { return try await gateway.submit(invocation) }
        let endorsed = try await gateway.endorse(invocation)
        try await gateway.submit(endorsed)
        try record.acknowledged(endorsed.transactionID)
        let committed = try await gateway.commit(of: endorsed)
        try record.valid(committed.transactionID, block: committed.block)
        return committed
    }
}
