internal import Foundation

/// Threads of their own for work that blocks: reads of LevelDB, signature checks, contract code.
///
/// Swift's cooperative pool has about one thread per core, so a few disk reads that block there would
/// stop every task of the process. Work runs here instead through
/// `withTaskExecutorPreference(executor) { … }`: the nonisolated `async` functions called inside stay on
/// these threads, without a hop for each call.
///
/// The threads end when the executor is released and its queue is empty.
package final class BlockingExecutor: TaskExecutor {
    private let queue: JobQueue

    /// - Parameters:
    ///   - name: shown in debuggers and profilers; Linux keeps the first 15 bytes.
    ///   - threads: how many jobs run at a time; at least 1.
    package init(name: String, threads: Int) {
        let queue = JobQueue()
        self.queue = queue
        for number in 0..<max(1, threads) {
            let thread = Thread { queue.run() }
            thread.name = "\(name)-\(number)"
            // Contract code and JSON recurse; the default of secondary threads is 512 KiB.
            thread.stackSize = 2 << 20
            thread.start()
        }
    }

    deinit { self.queue.stop() }

    package func enqueue(_ job: consuming ExecutorJob) {
        self.queue.append(UnownedJob(job), executor: self.asUnownedTaskExecutor())
    }
}

/// Jobs that wait for a thread, in the order of their arrival.
///
/// Why `@unchecked`: every access to `jobs` and `stopped` happens with `condition` locked.
private final class JobQueue: @unchecked Sendable {
    private struct Entry {
        var job: UnownedJob
        var executor: UnownedTaskExecutor
    }

    private let condition = NSCondition()
    private var jobs: [Entry] = []
    private var next = 0
    private var stopped = false

    func append(_ job: UnownedJob, executor: UnownedTaskExecutor) {
        self.condition.lock()
        self.jobs.append(Entry(job: job, executor: executor))
        self.condition.signal()
        self.condition.unlock()
    }

    func stop() {
        self.condition.lock()
        self.stopped = true
        self.condition.broadcast()
        self.condition.unlock()
    }

    func run() {
        while let entry = self.take() {
            entry.job.runSynchronously(on: entry.executor)
        }
    }

    private func take() -> Entry? {
        self.condition.lock()
        defer { self.condition.unlock() }
        while self.next == self.jobs.count {
            if self.stopped { return nil }
            self.condition.wait()
        }
        let entry = self.jobs[self.next]
        self.next += 1
        if self.next == self.jobs.count {
            self.jobs.removeAll(keepingCapacity: true)
            self.next = 0
        } else if self.next >= 1024, self.next * 2 >= self.jobs.count {
            self.jobs.removeFirst(self.next)
            self.next = 0
        }
        return entry
    }
}
