/// What a message means to this node's term, and what a follower does with those of a leader.
extension Raft {
    mutating func send(
        _ content: RaftMessage.Content,
        to node: NodeID,
        term: Term? = nil,
        _ effects: inout Effects
    ) {
        effects.messages.append(
            RaftMessage(from: self.id, to: node, term: term ?? self.hardState.term, content: content)
        )
    }

    private func refuse(_ message: RaftMessage, _ reason: String, _ effects: inout Effects) {
        effects.events.append(.refused(from: message.from, reason: reason))
    }

    mutating func receive(_ message: RaftMessage, _ effects: inout Effects) {
        guard message.to == self.id, message.from != self.id, message.from != 0 else {
            return self.refuse(
                message,
                "a message from node \(message.from) to node \(message.to) reached node \(self.id)",
                &effects
            )
        }
        // Without a term is only the answer of a node that has lost its own.
        guard message.term > 0 || message.content == .preVoteReply(granted: false) else {
            return self.refuse(message, "a message has no term", &effects)
        }
        guard self.recollect(message, &effects) else { return }
        if message.term < self.hardState.term { return self.answer(stale: message, &effects) }
        if message.term > self.hardState.term, !self.adoptTerm(of: message) { return }
        switch message.content {
        case .preVote(let last): self.answer(vote: message, last: last, isPreVote: true, &effects)
        case .vote(let last, _): self.answer(vote: message, last: last, isPreVote: false, &effects)
        case .preVoteReply(let granted): self.receive(preVote: granted, message, &effects)
        case .voteReply(let granted): self.receive(vote: granted, message, &effects)
        case .append(let append):
            guard self.accept(leader: message, &effects) else { return }
            self.receive(append, from: message.from, &effects)
        case .heartbeat(let commit):
            guard self.accept(leader: message, &effects) else { return }
            // A commit beyond the log means that this node lost what it once had; the leader finds out.
            if commit <= self.log.last.index { self.commit(commit) }
            self.send(.heartbeatReply, to: message.from, &effects)
        case .snapshot(let snapshot):
            guard self.accept(leader: message, &effects) else { return }
            self.receive(snapshot, from: message.from, &effects)
        case .timeoutNow:
            guard self.role == .follower else { return }
            self.campaign(.transfer, &effects)
        case .appended(let index): self.received(match: index, from: message, &effects)
        case .appendRejected(let index, let hint):
            self.received(rejection: index, hint: hint, from: message, &effects)
        case .heartbeatReply: self.receivedHeartbeatReply(from: message.from, &effects)
        }
    }

    /// Takes over a later term; returns whether the message says anything to this node.
    private mutating func adoptTerm(of message: RaftMessage) -> Bool {
        let hearsLeader = self.leader != nil && self.electionElapsed < self.configuration.electionTicks
        switch message.content {
        // Thesis §4.2.3: who hears from a leader helps nobody to become another one.
        case .preVote: return !hearsLeader
        case .vote(_, let isTransfer):
            guard isTransfer || !hearsLeader else { return false }
            self.follow(nil, in: message.term)
        // A granted pre-vote has the term that was asked for, which nobody is in yet.
        case .preVoteReply(granted: true): break
        case .append, .heartbeat, .snapshot: self.follow(message.from, in: message.term)
        default: self.follow(nil, in: message.term)
        }
        return true
    }

    /// Tells the leader of an earlier term, or a node that asks for votes, which term it is; ignores what else is late.
    private mutating func answer(stale message: RaftMessage, _ effects: inout Effects) {
        switch message.content {
        case .append, .heartbeat: self.send(.appended(index: 0), to: message.from, &effects)
        case .preVote: self.send(.preVoteReply(granted: false), to: message.from, &effects)
        default: break
        }
    }

    /// Whether the sender leads this term, as it claims by its message.
    private mutating func accept(leader message: RaftMessage, _ effects: inout Effects) -> Bool {
        if self.role == .candidate || self.role == .preCandidate {
            self.follow(message.from, in: self.hardState.term)
        }
        guard self.leader == nil || self.leader == message.from else {
            effects.contradiction =
                "nodes \(self.leader ?? 0) and \(message.from) both lead term \(self.hardState.term)"
            return false
        }
        self.leader = message.from
        self.electionElapsed = 0
        return true
    }

    // MARK: - A follower's log

    private mutating func commit(_ index: UInt64) {
        self.hardState.commit = max(self.hardState.commit, min(index, self.log.last.index))
    }

    /// §5.3: takes entries that follow what is here, in place of others of earlier terms.
    private mutating func receive(_ append: RaftAppend, from node: NodeID, _ effects: inout Effects) {
        guard self.isWellFormed(append) else {
            return effects.events.append(
                .refused(from: node, reason: "entries of an append don't follow each other")
            )
        }
        let previous = append.previous
        if previous.index < self.hardState.commit {
            self.recollect(committed: append.commit)
            self.finishRecollection(&effects)
            return self.send(.appended(index: self.hardState.commit), to: node, &effects)
        }
        guard self.log.holds(previous) else {
            // While blocks are pulled the log is known to be too short.
            guard self.catchingUp == nil else { return }
            let hint = self.log.lastPosition(upTo: previous.index, term: previous.term)
            return self.send(.appendRejected(index: previous.index, hint: hint), to: node, &effects)
        }
        if let offset = append.entries.firstIndex(where: { !self.log.holds($0.position) }) {
            let news = Array(append.entries[offset...])
            guard let first = news.first, first.position.index > self.hardState.commit else {
                effects.contradiction =
                    "node \(node) replaces entry \(append.entries[offset].position.index), which is committed"
                return
            }
            self.log.replace(with: news)
            self.saveEntries(news)
        }
        self.recollect(committed: append.commit)
        let last = append.entries.last?.position.index ?? previous.index
        self.commit(min(append.commit, last))
        self.send(.appended(index: last), to: node, &effects)
        self.finishRecollection(&effects)
    }

    private func isWellFormed(_ append: RaftAppend) -> Bool {
        var last = append.previous
        for entry in append.entries {
            guard last.index < UInt64.max, entry.position.index == last.index + 1 else { return false }
            guard entry.position.term >= last.term else { return false }
            last = entry.position
        }
        return last.term <= self.hardState.term && last.index < UInt64.max
    }

    // MARK: - Snapshots

    private mutating func receive(_ snapshot: RaftSnapshot, from node: NodeID, _ effects: inout Effects) {
        let position = snapshot.position
        guard position.term <= self.hardState.term, position.index < UInt64.max else {
            return effects.events.append(
                .refused(from: node, reason: "a snapshot is of a term that has not been")
            )
        }
        guard position.index > self.hardState.commit else {
            return self.send(.appended(index: self.hardState.commit), to: node, &effects)
        }
        guard !self.log.holds(position) else {
            self.commit(position.index)
            return self.send(.appended(index: self.hardState.commit), to: node, &effects)
        }
        guard self.catchingUp == nil else { return }
        self.catchingUp = position
        effects.events.append(.catchUp(snapshot))
    }

    /// The driver holds what the snapshot stands for: the log begins there.
    mutating func install(_ snapshot: RaftSnapshot, _ effects: inout Effects) {
        guard self.catchingUp == snapshot.position else { return }
        self.catchingUp = nil
        let index = snapshot.position.index
        self.held = max(self.held, index)
        if index > self.hardState.commit {
            guard self.role != .leader else {
                effects.contradiction = "this node leads without entry \(index), which is committed"
                return
            }
            if !self.log.holds(snapshot.position) {
                self.restartLog(behind: snapshot)
                self.voters = snapshot.voters
                self.delivered = index
            }
            self.hardState.commit = index
        }
        self.recollect(committed: index)
        self.finishRecollection(&effects)
        guard let leader = self.leader, leader != self.id else { return }
        self.send(.appended(index: self.hardState.commit), to: leader, &effects)
    }
}
