/// Raft for one channel with one consenter: a pure step function with etcd's semantics.
///
/// Terms, votes, the empty entry of a new leader, the rule that only entries of the own term are committed by
/// counting, and the hard state are those of etcd's Raft, so that what is stored can be continued by a cluster. A
/// vote, also one's own, counts only when it is durable; so does an entry.
///
/// Only a consenter that is alone runs so far: messages of others are refused.
///
/// Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm", §5; etcd's raft package.
package struct Raft: ConsensusEngine {
    package typealias Message = RaftMessage
    package typealias Write = RaftWrite
    package typealias Command = RaftCommand
    package typealias Event = RaftEvent
    package typealias Input = ConsensusInput<Raft>
    package typealias Effects = ConsensusEffects<Raft>

    /// What this node does in its term; only a candidate has votes, and only a leader counts copies.
    private enum Role: Sendable {
        case follower
        case candidate(votes: [NodeID])
        case leader
    }

    /// A write on its way to the disk.
    private struct PendingWrite: Sendable {
        var number: UInt64
        /// The last entry once it is durable.
        var last: RaftPosition
        /// The term in which it makes this node's vote for itself durable.
        var vote: Term?
    }

    package let id: NodeID
    private let configuration: RaftConfiguration
    package private(set) var hardState: RaftHardState
    package private(set) var voters: [NodeID]
    private var role: Role = .follower
    private var log: RaftLog
    private var start: RaftLogStart
    /// The last entry that is durable here.
    private var stable: RaftPosition
    /// The last entry whose effect the driver has been told.
    private var delivered: UInt64
    private var pendingWrites: [PendingWrite] = []
    private var lastWriteNumber: UInt64 = 0

    /// Continues from what is on disk.
    ///
    /// `delivered` is the position of the last decision that the driver has elsewhere; decisions through it are not
    /// told again.
    ///
    /// - Throws: ``RaftStateError`` if no correct node can have written `state`, or if it is that of a cluster.
    package init(
        id: NodeID,
        configuration: RaftConfiguration,
        restoring state: RaftState,
        delivered: UInt64
    ) throws(RaftStateError) {
        self.id = id
        self.configuration = configuration
        self.hardState = state.hardState
        self.log = try RaftLog(start: state.start.position, entries: state.entries)
        self.start = state.start
        self.voters = state.start.voters
        self.stable = self.log.last
        self.delivered = state.start.position.index
        guard state.hardState.commit <= self.log.last.index else {
            throw RaftStateError(
                reason:
                    "entry \(state.hardState.commit) is committed but the last one is \(self.log.last.index)"
            )
        }
        guard state.hardState.commit >= self.start.position.index else {
            throw RaftStateError(
                reason: "entries through \(self.start.position.index) are released "
                    + "but only those through \(state.hardState.commit) are committed"
            )
        }
        guard self.log.last.term <= state.hardState.term else {
            throw RaftStateError(
                reason:
                    "an entry has term \(self.log.last.term), later than the node's term \(state.hardState.term)"
            )
        }
        guard delivered <= self.log.last.index else {
            throw RaftStateError(
                reason:
                    "the ledger holds the block of entry \(delivered) but the last entry is \(self.log.last.index)"
            )
        }
        // Whatever the driver holds durably was committed, even if the stored commit index lags behind.
        self.hardState.commit = max(self.hardState.commit, delivered)
        self.delivered = max(self.delivered, delivered)
        self.voters = self.voters(through: self.delivered)
        let committed = self.voters(through: self.hardState.commit)
        guard committed == [id] else {
            throw RaftStateError(
                reason: "node \(id) holds the state of consenters \(committed), but it runs alone"
            )
        }
    }

    /// Who has votes after the entry at `index`, which is not released.
    private func voters(through index: UInt64) -> [NodeID] {
        var voters = self.start.voters
        var next = self.start.position.index
        while next < index, let entry = self.log.entry(at: next + 1) {
            next += 1
            entry.changeVoters(&voters)
        }
        return voters
    }

    /// Everything that this node knows of itself and the others.
    package var details: RaftStatus {
        let role: RaftStatus.Role =
            switch self.role {
            case .follower: .follower
            case .candidate: .candidate
            case .leader: .leader
            }
        return RaftStatus(
            role: role,
            leader: self.status.leader,
            term: self.hardState.term,
            voters: self.voters,
            commit: self.hardState.commit,
            applied: self.delivered,
            last: self.log.last,
            transferee: nil,
            followers: [:]
        )
    }

    package var status: ConsensusStatus {
        if case .leader = self.role {
            return ConsensusStatus(isLeader: true, leader: self.id, term: self.hardState.term)
        }
        return ConsensusStatus(isLeader: false, leader: nil, term: self.hardState.term)
    }

    package mutating func step(_ input: Input) -> Effects {
        let before = self.hardState
        var effects = Effects()
        switch input {
        case .tick: self.tick(&effects)
        case .propose(let payload): self.propose(payload, &effects)
        case .stored(let number): self.stored(number, &effects)
        case .released(let index): self.release(through: index, &effects)
        case .received(let message):
            effects.events = [.refused(from: message.from, reason: "node \(self.id) runs alone")]
        case .command: break
        }
        precondition(self.hardState.term >= before.term, "a term never goes back")
        precondition(self.hardState.commit >= before.commit, "the commit index never goes back")
        precondition(
            self.hardState.term > before.term || before.vote == nil || self.hardState.vote == before.vote,
            "a vote never changes within a term"
        )
        return effects
    }

    /// A consenter that is alone need not wait for a leader that it may have missed: it campaigns at once.
    ///
    /// What it knows to be committed is told first, so that it knows who has votes.
    private mutating func tick(_ effects: inout Effects) {
        effects.decisions = self.deliverCommitted()
        guard case .follower = self.role else { return }
        guard self.hardState.term < Term.max else {
            effects.contradiction = "the term has reached its largest value"
            return
        }
        self.hardState.term += 1
        self.hardState.vote = self.id
        self.role = .candidate(votes: [])
        self.write([], vote: self.hardState.term, &effects)
    }

    private mutating func propose(_ payload: [UInt8], _ effects: inout Effects) {
        guard case .leader = self.role else {
            effects.proposal = .notLeader(leader: nil)
            return
        }
        let entry = self.log.append(.payload(payload), term: self.hardState.term)
        effects.proposal = .accepted(position: entry.position.index)
        self.write([entry], vote: nil, &effects)
    }

    private mutating func stored(_ number: UInt64, _ effects: inout Effects) {
        guard number <= self.lastWriteNumber else {
            effects.contradiction =
                "write \(number) is reported durable but only \(self.lastWriteNumber) were asked for"
            return
        }
        var voted = false
        while let write = self.pendingWrites.first, write.number <= number {
            self.pendingWrites.removeFirst()
            self.stable = write.last
            voted = voted || write.vote == self.hardState.term
        }
        if voted, case .candidate(var votes) = self.role {
            votes.append(self.id)
            self.role = .candidate(votes: votes)
            if votes.count >= self.quorum { self.lead(&effects) }
        }
        guard case .leader = self.role else { return }
        self.advanceCommit()
        effects.decisions = self.deliverCommitted()
    }

    /// §5.4.2 and §8: a new leader writes an empty entry, and with it commits what earlier terms left behind.
    private mutating func lead(_ effects: inout Effects) {
        self.role = .leader
        let entry = self.log.append(.empty, term: self.hardState.term)
        self.write([entry], vote: nil, &effects)
    }

    /// How many nodes are more than half of the voters.
    private var quorum: Int { self.voters.count / 2 + 1 }

    /// §5.3 and §5.4.2: an entry of the own term that a quorum holds is committed, with everything before it.
    ///
    /// The only voter is this node, so a quorum holds what is durable here.
    private mutating func advanceCommit() {
        guard self.stable.index > self.hardState.commit, self.stable.term == self.hardState.term else {
            return
        }
        self.hardState.commit = self.stable.index
    }

    /// The committed entries that the driver has not been told yet; applies changes of the voters.
    private mutating func deliverCommitted() -> [Decision] {
        var decisions: [Decision] = []
        while self.delivered < self.hardState.commit {
            guard let entry = self.log.entry(at: self.delivered + 1) else { break }
            self.delivered += 1
            entry.changeVoters(&self.voters)
            if case .payload(let payload) = entry.content {
                decisions.append(Decision(position: entry.position.index, payload: payload))
            }
        }
        return decisions
    }

    /// Drops what the driver has durable elsewhere; an entry that is not yet committed and told stays.
    private mutating func release(through index: UInt64, _ effects: inout Effects) {
        let index = min(index, self.delivered)
        guard index > self.start.position.index, let term = self.log.term(at: index) else { return }
        let voters = self.voters(through: index)
        self.log.discard(through: index)
        self.start = RaftLogStart(position: RaftPosition(index: index, term: term), voters: voters)
        self.write([], vote: nil, start: self.start, &effects)
    }

    private mutating func write(
        _ entries: [RaftEntry],
        vote: Term?,
        start: RaftLogStart? = nil,
        _ effects: inout Effects
    ) {
        precondition(effects.write == nil, "one step asks for one write")
        self.lastWriteNumber += 1
        var write = RaftWrite(number: self.lastWriteNumber)
        // Written along each time: it is small, and carries the commit index.
        write.hardState = self.hardState
        write.entries = entries
        write.start = start
        self.pendingWrites.append(PendingWrite(number: write.number, last: self.log.last, vote: vote))
        effects.write = write
    }
}
