internal import DequeModule
internal import Synchronization

/// A queue between one producer and one consumer that holds no more than a bound.
///
/// Each element has a cost, such as its size in bytes. A producer that finds the queue full waits; an element
/// that costs more than the whole bound passes alone.
final class BoundedQueue<Element: Sendable>: Sendable {
    private enum Role { case producer, consumer }

    private struct State {
        var elements: Deque<(element: Element, cost: Int)> = []
        var cost = 0
        var isFinished = false
        var producer: CheckedContinuation<Void, Never>?
        var consumer: CheckedContinuation<Void, Never>?

        mutating func setWaiter(_ waiter: CheckedContinuation<Void, Never>, as role: Role) {
            switch role {
            case .producer: self.producer = waiter
            case .consumer: self.consumer = waiter
            }
        }

        mutating func takeWaiter(_ role: Role) -> CheckedContinuation<Void, Never>? {
            switch role {
            case .producer: self.producer.take()
            case .consumer: self.consumer.take()
            }
        }

        /// Takes out whoever waits, to be resumed outside the lock.
        mutating func waiters() -> [CheckedContinuation<Void, Never>] {
            defer { (self.producer, self.consumer) = (nil, nil) }
            return [self.producer, self.consumer].compactMap(\.self)
        }
    }

    private let limit: Int
    private let state = Mutex(State())

    /// - Parameter limit: the most that the elements may cost together.
    init(limit: Int) {
        self.limit = limit
    }

    /// Appends `element`, once there is room.
    ///
    /// - Throws: `CancellationError` if the task is cancelled while it waits.
    func send(_ element: Element, cost: Int) async throws {
        while true {
            try Task.checkCancellation()
            let (isSent, waiters) = self.state.withLock { state in
                let fits = state.elements.isEmpty || state.cost + cost <= self.limit
                guard fits, !state.isFinished else { return (state.isFinished, state.waiters()) }
                state.elements.append((element, cost))
                state.cost += cost
                return (true, state.waiters())
            }
            for waiter in waiters { waiter.resume() }
            if isSent { return }
            await self.wait(as: .producer) {
                !$0.elements.isEmpty && !$0.isFinished && $0.cost + cost > self.limit
            }
        }
    }

    /// Lets the consumer come to its end once it has taken what is left; what is sent later is dropped.
    func finish() {
        let waiters = self.state.withLock { state in
            state.isFinished = true
            return state.waiters()
        }
        for waiter in waiters { waiter.resume() }
    }

    /// The next element, `nil` when the queue is finished and empty.
    ///
    /// - Throws: `CancellationError` if the task is cancelled.
    func next() async throws -> Element? {
        while true {
            try Task.checkCancellation()
            let (element, isFinished, waiters) = self.state.withLock { state in
                guard let first = state.elements.popFirst() else {
                    return (Element?.none, state.isFinished, state.waiters())
                }
                state.cost -= first.cost
                return (first.element, state.isFinished, state.waiters())
            }
            for waiter in waiters { waiter.resume() }
            if element != nil || isFinished { return element }
            await self.wait(as: .consumer) { $0.elements.isEmpty && !$0.isFinished }
        }
    }

    /// Takes the next element if there is one that meets `condition`; doesn't wait.
    func nextIfReady(where condition: (Element) -> Bool) -> Element? {
        let (element, waiters) = self.state.withLock { state in
            guard let first = state.elements.first, condition(first.element) else {
                return (Element?.none, [CheckedContinuation<Void, Never>]())
            }
            state.elements.removeFirst()
            state.cost -= first.cost
            return (first.element, state.waiters())
        }
        for waiter in waiters { waiter.resume() }
        return element
    }

    /// Waits for the other side to change something, unless `mustWait` no longer holds.
    private func wait(
        as role: Role,
        while mustWait: @Sendable (State) -> Bool
    ) async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let waits = self.state.withLock { state in
                    guard mustWait(state), !Task.isCancelled else { return false }
                    state.setWaiter(continuation, as: role)
                    return true
                }
                if !waits { continuation.resume() }
            }
        } onCancel: {
            self.state.withLock { $0.takeWaiter(role) }?.resume()
        }
    }
}
