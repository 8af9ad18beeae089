internal import DequeModule
internal import Synchronization

/// The envelopes of all Broadcast streams that wait for a thread to check them.
///
/// A thread takes several at a time, and a further one is woken only when those at work have enough to do: under
/// load a wake costs as much as half a signature check.
final class EnvelopeChecks: Sendable {
    typealias Check = @Sendable (ReceivedEnvelope) -> BroadcastExchange.Verdict

    /// How many envelopes a thread takes at a time.
    private static let share = 4

    private struct Item: Sendable {
        var exchange: BroadcastExchange
        var number: Int
        var envelope: ReceivedEnvelope
    }

    private struct State {
        var waiting: Deque<Item> = []
        /// Threads that check envelopes, or are about to.
        var threads = 0
    }

    private let state = Mutex(State())
    private let checkers: WorkerThreads
    private let check: Check

    init(on checkers: WorkerThreads, _ check: @escaping Check) {
        self.checkers = checkers
        self.check = check
    }

    /// Has an envelope checked, which the exchange knows by `number`.
    func add(_ envelope: ReceivedEnvelope, number: Int, of exchange: BroadcastExchange) {
        let item = Item(exchange: exchange, number: number, envelope: envelope)
        let needsThread = self.state.withLock { state in
            state.waiting.append(item)
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
            for item in share {
                item.exchange.checked([(item.number, self.check(item.envelope))])
            }
        }
    }

    private func takeShare() -> [Item]? {
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
