internal import Dispatch

/// Threads that may wait for a token, apart from Swift's cooperative ones.
final class TokenThreads: TaskExecutor {
    private let queue = DispatchQueue(label: "weft.token", attributes: .concurrent)

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        self.queue.async { job.runSynchronously(on: self.asUnownedTaskExecutor()) }
    }
}
