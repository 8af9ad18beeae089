internal import FabricProtos
internal import Synchronization

/// The envelopes of one Broadcast stream that wait for a thread to check them.
///
/// A thread takes several at a time, and a further one is woken only when those at work have enough to do: under
/// load a wake costs as much as half a signature check.
final class EnvelopeChecks: Sendable {
    typealias Check = @Sendable (Common_Envelope) -> BroadcastExchange.Verdict

    /// How many envelopes a thread takes at a time.
    private static let share = 8

    private struct State {
        var waiting: [(number: Int, envelope: Common_Envelope)] = []
        /// Threads that check envelopes of this stream, or are about to.
        var threads = 0
    }

    private let state = Mutex(State())
    private let exchange: BroadcastExchange
    private let checkers: WorkerThreads
    private let check: Check

    init(for exchange: BroadcastExchange, on checkers: WorkerThreads, _ check: @escaping Check) {
        self.exchange = exchange
        self.checkers = checkers
        self.check = check
    }

    /// Has an envelope checked, which the exchange knows by `number`.
    func add(_ envelope: Common_Envelope, number: Int) {
        let needsThread = self.state.withLock { state in
            state.waiting.append((number, envelope))
            guard state.threads < self.checkers.count, state.waiting.count > state.threads * Self.share else {
                return false
            }
            state.threads += 1
            return true
        }
        if needsThread { self.checkers.submit { self.work() } }
    }

    private func work() {
        while let share = self.takeShare() {
            self.exchange.checked(share.map { ($0.number, self.check($0.envelope)) })
        }
    }

    private func takeShare() -> [(number: Int, envelope: Common_Envelope)]? {
        self.state.withLock { state in
            guard !state.waiting.isEmpty else {
                state.threads -= 1
                return nil
            }
            let share = Array(state.waiting.prefix(Self.share))
            state.waiting.removeFirst(share.count)
            return share
        }
    }
}
