/// Tasks that wait for the state of a call to change.
///
/// A value inside a call's lock. Whoever changes the state takes the list with ``removeAll()`` and resumes it
/// after the lock is released; each task then looks at the state again.
struct WaitList {
    typealias Waiter = UnsafeContinuation<Void, Never>

    // Nearly always one at a time, which then costs no memory of its own.
    private var first: (id: UInt64, waiter: Waiter)?
    private var others: [(id: UInt64, waiter: Waiter)] = []

    mutating func append(_ waiter: Waiter, id: UInt64) {
        if self.first == nil {
            self.first = (id, waiter)
        } else {
            self.others.append((id, waiter))
        }
    }

    /// The waiter with this number, if it still waits.
    mutating func remove(id: UInt64) -> Waiter? {
        if let first, first.id == id {
            self.first = nil
            return first.waiter
        }
        guard let index = self.others.firstIndex(where: { $0.id == id }) else { return nil }
        return self.others.remove(at: index).waiter
    }

    mutating func removeAll() -> Woken {
        defer {
            self.first = nil
            self.others = []
        }
        return Woken(first: self.first?.waiter, others: self.others.map(\.waiter))
    }

    /// Tasks to resume outside the lock.
    struct Woken {
        fileprivate var first: Waiter?
        fileprivate var others: [Waiter]

        consuming func resume() {
            self.first?.resume()
            for waiter in self.others { waiter.resume() }
        }
    }
}
