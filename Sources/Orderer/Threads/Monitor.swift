internal import Foundation

/// State that threads share, with a way to wait for it to change.
///
/// For threads of our own only: waiting blocks. Tasks may call ``withLock(_:)``, which never holds the lock for
/// longer than its short body.
final class Monitor<State>: @unchecked Sendable {
    // Why `@unchecked`: `state` is only touched with `condition` locked.
    private var state: State
    private let condition = NSCondition()

    init(_ state: State) { self.state = state }

    /// Runs `body` with the state to itself.
    func withLock<Value, Failure: Error>(_ body: (inout State) throws(Failure) -> Value) throws(Failure)
        -> Value
    {
        self.condition.lock()
        defer { self.condition.unlock() }
        return try body(&self.state)
    }

    /// Wakes one waiting thread.
    func signal() { self.condition.signal() }

    /// Wakes every waiting thread.
    func broadcast() { self.condition.broadcast() }

    /// Runs `body` until it says that it is done, and waits between two runs until woken or until the moment it
    /// names.
    func wait<Value>(for body: (inout State) -> Wait<Value>) -> Value {
        self.condition.lock()
        defer { self.condition.unlock() }
        while true {
            switch body(&self.state) {
            case .done(let value): return value
            case .again(nil): self.condition.wait()
            case .again(let seconds?):
                _ = self.condition.wait(until: Date(timeIntervalSinceNow: seconds.inSeconds))
            }
        }
    }

    enum Wait<Value> {
        case done(Value)
        /// Look again when woken, or after this long.
        case again(Duration?)
    }
}
