internal import Foundation

/// The thread on which gossip takes its steps, one after the other.
///
/// A step verifies signatures and may wait for a hardware token to sign; on Swift's cooperative threads either would
/// hold up every task of the process. The thread ends when the executor is released and nothing is left to do.
final class GossipThread: SerialExecutor {
    private let queue = Queue()

    init() {
        let queue = self.queue
        let thread = Thread { queue.run() }
        thread.name = "weft-gossip"
        thread.stackSize = 2 << 20
        thread.start()
    }

    deinit { self.queue.stop() }

    func enqueue(_ job: consuming ExecutorJob) {
        self.queue.append(UnownedJob(job), on: self.asUnownedSerialExecutor())
    }

    /// Why `@unchecked`: every access to `jobs` and `isStopped` happens with `condition` locked.
    private final class Queue: @unchecked Sendable {
        private let condition = NSCondition()
        private var jobs: [(UnownedJob, UnownedSerialExecutor)] = []
        private var isStopped = false

        func append(_ job: UnownedJob, on executor: UnownedSerialExecutor) {
            self.condition.lock()
            self.jobs.append((job, executor))
            self.condition.signal()
            self.condition.unlock()
        }

        func stop() {
            self.condition.lock()
            self.isStopped = true
            self.condition.signal()
            self.condition.unlock()
        }

        func run() {
            while true {
                self.condition.lock()
                while self.jobs.isEmpty, !self.isStopped { self.condition.wait() }
                let jobs = self.jobs
                self.jobs = []
                self.condition.unlock()
                guard !jobs.isEmpty else { return }
                for (job, executor) in jobs { job.runSynchronously(on: executor) }
            }
        }
    }
}
