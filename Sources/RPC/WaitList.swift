/// Tasks that wait for the state of a call to change.
///
/// A value inside a call's lock. Whoever changes the state takes the list with ``removeAll()`` and resumes it
/// after the lock is released; each task then looks at the state again.
struct WaitList {
    typealias Waiter = UnsafeContinuation<Void, Never>

    private var waiters: [(id: UInt64, waiter: Waiter)] = []

    mutating func append(_ waiter: Waiter, id: UInt64) {
        self.waiters.append((id, waiter))
    }

    /// The waiter with this number, if it still waits.
    mutating func remove(id: UInt64) -> Waiter? {
        guard let index = self.waiters.firstIndex(where: { $0.id == id }) else { return nil }
        return self.waiters.remove(at: index).waiter
    }

    mutating func removeAll() -> Woken {
        guard !self.waiters.isEmpty else { return Woken(waiters: []) }
        defer { self.waiters.removeAll(keepingCapacity: true) }
        return Woken(waiters: self.waiters.map(\.waiter))
    }

    /// Tasks to resume outside the lock.
    struct Woken {
        fileprivate var waiters: [Waiter]

        consuming func resume() {
            for waiter in self.waiters { waiter.resume() }
        }
    }
}
