internal import DequeModule
internal import Dispatch
internal import Foundation
internal import Synchronization

/// The threads that check signatures: one per core, apart from Swift's cooperative threads.
///
/// Work comes as batches of independent pieces (``start(count:_:)``) and starts in the order in which it came,
/// so the signatures of block n are checked before those of block n+1. One object serves all channels. The
/// threads end when the last reference to it is gone and its queue is empty.
package final class VerificationThreads: Sendable {
    private let queue = WorkQueue()

    /// How many threads there are; at least 1.
    package let count: Int

    package init(count: Int = ProcessInfo.processInfo.activeProcessorCount) {
        self.count = max(1, count)
        for index in 0..<self.count {
            let queue = self.queue
            let thread = Thread { queue.run() }
            thread.name = "weft-verify-\(index)"
            thread.stackSize = 1 << 20
            thread.start()
        }
    }

    deinit {
        self.queue.close()
    }

    /// Runs `piece` once for each index below `count`, on all threads, and returns at once.
    package func start(count: Int, _ piece: @escaping @Sendable (Int) -> Void) -> Batch {
        let batch = Batch(count: count, piece: piece)
        for _ in 0..<min(count, self.count) {
            self.queue.append { batch.work() }
        }
        return batch
    }
}

extension VerificationThreads {
    /// Independent pieces of work that threads take one at a time.
    package final class Batch: Sendable {
        private let count: Int
        private let piece: @Sendable (Int) -> Void
        private let next = Atomic(0)
        private let unfinished: Atomic<Int>
        private let finish = Latch()

        fileprivate init(count: Int, piece: @escaping @Sendable (Int) -> Void) {
            self.count = count
            self.piece = piece
            self.unfinished = Atomic(count)
            if count == 0 { self.finish.open() }
        }

        fileprivate func work() {
            while true {
                let index = self.next.add(1, ordering: .relaxed).oldValue
                guard index < self.count else { return }
                self.piece(index)
                let last = self.unfinished.subtract(1, ordering: .acquiringAndReleasing).newValue == 0
                if last { self.finish.open() }
            }
        }

        /// Whether every piece has been done.
        package var isFinished: Bool { self.unfinished.load(ordering: .acquiring) == 0 }

        /// Waits until every piece has been done.
        package func finished() async {
            await withCheckedContinuation { continuation in
                self.finish.whenOpen { continuation.resume() }
            }
        }

        /// Blocks the calling thread until every piece has been done: for tools, never on Swift's own threads.
        package func wait() {
            let semaphore = DispatchSemaphore(value: 0)
            self.finish.whenOpen { semaphore.signal() }
            semaphore.wait()
        }
    }
}

/// A gate that opens once.
private final class Latch: Sendable {
    private struct State {
        var isOpen = false
        var waiters: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    func open() {
        let waiters = self.state.withLock { state in
            state.isOpen = true
            defer { state.waiters = [] }
            return state.waiters
        }
        for waiter in waiters { waiter() }
    }

    /// Calls `waiter` once the gate is open, or at once if it is.
    func whenOpen(_ waiter: @escaping @Sendable () -> Void) {
        let isOpen = self.state.withLock { state in
            if !state.isOpen { state.waiters.append(waiter) }
            return state.isOpen
        }
        if isOpen { waiter() }
    }
}

/// The queue that the threads of one ``VerificationThreads`` share.
///
/// Why `@unchecked`: `jobs` and `isClosed` are read and written under `condition` only.
private final class WorkQueue: @unchecked Sendable {
    private let condition = NSCondition()
    private var jobs: Deque<@Sendable () -> Void> = []
    private var isClosed = false

    func append(_ job: @escaping @Sendable () -> Void) {
        self.condition.withLock { self.jobs.append(job) }
        self.condition.signal()
    }

    func close() {
        self.condition.withLock { self.isClosed = true }
        self.condition.broadcast()
    }

    /// Takes and does work until the queue is closed and empty.
    func run() {
        while let job = self.take() { job() }
    }

    private func take() -> (@Sendable () -> Void)? {
        self.condition.withLock {
            while self.jobs.isEmpty {
                if self.isClosed { return nil }
                self.condition.wait()
            }
            return self.jobs.popFirst()
        }
    }
}
