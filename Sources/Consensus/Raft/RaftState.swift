/// A place in the Raft log: the index of an entry and the term in which it was written.
package struct RaftPosition: Equatable, Sendable {
    package var index: UInt64
    package var term: Term

    package init(index: UInt64 = 0, term: Term = 0) {
        self.index = index
        self.term = term
    }
}

/// One entry of the Raft log.
package struct RaftEntry: Equatable, Sendable {
    package enum Content: Equatable, Sendable {
        /// What a new leader writes first, so that entries of earlier terms can be committed.
        case empty
        /// A proposal.
        case payload([UInt8])
        /// From here on this node has a vote.
        case addVoter(NodeID)
        /// From here on this node has no vote.
        case removeVoter(NodeID)
    }

    package var position: RaftPosition
    package var content: Content

    package init(position: RaftPosition, content: Content) {
        self.position = position
        self.content = content
    }

    /// What this entry says about who has votes, if that is what it is about.
    var change: VoterChange? {
        switch self.content {
        case .empty, .payload: nil
        case .addVoter(let node): .add(node)
        case .removeVoter(let node): .remove(node)
        }
    }

    /// Applies what this entry says about who has votes.
    func changeVoters(_ voters: inout [NodeID]) {
        switch self.content {
        case .empty, .payload: break
        case .addVoter(let node):
            if !voters.contains(node) { voters.append(node) }
        case .removeVoter(let node):
            voters.removeAll { $0 == node }
        }
    }
}

extension RaftEntry.Content {
    init(_ change: VoterChange) {
        switch change {
        case .add(let node): self = .addVoter(node)
        case .remove(let node): self = .removeVoter(node)
        }
    }
}

/// What must survive a crash besides the log.
///
/// Losing ``vote`` would let one node vote twice in a term. ``commit`` may lag behind: it is found again.
///
/// Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", figure 2; etcd's
/// `raftpb.HardState`.
package struct RaftHardState: Equatable, Sendable {
    package var term: Term
    package var vote: NodeID?
    package var commit: UInt64

    package init(term: Term = 0, vote: NodeID? = nil, commit: UInt64 = 0) {
        self.term = term
        self.vote = vote
        self.commit = commit
    }
}

/// Where a shortened log begins: everything through ``position`` is gone, and these nodes had votes there.
package struct RaftLogStart: Equatable, Sendable {
    package var position: RaftPosition
    package var voters: [NodeID]

    package init(position: RaftPosition = .init(), voters: [NodeID] = []) {
        self.position = position
        self.voters = voters
    }
}

/// Everything that a Raft node keeps on disk.
package struct RaftState: Equatable, Sendable {
    package var hardState: RaftHardState
    package var start: RaftLogStart
    /// What follows ``start``, without gaps.
    package var entries: [RaftEntry]

    package init(hardState: RaftHardState, start: RaftLogStart, entries: [RaftEntry]) {
        self.hardState = hardState
        self.start = start
        self.entries = entries
    }

    /// What a node holds that joins a running cluster: nothing; a leader will feed it.
    package static let joining = RaftState(hardState: RaftHardState(), start: RaftLogStart(), entries: [])

    /// The state in which a channel begins: one committed entry per founding node that gives it its vote.
    ///
    /// The first leader's empty entry follows, so that the first block of a channel with *n* consenters is
    /// entry *n* + 2.
    ///
    /// Source: etcd raft, `RawNode.Bootstrap`; Fabric v3.1 starts every consenter that way.
    package static func founding(voters: [NodeID]) -> RaftState {
        let entries = voters.enumerated().map { offset, voter in
            RaftEntry(position: RaftPosition(index: UInt64(offset) &+ 1, term: 1), content: .addVoter(voter))
        }
        return RaftState(
            hardState: RaftHardState(term: 1, vote: nil, commit: UInt64(voters.count)),
            start: RaftLogStart(),
            entries: entries
        )
    }
}

/// What a step of ``Raft`` wants on disk, in one atomic batch.
package struct RaftWrite: NumberedWrite {
    package var number: UInt64
    /// All entries that are stored go first: the log begins anew behind a snapshot, at ``start``.
    package var clearsLog = false
    /// Replaces the stored one.
    package var hardState: RaftHardState?
    /// Replace whatever is stored from the first one's index on.
    package var entries: [RaftEntry] = []
    /// Everything through this position may be deleted.
    package var start: RaftLogStart?

    package init(number: UInt64) { self.number = number }

    package mutating func merge(_ next: RaftWrite) {
        self.number = next.number
        if next.clearsLog {
            self.clearsLog = true
            self.entries = []
        }
        self.hardState = next.hardState ?? self.hardState
        if let first = next.entries.first {
            if let last = self.entries.last, last.position.index >= first.position.index {
                self.entries.removeAll { $0.position.index >= first.position.index }
            }
            self.entries += next.entries
        }
        self.start = next.start ?? self.start
    }
}

/// Stored Raft state that no correct node can have written.
package struct RaftStateError: Error, Equatable, CustomStringConvertible {
    package var reason: String

    package init(reason: String) { self.reason = reason }

    package var description: String {
        "the stored consensus state is damaged: \(self.reason); restore the folder from a backup, "
            + "or remove this node's copy of the channel and let it join again"
    }
}
