internal import CGRPC
import Glibc
internal import Synchronization

/// A completion queue of C core and the thread that waits on it, which also runs the tasks that prefer it.
///
/// A task that waited for a completion goes on where the completion came in, without a change of threads: its
/// job goes into `localJobs`, which no other thread sees. Jobs from other threads go into `queue`, and wake
/// the thread only if it waits for core at that moment.
final class Poller: TaskExecutor, @unchecked Sendable {
    // Why `@unchecked`: the pointers never change after `init`, and core allows every call on a completion
    // queue from any thread except waiting, which only `run` does. `run` destroys the queue, after everything
    // that could use it is gone (`shutDown`). `localJobs` belongs to the thread of `run`.
    let completions: OpaquePointer
    /// A call that never leaves this process: an empty batch on it completes at once.
    private let bell: OpaquePointer
    private let queue = Mutex(Queue())
    /// The thread of `run`; zero before it has begun and after it has ended.
    private let thread = Atomic<UInt>(0)
    private var localJobs = JobList<UnownedJob>()
    /// As `localJobs`.
    private var localCalls = JobList<DirectStreamCall>()
    /// Calls for which core is to be asked for a message; belongs to the thread of `run`.
    private var receivers = JobList<Call>()
    let liveCalls = Atomic<Int>(0)
    let liveBatches = Atomic<Int>(0)
    let liveByteBuffers = Atomic<Int>(0)

    /// What the thread shares with others.
    private struct Queue {
        enum Phase { case running, ending, ended }
        var jobs = JobList<UnownedJob>()
        /// What other threads want looked at.
        var calls = JobList<DirectStreamCall>()
        var phase = Phase.running
        /// The thread waits for core, or is about to.
        var isBlocked = false
        /// A batch that wakes the thread is under way.
        var isWaking = false

        /// - Returns: whether the caller is to wake the thread.
        mutating func beginWaking() -> Bool {
            guard self.isBlocked, !self.isWaking else { return false }
            self.isBlocked = false
            self.isWaking = true
            return true
        }
    }

    /// How many jobs run before core has its turn again.
    private static let jobsBetweenCompletions = 64

    init(name: String) {
        grpc_init()
        self.completions = grpc_completion_queue_create_for_next(nil)
        let lame = grpc_lame_client_channel_create("", GRPC_STATUS_UNAVAILABLE, "")!
        self.bell = grpc_channel_create_call(
            lame,
            nil,
            0,
            self.completions,
            grpc_slice_from_static_string("/"),
            nil,
            gpr_inf_future(GPR_CLOCK_MONOTONIC),
            nil
        )
        grpc_channel_destroy(lame)
        self.startThread(name: name)
    }

    /// Ends the thread once core has completed what is under way.
    ///
    /// Only for the last owner: no call may be started after it.
    func shutDown() {
        let mustWake = self.queue.withLock { queue in
            queue.phase = .ending
            return queue.beginWaking()
        }
        if mustWake { self.wake() }
    }

    /// Whether ``shutDown()`` has taken its effect: tasks that still prefer this poller run on Swift's threads.
    var hasEnded: Bool { self.queue.withLock { $0.phase == .ended } && !self.isRunning }

    private var isRunning: Bool { self.thread.load(ordering: .acquiring) != 0 }

    // MARK: Jobs

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if self.isCurrent {
            self.localJobs.append(job)
            return
        }
        let (isLate, mustWake) = self.queue.withLock { queue in
            if queue.phase == .ended { return (true, false) }
            queue.jobs.append(job)
            return (false, queue.beginWaking())
        }
        if mustWake { self.wake() }
        // Its task outlives every transport of the group.
        if isLate { globalConcurrentExecutor.enqueue(job) }
    }

    /// Has a call looked at on this poller's thread, soon; not any more once the poller has ended.
    func wake(_ call: DirectStreamCall) {
        if self.isCurrent {
            self.localCalls.append(call)
            return
        }
        let mustWake = self.queue.withLock { queue in
            if queue.phase == .ended { return false }
            queue.calls.append(call)
            return queue.beginWaking()
        }
        if mustWake { self.wake() }
    }

    /// Asks core for the next message of a call once the jobs at hand are done.
    ///
    /// Each request widens the sender's window, which is a packet of its own: who waits for the message that has just come
    /// in shall not wait for that, too. Only for the thread of `run`.
    func receiveLater(_ call: Call) { self.receivers.append(call) }

    /// Whether the caller runs on this poller's thread.
    var isCurrent: Bool { self.thread.load(ordering: .relaxed) == UInt(pthread_self()) }

    /// Makes the thread come back from waiting for core, which isn't shut down before that.
    private func wake() {
        // Nothing can be wrong with a batch without operations.
        grpc_call_start_batch(self.bell, nil, 0, nil, nil)
    }

    /// What the thread does after it has run jobs.
    private enum Turn { case lookAtCore, waitForCore, end }

    /// Runs the jobs that are there, but not so many that core has to wait long.
    private func runJobs() -> Turn {
        let executor = self.asUnownedTaskExecutor()
        for _ in 0..<Self.jobsBetweenCompletions {
            if self.localJobs.isEmpty, self.localCalls.isEmpty { self.receiveOn() }
            if self.localJobs.isEmpty, self.localCalls.isEmpty, let turn = self.takeJobs() { return turn }
            self.localCalls.next()?.woken()
            self.localJobs.next()?.runSynchronously(on: executor)
        }
        self.receiveOn()
        return .lookAtCore
    }

    private func receiveOn() {
        while let call = self.receivers.next() { call.receiveOn() }
    }

    /// Takes over the jobs of other threads; without any, says what to do instead.
    private func takeJobs() -> Turn? {
        self.queue.withLock { queue in
            guard queue.jobs.isEmpty, queue.calls.isEmpty else {
                queue.isBlocked = false
                swap(&self.localJobs, &queue.jobs)
                swap(&self.localCalls, &queue.calls)
                return nil
            }
            guard queue.phase == .ending, !queue.isWaking else {
                queue.isBlocked = true
                return .waitForCore
            }
            queue.phase = .ended
            return .end
        }
    }

    // MARK: The thread

    private func startThread(name: String) {
        let argument = Unmanaged.passRetained(self).toOpaque()
        var thread = pthread_t()
        let result = pthread_create(
            &thread,
            nil,
            { argument in
                let poller = Unmanaged<Poller>.fromOpaque(argument!).takeRetainedValue()
                poller.run()
                return nil
            },
            argument
        )
        precondition(result == 0, "no thread for RPC: \(String(cString: strerror(result)))")
        weft_name_thread(thread, name)
        pthread_detach(thread)
    }

    private func run() {
        self.thread.store(UInt(pthread_self()), ordering: .relaxed)
        let (now, never) = (gpr_inf_past(GPR_CLOCK_MONOTONIC), gpr_inf_future(GPR_CLOCK_MONOTONIC))
        while true {
            let turn = self.runJobs()
            if turn == .end {
                grpc_call_unref(self.bell)
                grpc_completion_queue_shutdown(self.completions)
            }
            let event = grpc_completion_queue_next(self.completions, turn == .lookAtCore ? now : never, nil)
            if event.type == GRPC_QUEUE_SHUTDOWN { break }
            if event.type == GRPC_OP_COMPLETE { self.complete(event) }
        }
        grpc_completion_queue_destroy(self.completions)
        grpc_shutdown()
        self.thread.store(0, ordering: .releasing)
        while let job = self.localJobs.next() { globalConcurrentExecutor.enqueue(job) }
    }

    private func complete(_ event: grpc_event) {
        guard let tag = event.tag else {
            self.queue.withLock { $0.isWaking = false }
            return
        }
        let bits = UInt(bitPattern: tag)
        guard let address = UnsafeRawPointer(bitPattern: bits & ~Operation.mask),
            let operation = Operation(rawValue: bits & Operation.mask)
        else { return }
        self.liveBatches.wrappingSubtract(1, ordering: .acquiring)
        let target = Unmanaged<CompletionTarget>.fromOpaque(address).takeRetainedValue()
        target.complete(operation, succeeded: event.success != 0)
    }
}

/// Jobs in the order in which they came.
private struct JobList<Job> {
    private var jobs: [Job] = []
    private var first = 0

    var isEmpty: Bool { self.first == self.jobs.count }

    mutating func append(_ job: Job) { self.jobs.append(job) }

    mutating func next() -> Job? {
        guard !self.isEmpty else { return nil }
        let job = self.jobs[self.first]
        self.first += 1
        if self.isEmpty {
            self.jobs.removeAll(keepingCapacity: true)
            self.first = 0
        }
        return job
    }
}
