/// The part of the Raft log that has not been released, and what is known about it.
struct RaftLog: Sendable {
    private(set) var start: RaftPosition
    private var entries: [RaftEntry]

    /// - Throws: ``RaftStateError`` if the entries do not follow the start and each other.
    init(start: RaftPosition, entries: [RaftEntry]) throws(RaftStateError) {
        var last = start
        for entry in entries {
            guard entry.position.index == last.index &+ 1, entry.position.index != 0 else {
                throw RaftStateError(reason: "entry \(entry.position.index) follows entry \(last.index)")
            }
            guard entry.position.term >= last.term else {
                throw RaftStateError(
                    reason:
                        "entry \(entry.position.index) has term \(entry.position.term) after term \(last.term)"
                )
            }
            last = entry.position
        }
        self.start = start
        self.entries = entries
    }

    var last: RaftPosition { self.entries.last?.position ?? self.start }

    /// The term of the entry at `index`, if that is known.
    func term(at index: UInt64) -> Term? {
        if index == self.start.index { return self.start.term }
        return self.entry(at: index)?.position.term
    }

    func holds(_ position: RaftPosition) -> Bool { self.term(at: position.index) == position.term }

    func entry(at index: UInt64) -> RaftEntry? {
        guard index > self.start.index, index <= self.last.index else { return nil }
        return self.entries[Int(index - self.start.index) - 1]
    }

    /// Entries from `index` on, together at most `maxBytes` large, but at least one if there is one.
    func entries(from index: UInt64, maxBytes: Int) -> [RaftEntry] {
        guard index > self.start.index, index <= self.last.index else { return [] }
        let first = Int(index - self.start.index) - 1
        var end = first
        var bytes = 0
        while end < self.entries.count {
            bytes += self.entries[end].size
            if bytes > maxBytes, end > first { break }
            end += 1
        }
        return Array(self.entries[first..<end])
    }

    /// The last entry at or before `index` whose term is at most `term`: where a log that has `term` at `index` may
    /// match this one.
    ///
    /// What is before the start of the log counts as matching; its term is then given as 0.
    func lastPosition(upTo index: UInt64, term: Term) -> RaftPosition {
        var index = min(index, self.last.index)
        while index > self.start.index, let found = self.term(at: index) {
            if found <= term { return RaftPosition(index: index, term: found) }
            index -= 1
        }
        if index == self.start.index, self.start.term <= term { return self.start }
        return RaftPosition(index: index, term: 0)
    }

    /// Adds an entry behind the last one and returns it.
    mutating func append(_ content: RaftEntry.Content, term: Term) -> RaftEntry {
        let position = RaftPosition(index: self.last.index &+ 1, term: term)
        let entry = RaftEntry(position: position, content: content)
        self.entries.append(entry)
        return entry
    }

    /// Replaces everything from the first of `entries` on; that one follows the start or an entry of this log.
    mutating func replace(with entries: [RaftEntry]) {
        guard let first = entries.first, first.position.index > self.start.index else { return }
        let kept = min(Int(first.position.index - self.start.index) - 1, self.entries.count)
        self.entries.removeSubrange(kept...)
        self.entries += entries
    }

    /// Forgets everything through `index`; does nothing if that is already forgotten or not there yet.
    mutating func discard(through index: UInt64) {
        guard let entry = self.entry(at: index) else { return }
        self.entries.removeFirst(Int(index - self.start.index))
        self.start = entry.position
    }

    /// Forgets everything and continues behind `start`.
    mutating func restart(behind start: RaftPosition) {
        self.start = start
        self.entries = []
    }
}

extension RaftEntry {
    /// Its bytes on the wire, about.
    var size: Int {
        guard case .payload(let bytes) = self.content else { return 24 }
        return bytes.count + 24
    }
}

extension RaftPosition {
    /// §5.4.1: a log that ends here holds at least what one that ends at `other` holds, as far as that is committed.
    func isAtLeastAsCurrent(as other: RaftPosition) -> Bool {
        self.term > other.term || (self.term == other.term && self.index >= other.index)
    }
}
