/// What a node has found out since it lost everything that it had promised the others: its votes, and the entries that it
/// said it holds.
///
/// Such a node is a voter that must not vote, since it can't know in which terms it did, and for whom: it might give one
/// term two leaders, or help a leader that lacks an entry of which a quorum, and it in that quorum, once said that it is
/// durable. It comes back in two steps:
/// 1. It asks all other voters for their terms, by a pre-vote for term 1, which nobody grants and everybody answers, also
///    etcd's nodes. Until all have, it says nothing else to anybody. Whoever it voted for has that term on disk, so that
///    the highest answer is at least as high as every term in which it ever voted; it counts as having voted there.
///    Others that have lost what they promised say so, by term 0, and are not waited for as long as no more have lost
///    it, this node among them, than the voters can do without.
/// 2. It takes entries of a leader of such a term, or of a later one, without voting, until it holds an entry of that very
///    term and everything that the leader knows to be committed. Without its vote, every quorum that elects meets every
///    quorum that it was in at another node, so that this leader has all that was ever committed; and so has the node now.
///
/// Where it has but one other voter, nothing is decided without the two, so that the other one's log has everything: then
/// it votes for that one after the first step.
///
/// The argument in full: `docs/decisions/0036-lost-disks.md`. Sources: Liskov and Cowling, "Viewstamped Replication
/// Revisited", §4.3, recovery; Michael, Ports, Sharma and Szekeres, "Recovering Shared Objects Without Stable Storage",
/// 2017, on why a majority of answers is not enough.
struct RaftRecollection: Sendable {
    /// The other voters, as far as the newest configuration tells.
    var others: Set<NodeID>
    /// Those whose term is known since this node started.
    var answered: Set<NodeID> = []
    /// Those that said that they have lost theirs, too.
    var forgetful: Set<NodeID> = []
    /// What the leader knew to be committed, when it sent the first entries that were taken since then.
    var committed: (term: Term, index: UInt64)?
    var ticks = 0

    init(others: [NodeID]) { self.others = Set(others) }

    /// Whose terms this node waits for.
    var missing: Set<NodeID> {
        let unknown = self.others.subtracting(self.answered)
        // A minority of all, of which this node is one.
        let isMinority = unknown.count < max(1, self.others.count / 2)
        return isMinority && unknown.isSubset(of: self.forgetful) ? [] : unknown
    }

    /// Whether this node knows a term that is not before any in which it voted.
    var knowsTerm: Bool { self.missing.isEmpty }
}

extension Raft {
    /// Whether this node may help to elect a leader.
    var mayVote: Bool {
        guard let recollection else { return true }
        return recollection.knowsTerm && recollection.others.count == 1
    }

    /// What a message means to a node that has lost its promises; returns whether it means the usual besides.
    mutating func recollect(_ message: RaftMessage, _ effects: inout Effects) -> Bool {
        guard let recollection else { return true }
        switch message.content {
        case .preVoteReply(let isGranted):
            guard !recollection.knowsTerm, recollection.others.contains(message.from) else { return false }
            if message.term == 0 {
                self.recollection?.forgetful.insert(message.from)
            } else {
                if !isGranted, message.term > self.hardState.term { self.follow(nil, in: message.term) }
                self.recollection?.answered.insert(message.from)
            }
            self.finishAsking()
            return false
        case .preVote(last: RaftPosition()) where message.term == 1 && !self.mayVote:
            self.send(.preVoteReply(granted: false), to: message.from, term: 0, &effects)
            return false
        default:
            return recollection.knowsTerm
        }
    }

    /// In the term that is now known this node may have voted; a vote that it remembers stays, since it is never replaced.
    private mutating func finishAsking() {
        guard self.recollection?.knowsTerm == true, self.hardState.vote == nil else { return }
        self.hardState.vote = self.id
    }

    /// The other voters are these, as far as the newest configuration tells.
    mutating func recollect(from others: [NodeID]) {
        guard self.recollection != nil else { return }
        self.recollection?.others = Set(others)
        self.finishAsking()
        // Who takes nothing of a leader has none, and the driver looks elsewhere for what it lacks.
        if self.recollection?.knowsTerm == false { self.follow(nil, in: self.hardState.term) }
    }

    /// Asks those whose term is not known.
    mutating func tickRecollection(_ effects: inout Effects) {
        guard let recollection, !recollection.knowsTerm else { return }
        self.recollection?.ticks += 1
        guard recollection.ticks % max(1, self.configuration.heartbeatTicks) == 0 else { return }
        for node in recollection.missing.sorted() {
            self.send(.preVote(last: RaftPosition()), to: node, term: 1, &effects)
        }
    }

    /// What the leader sent fits to what is here; it knew then that entries through `index` are committed.
    mutating func recollect(committed index: UInt64) {
        guard let recollection, recollection.knowsTerm, self.leader != nil else { return }
        if let known = recollection.committed, known.term == self.hardState.term { return }
        self.recollection?.committed = (self.hardState.term, index)
    }

    /// Whether this node holds, durably, all that it can ever have said that it holds: it is a voter as the others again.
    mutating func finishRecollection(_ effects: inout Effects) {
        guard let recollection, let committed = recollection.committed, let leader = self.leader,
            committed.term == self.hardState.term, self.log.last.term == self.hardState.term,
            self.stable >= committed.index, self.stable >= self.log.last.index
        else { return }
        self.recollection = nil
        // Where it counts as having voted already, that stays: a vote is never replaced.
        if self.hardState.vote == nil { self.hardState.vote = leader }
        effects.events.append(.recollected)
    }
}
