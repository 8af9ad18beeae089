import Channel
import FabricProtos
import Foundation
import Glibc
import Histogram
import Synchronization
import WeftClient

/// A closed loop at one orderer: each stream sends an envelope, waits until it is acknowledged, and sends the next.
struct OrderingWorkload: Sendable {
    var streams: Int
    var envelopeBytes: Int
    var warmUp: Duration
    var duration: Duration

    /// What was seen between the end of the warm-up and the end of the run.
    struct Tally: Sendable {
        /// From the sending of an envelope until it was acknowledged, in microseconds.
        var latency = Histogram<UInt64>(highestTrackableValue: 3_600_000_000)
        var acknowledged = 0
        var refused = 0
        var lastReason = ""
    }

    private final class Board: Sendable {
        let tally = Mutex(Tally())
    }

    /// When a stream sent what it waits for.
    private final class Sent: Sendable {
        let instant = Mutex<ContinuousClock.Instant?>(nil)
    }

    /// Runs the loop over some connections to the orderer, by turns.
    ///
    /// - Parameters:
    ///   - orderers: At least one.
    ///   - whenWarm: Called once when measuring begins.
    /// - Returns: The tally, and how long was measured, in seconds.
    /// - Throws: `ClientError` if a stream fails.
    func run(
        over orderers: [OrderingNode],
        whenWarm: @Sendable @escaping () -> Void
    ) async throws -> (tally: Tally, seconds: Double) {
        let board = Board()
        let clock = ContinuousClock()
        let begin = clock.now.advanced(by: self.warmUp)
        let end = begin.advanced(by: self.duration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for stream in 0..<self.streams {
                let orderer = orderers[stream % orderers.count]
                group.addTask { try await self.work(at: orderer, board, from: begin, until: end) }
            }
            group.addTask {
                try await clock.sleep(until: begin)
                whenWarm()
            }
            try await group.waitForAll()
        }
        return (board.tally.withLock(\.self), self.duration / .seconds(1))
    }

    private func work(
        at orderer: OrderingNode,
        _ board: Board,
        from begin: ContinuousClock.Instant,
        until end: ContinuousClock.Instant
    ) async throws {
        let clock = ContinuousClock()
        let sent = Sent()
        try await orderer.broadcast {
            guard clock.now < end else { return nil }
            let envelope = try await orderer.message(Data(count: self.envelopeBytes))
            sent.instant.withLock { $0 = clock.now }
            return envelope
        } answered: { answer in
            let now = clock.now
            guard let start = sent.instant.withLock(\.self), now >= begin, now < end else { return }
            board.tally.withLock { tally in
                if answer.status == .success {
                    tally.acknowledged += 1
                    tally.latency.record(microseconds(start.duration(to: now)))
                } else {
                    tally.refused += 1
                    tally.lastReason = "\(answer.status.name): \(answer.info)"
                }
            }
        }
    }
}

/// What one round trip and one write that reaches the disk take on this machine, at this moment.
///
/// No cluster can acknowledge sooner than after both.
struct OrderingFloor: Sendable {
    /// The median of a call that does nothing, over the connection that is measured, in microseconds.
    var roundTripMicroseconds: Double
    /// The median of appending an envelope to a file and syncing it, in microseconds.
    var syncMicroseconds: Double
    /// The same where as many files as there are orderers are written and synced at a time, on the one disk of all of them.
    var sharedSyncMicroseconds: Double

    var microseconds: Double { self.roundTripMicroseconds + self.syncMicroseconds }

    /// Measures for a moment, while nothing else is sent.
    ///
    /// - Parameters:
    ///   - connection: To the orderer.
    ///   - folder: A folder on the orderers' disk.
    ///   - bytes: How many bytes to write.
    ///   - orderers: How many orderers share the disk.
    /// - Returns: The medians.
    /// - Throws: ``Failure`` if the orderer doesn't answer or the file can't be written.
    static func measure(
        over connection: Connection,
        folder: String,
        bytes: Int,
        orderers: Int
    ) async throws -> Self {
        let clock = ContinuousClock()
        var calls: [Double] = []
        for _ in 0..<500 {
            let start = clock.now
            guard await connection.answers(within: .seconds(5)) else {
                throw Failure("\(connection.endpoint) does not answer")
            }
            calls.append(Double(weft.microseconds(start.duration(to: clock.now))))
        }
        return Self(
            roundTripMicroseconds: Self.median(calls),
            syncMicroseconds: try await Self.sync(folder: folder, bytes: bytes, writers: 1),
            sharedSyncMicroseconds: try await Self.sync(folder: folder, bytes: bytes, writers: orderers)
        )
    }

    /// The median of what `writers` threads take at the same time.
    private static func sync(folder: String, bytes: Int, writers: Int) async throws -> Double {
        try await withThrowingTaskGroup(of: [Double].self) { group in
            for writer in 0..<writers {
                group.addTask {
                    try await withCheckedThrowingContinuation { done in
                        Thread.detachNewThread {
                            let path = "\(folder)/sync-test-\(writer)"
                            done.resume(with: Result { try Self.syncs(path: path, bytes: bytes) })
                        }
                    }
                }
            }
            return Self.median(try await group.reduce(into: []) { $0 += $1 })
        }
    }

    private static func syncs(path: String, bytes: Int) throws -> [Double] {
        let file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else {
            throw Failure("can't write \(path): \(String(cString: strerror(errno)))")
        }
        defer {
            close(file)
            unlink(path)
        }
        let clock = ContinuousClock()
        let content = [UInt8](repeating: 7, count: bytes)
        var times: [Double] = []
        for _ in 0..<200 {
            let start = clock.now
            guard write(file, content, content.count) == content.count, fdatasync(file) == 0 else {
                throw Failure("can't write \(path): \(String(cString: strerror(errno)))")
            }
            times.append(Double(weft.microseconds(start.duration(to: clock.now))))
        }
        return times
    }

    private static func median(_ values: [Double]) -> Double {
        values.isEmpty ? 0 : values.sorted()[values.count / 2]
    }
}

/// Whole microseconds; 0 for a negative duration.
func microseconds(_ duration: Duration) -> UInt64 {
    let (seconds, attoseconds) = duration.components
    return UInt64(max(seconds, 0)) * 1_000_000 + UInt64(max(attoseconds, 0) / 1_000_000_000_000)
}
