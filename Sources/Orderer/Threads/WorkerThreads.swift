internal import DequeModule
internal import Foundation

/// A fixed number of threads that do what must not run on Swift's cooperative threads: checking signatures, which
/// keeps a core busy, and reading the disk, which blocks.
///
/// The queue needs no bound of its own: whoever adds work bounds what it has outstanding.
final class WorkerThreads: Sendable {
    private struct State {
        var jobs: Deque<@Sendable () -> Void> = []
        var isStopped = false
    }

    private let monitor = Monitor(State())
    /// How many threads there are; at least 1.
    let count: Int

    /// Starts `count` threads, which a debugger shows as `name`.
    init(name: String, count: Int) {
        self.count = max(1, count)
        for number in 0..<self.count {
            let monitor = self.monitor
            let thread = Thread { Self.work(monitor) }
            thread.name = "\(name)-\(number)"
            thread.start()
        }
    }

    deinit { self.stop() }

    /// Ends the threads once they have done what is queued.
    func stop() {
        self.monitor.withLock { $0.isStopped = true }
        self.monitor.broadcast()
    }

    /// Queues `job`; runs it here if the threads were stopped, so that whoever waits for it is answered.
    func submit(_ job: @escaping @Sendable () -> Void) {
        let isQueued = self.monitor.withLock { state in
            guard !state.isStopped else { return false }
            state.jobs.append(job)
            return true
        }
        if isQueued { self.monitor.signal() } else { job() }
    }

    /// Runs `body` on one of the threads.
    func run<Value: Sendable>(_ body: @escaping @Sendable () throws -> Value) async throws -> Value {
        try await withCheckedThrowingContinuation { continuation in
            self.submit { continuation.resume(with: Result(catching: body)) }
        }
    }

    private static func work(_ monitor: Monitor<State>) {
        while true {
            let job = monitor.wait { state -> Monitor<State>.Wait<(@Sendable () -> Void)?> in
                if let job = state.jobs.popFirst() { return .done(job) }
                if state.isStopped { return .done(nil) }
                return .again(nil)
            }
            guard let job else { return }
            job()
        }
    }
}
