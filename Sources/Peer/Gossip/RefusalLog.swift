internal import Logging
internal import Synchronization

/// Says whom the peer doesn't let in, once for each host and reason and not for each attempt; and counts those who have
/// not said yet who they are.
final class RefusalLog: Sendable {
    /// How long a refusal is remembered, so that it isn't said again.
    static let memory: Duration = .seconds(600)
    /// How many are remembered; strangers of more hosts than that are not told apart.
    static let limit = 256

    private struct State {
        var seen: [String: ContinuousClock.Instant] = [:]
        var strangers = 0
    }

    private let logger: Logger
    private let state = Mutex(State())

    init(logger: Logger) { self.logger = logger }

    /// Notes that a stream was refused.
    func note(_ address: String, _ reason: String) {
        let host = address.lastIndex(of: ":").map { String(address[..<$0]) } ?? address
        let isNew = self.state.withLock { state in
            let now = ContinuousClock.now
            let key = "\(host) \(Self.kind(of: reason))"
            if let seen = state.seen[key], now - seen < Self.memory { return false }
            if state.seen.count >= Self.limit {
                state.seen = state.seen.filter { now - $0.value < Self.memory }
                guard state.seen.count < Self.limit else { return false }
            }
            state.seen[key] = now
            return true
        }
        self.logger.log(
            level: isNew ? .warning : .debug,
            "refused a peer's stream",
            metadata: ["address": "\(address)", "reason": "\(reason)"]
        )
    }

    /// A reason without what a stranger can vary in it: its first words.
    private static func kind(of reason: String) -> String {
        reason.split(separator: " ").prefix(3).joined(separator: " ")
    }

    /// A place among those who have not said who they are; `nil` if all are taken.
    func admit(_ limit: Int) -> Place? {
        let isAdmitted = self.state.withLock { state in
            guard state.strangers < limit else { return false }
            state.strangers += 1
            return true
        }
        return isAdmitted ? Place(self) : nil
    }

    /// A place that is given back once, at the latest with the object.
    final class Place: Sendable {
        private let log: RefusalLog
        private let isLeft = Atomic(false)

        fileprivate init(_ log: RefusalLog) { self.log = log }

        deinit { self.leave() }

        func leave() {
            guard !self.isLeft.exchange(true, ordering: .relaxed) else { return }
            self.log.state.withLock { $0.strangers -= 1 }
        }
    }
}
