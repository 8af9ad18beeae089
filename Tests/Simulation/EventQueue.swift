/// What will happen, in the order of virtual time; what happens at the same moment, in the order in which it was added.
package struct EventQueue<Event> {
    private var agenda = Agenda()
    private var slots: [Event?] = []
    private var free: [Int] = []

    package init() {}

    package var nextMoment: Moment? { self.agenda.first?.moment }

    package mutating func add(_ event: Event, at moment: Moment) {
        let slot: Int
        if let last = self.free.popLast() {
            slot = last
            self.slots[slot] = event
        } else {
            slot = self.slots.count
            self.slots.append(event)
        }
        self.agenda.add(slot, at: moment)
    }

    package mutating func next() -> (moment: Moment, event: Event)? {
        guard let first = self.agenda.removeFirst(), let event = self.slots[first.slot] else { return nil }
        self.slots[first.slot] = nil
        self.free.append(first.slot)
        return (first.moment, event)
    }
}

/// A binary heap of the slots in which events wait, so that only small entries move.
///
/// It is not generic: other modules' events would have it run unspecialized, several times as slowly.
private struct Agenda {
    struct Entry {
        var moment: Moment
        var sequence: Int
        var slot: Int

        func precedes(_ other: Entry) -> Bool {
            self.moment < other.moment || (self.moment == other.moment && self.sequence < other.sequence)
        }
    }

    private var heap: [Entry] = []
    private var sequence = 0

    var first: Entry? { self.heap.first }

    mutating func add(_ slot: Int, at moment: Moment) {
        self.sequence += 1
        self.heap.append(Entry(moment: moment, sequence: self.sequence, slot: slot))
        var child = self.heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard self.heap[child].precedes(self.heap[parent]) else { break }
            self.heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func removeFirst() -> Entry? {
        guard let first = self.heap.first, let last = self.heap.popLast() else { return nil }
        if !self.heap.isEmpty {
            self.heap[0] = last
            self.sink()
        }
        return first
    }

    private mutating func sink() {
        var parent = 0
        while true {
            var child = 2 * parent + 1
            guard child < self.heap.count else { return }
            if child + 1 < self.heap.count, self.heap[child + 1].precedes(self.heap[child]) { child += 1 }
            guard self.heap[child].precedes(self.heap[parent]) else { return }
            self.heap.swapAt(child, parent)
            parent = child
        }
    }
}
