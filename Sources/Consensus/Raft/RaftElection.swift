/// Time, terms and votes.
extension Raft {
    enum Campaign {
        /// Ask first who would vote (thesis §9.6), so that a node that was cut off doesn't disturb.
        case preVote
        case election
        /// The leader asked for it (thesis §3.10): others vote although they hear from a leader.
        case transfer
    }

    // MARK: - Time

    mutating func tick(_ effects: inout Effects) {
        if self.role == .leader { return self.tickLeader(&effects) }
        self.tickRecollection(&effects)
        self.electionElapsed += 1
        if self.voters == [self.id] {
            // Nobody else can be leader, so there is nothing to wait for but the own vote.
            guard self.role != .candidate else { return self.countOwnVote(&effects) }
        } else {
            guard self.electionElapsed >= self.electionTimeout else { return }
        }
        self.electionElapsed = 0
        self.campaign(.preVote, &effects)
    }

    /// Heartbeats; and a leader that hears from no quorum for an election timeout steps down (thesis §6.2).
    private mutating func tickLeader(_ effects: inout Effects) {
        self.electionElapsed += 1
        self.heartbeatElapsed += 1
        if self.electionElapsed >= self.configuration.electionTicks {
            self.electionElapsed = 0
            let active = self.voters.count { $0 == self.id || self.progress[$0]?.isActive == true }
            guard active >= self.quorum else { return self.follow(nil, in: self.hardState.term) }
            for node in self.progress.keys { self.progress[node]?.isActive = false }
            self.transferee = nil
        }
        guard self.heartbeatElapsed >= self.configuration.heartbeatTicks else { return }
        self.heartbeatElapsed = 0
        for node in self.voters where node != self.id { self.sendHeartbeat(to: node, &effects) }
    }

    mutating func restartElectionTimer() {
        self.electionElapsed = 0
        let ticks = max(1, self.configuration.electionTicks)
        self.electionTimeout = ticks + self.random.next(below: ticks)
    }

    // MARK: - Roles

    /// Becomes a follower, of `leader` if that is known.
    mutating func follow(_ leader: NodeID?, in term: Term) {
        if term != self.hardState.term {
            self.hardState.term = term
            self.hardState.vote = nil
        }
        self.enter(.follower, leader: leader)
    }

    private mutating func enter(_ role: RaftStatus.Role, leader: NodeID?) {
        self.role = role
        self.leader = leader
        self.votes = [:]
        self.progress = [:]
        self.transferee = nil
        self.heartbeatElapsed = 0
        self.restartElectionTimer()
    }

    mutating func campaign(_ campaign: Campaign, _ effects: inout Effects) {
        guard self.role != .leader, self.voters.contains(self.id), self.catchingUp == nil,
            self.recollection == nil
        else { return }
        guard !self.hasUndeliveredChange, self.log.last.index >= self.held else { return }
        guard self.hardState.term < Term.max else {
            effects.contradiction = "the term has reached its largest value"
            return
        }
        let others = self.voters.filter { $0 != self.id }
        let last = self.log.last
        if campaign == .preVote, !others.isEmpty {
            self.enter(.preCandidate, leader: nil)
            self.votes[self.id] = true
            for node in others {
                self.send(.preVote(last: last), to: node, term: self.hardState.term + 1, &effects)
            }
            return
        }
        self.hardState.term += 1
        self.hardState.vote = self.id
        self.enter(.candidate, leader: nil)
        for node in others {
            self.send(.vote(last: last, isTransfer: campaign == .transfer), to: node, &effects)
        }
    }

    /// Who has votes isn't known for sure while a committed change of it is not applied.
    private var hasUndeliveredChange: Bool {
        var index = self.delivered
        while index < self.hardState.commit, let entry = self.log.entry(at: index + 1) {
            if entry.change != nil { return true }
            index += 1
        }
        return false
    }

    /// §5.4.2 and §8: a new leader writes an empty entry, and with it commits what earlier terms left behind.
    private mutating func lead(_ effects: inout Effects) {
        let next = self.log.last.index &+ 1
        self.enter(.leader, leader: self.id)
        for node in self.voters where node != self.id {
            self.progress[node] = RaftProgress(
                next: next,
                maxInflight: self.configuration.maxInflightMessages,
                isActive: false
            )
        }
        self.saveEntries([self.log.append(.empty, term: self.hardState.term)])
        // Until then, it can't be told whether a change of the voters is under way.
        self.lastChange = next
        self.broadcastAppends(&effects)
    }

    // MARK: - Votes

    /// §5.2, §5.4.1: one vote per term, for who has at least this log.
    ///
    /// A node whose ledger is ahead of its log, since it joined or lost its log, knows by the ledger what is committed:
    /// no leader can have less.
    mutating func answer(
        vote message: RaftMessage,
        last: RaftPosition,
        isPreVote: Bool,
        _ effects: inout Effects
    ) {
        let isFree =
            self.hardState.vote == message.from
            || (self.hardState.vote == nil && self.leader == nil)
            || (isPreVote && message.term > self.hardState.term)
        let isGranted =
            self.mayVote && isFree && last.isAtLeastAsCurrent(as: self.log.last) && last.index >= self.held
        // A node without a term can't tell one.
        guard isGranted || self.hardState.term > 0 else { return }
        if isGranted, !isPreVote {
            self.electionElapsed = 0
            self.hardState.vote = message.from
        }
        self.send(
            isPreVote ? .preVoteReply(granted: isGranted) : .voteReply(granted: isGranted),
            to: message.from,
            // The candidate counts a granted pre-vote for the term that it asked for.
            term: isGranted ? message.term : self.hardState.term,
            &effects
        )
    }

    mutating func receive(preVote isGranted: Bool, _ message: RaftMessage, _ effects: inout Effects) {
        guard self.role == .preCandidate else { return }
        guard !isGranted || message.term == self.hardState.term + 1 else { return }
        self.votes[message.from] = isGranted
        self.tally(&effects)
    }

    mutating func receive(vote isGranted: Bool, _ message: RaftMessage, _ effects: inout Effects) {
        guard self.role == .candidate else { return }
        self.votes[message.from] = isGranted
        self.tally(&effects)
    }

    /// The vote for itself counts as soon as it is durable.
    mutating func countOwnVote(_ effects: inout Effects) {
        guard self.durable.term == self.hardState.term, self.durable.vote == self.id else { return }
        self.votes[self.id] = true
        self.tally(&effects)
    }

    private mutating func tally(_ effects: inout Effects) {
        let granted = self.voters.count { self.votes[$0] == true }
        let refused = self.voters.count { self.votes[$0] == false }
        if granted >= self.quorum {
            if self.role == .preCandidate {
                self.campaign(.election, &effects)
            } else {
                self.lead(&effects)
            }
        } else if self.voters.count - refused < self.quorum {
            self.follow(nil, in: self.hardState.term)
        }
    }
}
