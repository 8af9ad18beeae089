import Consensus

/// What must hold after every step, whatever goes wrong.
struct Invariants {
    private struct Written {
        var entry: UInt64
        var previousTerm: Term
    }

    /// The first breach; the run ends with it.
    private(set) var violation: String?
    private var leaders: [Term: NodeID] = [:]
    private var votes: [NodeID: [Term: NodeID]] = [:]
    private var terms: [NodeID: Term] = [:]
    /// Every entry that was ever written, by index and term.
    private var written: [UInt64: [Term: Written]] = [:]
    /// The committed entries, by index less one.
    private var committed: [(term: Term, entry: UInt64)] = []
    /// The hashes of the blocks, by number.
    private(set) var blocks: [UInt64]
    private(set) var acknowledged: [(envelope: UInt64, block: UInt64)] = []

    /// The founding entries are part of every node's log before any is written.
    init(genesis: SimulatedBlock, founding: RaftState) {
        self.blocks = [genesis.hash]
        for entry in founding.entries { self.committed.append((entry.position.term, Self.digest(entry))) }
    }

    mutating func violated(_ text: String) { self.violation = self.violation ?? text }

    var committedCount: Int { self.committed.count }

    /// Election safety: at most one leader per term.
    mutating func leads(_ node: NodeID, term: Term) {
        if let other = self.leaders.updateValue(node, forKey: term), other != node {
            self.violated("nodes \(other) and \(node) both lead term \(term)")
        }
    }

    /// At most one vote per term and node, also across crashes.
    mutating func votes(_ node: NodeID, for candidate: NodeID, term: Term) {
        if let other = self.votes[node, default: [:]].updateValue(candidate, forKey: term), other != candidate
        {
            self.violated("node \(node) votes for nodes \(other) and \(candidate) in term \(term)")
        }
    }

    /// What a node says in one term it doesn't say in an earlier one later.
    mutating func speaks(_ node: NodeID, term: Term) {
        let last = self.terms[node] ?? 0
        if term < last { self.violated("node \(node) goes back from term \(last) to term \(term)") }
        self.terms[node] = max(term, last)
    }

    /// Log matching: one entry per index and term, and the entries before it are the same in all logs.
    mutating func writes(_ node: NodeID, _ entries: [RaftEntry], after previousTerm: Term) {
        var previousTerm = previousTerm
        for entry in entries {
            let digest = Self.digest(entry)
            let known = self.written[entry.position.index, default: [:]][entry.position.term]
            if let known, known.entry != digest || known.previousTerm != previousTerm {
                self.violated(
                    "node \(node) has another entry \(entry.position.index) of term \(entry.position.term)"
                )
            }
            if known == nil {
                self.written[entry.position.index, default: [:]][entry.position.term] =
                    Written(entry: digest, previousTerm: previousTerm)
            }
            previousTerm = entry.position.term
        }
    }

    /// State machine safety: what one node knows as committed, every other one has there too, for ever.
    mutating func commits(_ node: NodeID, _ entry: RaftEntry) {
        let offset = Int(entry.position.index) - 1
        let digest = Self.digest(entry)
        if offset < self.committed.count {
            guard self.committed[offset] == (entry.position.term, digest) else {
                return self.violated("node \(node) commits another entry \(entry.position.index)")
            }
        } else if offset == self.committed.count {
            self.committed.append((entry.position.term, digest))
        } else {
            self.violated("node \(node) commits entry \(entry.position.index), which has a gap before it")
        }
    }

    /// One block per height.
    mutating func appends(_ node: NodeID, _ block: SimulatedBlock) {
        let number = Int(block.number)
        if number == self.blocks.count {
            self.blocks.append(block.hash)
        } else if number > self.blocks.count || self.blocks[number] != block.hash {
            self.violated("node \(node) has another block \(number)")
        }
    }

    /// A client was told that its envelope is ordered.
    mutating func acknowledges(_ envelopes: [UInt64], in block: UInt64) {
        for envelope in envelopes { self.acknowledged.append((envelope, block)) }
    }

    private static func digest(_ entry: RaftEntry) -> UInt64 {
        switch entry.content {
        case .empty: return 1
        case .addVoter(let node): return 2 &+ node &* 4
        case .removeVoter(let node): return 3 &+ node &* 4
        case .payload(let bytes):
            var hash: UInt64 = 0xcbf2_9ce4_8422_2325
            for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
            return hash
        }
    }
}
