internal import Foundation

/// State that threads share, with a way to wait for it to change.
///
/// For threads of our own only: waiting blocks. Tasks may call ``withLock(_:)``, which never holds the lock for
/// longer than its short body. A wait is as long as it says, whatever happens to the clock on the wall meanwhile, which
/// `NSCondition` goes by.
final class Monitor<State>: @unchecked Sendable {
    // Why `@unchecked`: `state` is only touched with `mutex` locked.
    private var state: State
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    private let condition = UnsafeMutablePointer<pthread_cond_t>.allocate(capacity: 1)

    init(_ state: State) {
        self.state = state
        pthread_mutex_init(self.mutex, nil)
        var attributes = pthread_condattr_t()
        pthread_condattr_init(&attributes)
        pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC)
        pthread_cond_init(self.condition, &attributes)
        pthread_condattr_destroy(&attributes)
    }

    deinit {
        pthread_cond_destroy(self.condition)
        pthread_mutex_destroy(self.mutex)
        self.condition.deallocate()
        self.mutex.deallocate()
    }

    /// Runs `body` with the state to itself.
    func withLock<Value, Failure: Error>(_ body: (inout State) throws(Failure) -> Value) throws(Failure)
        -> Value
    {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        return try body(&self.state)
    }

    /// Wakes one waiting thread.
    func signal() { pthread_cond_signal(self.condition) }

    /// Wakes every waiting thread.
    func broadcast() { pthread_cond_broadcast(self.condition) }

    /// Runs `body` until it says that it is done, and waits between two runs until woken or until the moment it
    /// names.
    func wait<Value>(for body: (inout State) -> Wait<Value>) -> Value {
        pthread_mutex_lock(self.mutex)
        defer { pthread_mutex_unlock(self.mutex) }
        while true {
            switch body(&self.state) {
            case .done(let value): return value
            case .again(nil): pthread_cond_wait(self.condition, self.mutex)
            case .again(let duration?):
                var moment = Self.moment(in: duration)
                pthread_cond_timedwait(self.condition, self.mutex, &moment)
            }
        }
    }

    private static func moment(in duration: Duration) -> timespec {
        var now = timespec()
        clock_gettime(CLOCK_MONOTONIC, &now)
        // Whoever waits for longer than a day looks again then.
        let (seconds, attoseconds) = min(max(duration, .zero), .seconds(86_400)).components
        let nanoseconds = now.tv_nsec + Int(attoseconds / 1_000_000_000)
        return timespec(
            tv_sec: now.tv_sec + Int(seconds) + nanoseconds / 1_000_000_000,
            tv_nsec: nanoseconds % 1_000_000_000
        )
    }

    enum Wait<Value> {
        case done(Value)
        /// Look again when woken, or after this long.
        case again(Duration?)
    }
}
