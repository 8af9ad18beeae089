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

    func entry(at index: UInt64) -> RaftEntry? {
        guard index > self.start.index, index <= self.last.index else { return nil }
        return self.entries[Int(index - self.start.index) - 1]
    }

    /// Adds an entry behind the last one and returns it.
    mutating func append(_ content: RaftEntry.Content, term: Term) -> RaftEntry {
        let position = RaftPosition(index: self.last.index &+ 1, term: term)
        let entry = RaftEntry(position: position, content: content)
        self.entries.append(entry)
        return entry
    }

    /// Forgets everything through `index`; does nothing if that is already forgotten or not there yet.
    mutating func discard(through index: UInt64) {
        guard let entry = self.entry(at: index) else { return }
        self.entries.removeFirst(Int(index - self.start.index))
        self.start = entry.position
    }
}
