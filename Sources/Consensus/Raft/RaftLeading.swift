/// What a leader does: proposals, appends, and counting copies.
extension Raft {
    // MARK: - Proposals

    /// Why a leader takes nothing now.
    private var refusal: String? {
        if !self.voters.contains(self.id) { return "node \(self.id) is no longer a consenter" }
        if let node = self.transferee { return "leadership is being handed over to node \(node)" }
        return nil
    }

    mutating func propose(_ payload: [UInt8], _ effects: inout Effects) {
        guard self.role == .leader else {
            effects.proposal = .notLeader(leader: self.leader)
            return
        }
        if let refusal {
            effects.proposal = .refused(reason: refusal)
            return
        }
        self.append(.payload(payload), &effects)
    }

    /// Thesis §4.1: one change at a time, and none before the leader knows what earlier terms left behind.
    mutating func propose(_ change: VoterChange, _ effects: inout Effects) {
        guard self.role == .leader else {
            effects.proposal = .notLeader(leader: self.leader)
            return
        }
        if let refusal = self.refusal ?? self.refusal(of: change) {
            effects.proposal = .refused(reason: refusal)
            return
        }
        self.append(RaftEntry.Content(change), &effects)
        self.lastChange = self.log.last.index
    }

    private func refusal(of change: VoterChange) -> String? {
        guard self.lastChange <= self.delivered else {
            return "an earlier change of the consenters, entry \(self.lastChange), is not applied yet"
        }
        switch change {
        case .add(let node):
            if node == 0 { return "0 is no consenter's number" }
            return self.voters.contains(node) ? "node \(node) is a consenter already" : nil
        case .remove(let node):
            guard self.voters.contains(node) else { return "node \(node) is no consenter" }
            return self.voters.count > 1 ? nil : "node \(node) is the last consenter"
        }
    }

    private mutating func append(_ content: RaftEntry.Content, _ effects: inout Effects) {
        let entry = self.log.append(content, term: self.hardState.term)
        self.saveEntries([entry])
        effects.proposal = .accepted(position: entry.position.index)
        self.broadcastAppends(&effects)
    }

    // MARK: - Sending

    /// What a leader sends says only what a quorum holds, or what doesn't count until it is durable elsewhere.
    private mutating func sendEarly(
        _ content: RaftMessage.Content,
        to node: NodeID,
        _ effects: inout Effects
    ) {
        effects.earlyMessages.append(
            RaftMessage(from: self.id, to: node, term: self.hardState.term, content: content)
        )
    }

    mutating func sendHeartbeat(to node: NodeID, _ effects: inout Effects) {
        guard let match = self.progress[node]?.match else { return }
        // Only what the follower is known to hold: what else it has may not be the leader's.
        let commit = min(match, self.hardState.commit)
        self.progress[node]?.told(commit: commit)
        self.sendEarly(.heartbeat(commit: commit), to: node, &effects)
    }

    mutating func broadcastAppends(_ effects: inout Effects) {
        for node in self.voters where node != self.id {
            self.sendAppend(to: node, evenIfEmpty: true, &effects)
        }
    }

    /// Sends what comes next; returns whether anything went out.
    @discardableResult
    private mutating func sendAppend(
        to node: NodeID,
        evenIfEmpty: Bool,
        _ effects: inout Effects
    ) -> Bool {
        guard let follower = self.progress[node], !follower.isPaused else { return false }
        let previous = follower.next &- 1
        guard let term = self.log.term(at: previous) else { return self.sendSnapshot(to: node, &effects) }
        var entries: [RaftEntry] = []
        if follower.takesEntries {
            entries = self.log.entries(from: follower.next, maxBytes: self.configuration.maxMessageBytes)
        }
        guard !entries.isEmpty || evenIfEmpty else { return false }
        let commit = self.hardState.commit
        let append = RaftAppend(
            previous: RaftPosition(index: previous, term: term),
            entries: entries,
            commit: commit
        )
        self.progress[node]?.sent(entries, commit: commit)
        self.sendEarly(.append(append), to: node, &effects)
        return true
    }

    /// Sends everything that was delivered here as a snapshot, since the log no longer holds what the follower lacks.
    private mutating func sendSnapshot(to node: NodeID, _ effects: inout Effects) -> Bool {
        guard self.progress[node]?.isActive == true else { return false }
        guard let term = self.log.term(at: self.delivered) else { return false }
        let position = RaftPosition(index: self.delivered, term: term)
        self.progress[node]?.sentSnapshot(through: position.index)
        // After the decisions of this step, so that the driver has the block.
        self.send(.snapshot(RaftSnapshot(position: position, voters: self.voters)), to: node, &effects)
        return true
    }

    // MARK: - Replies

    mutating func received(match index: UInt64, from message: RaftMessage, _ effects: inout Effects) {
        let node = message.from
        guard self.role == .leader, self.progress[node] != nil else { return }
        self.progress[node]?.isActive = true
        guard index <= self.log.last.index else {
            effects.events.append(
                .refused(from: node, reason: "it holds entry \(index), which this leader never wrote")
            )
            return
        }
        let isNews = self.progress[node]?.matched(index, logStart: self.log.start.index) ?? false
        guard isNews else { return }
        if !self.advanceCommit(&effects), self.progress[node]?.lacksCommit(self.hardState.commit) == true {
            self.sendAppend(to: node, evenIfEmpty: true, &effects)
        }
        while self.sendAppend(to: node, evenIfEmpty: false, &effects) {}
        self.finishTransfer(to: node, &effects)
    }

    mutating func received(
        rejection index: UInt64,
        hint: RaftPosition,
        from message: RaftMessage,
        _ effects: inout Effects
    ) {
        guard self.role == .leader, self.progress[message.from] != nil else { return }
        self.progress[message.from]?.isActive = true
        // Entries of this log with a later term than the follower's can't match either.
        var next = hint.index
        if hint.term > 0 { next = self.log.lastPosition(upTo: hint.index, term: hint.term).index }
        if self.progress[message.from]?.rejected(index, hint: next) == true {
            self.sendAppend(to: message.from, evenIfEmpty: true, &effects)
        }
    }

    mutating func receivedHeartbeatReply(from node: NodeID, _ effects: inout Effects) {
        guard self.role == .leader, self.progress[node] != nil else { return }
        self.progress[node]?.heard()
        guard let follower = self.progress[node] else { return }
        if follower.match < self.log.last.index || follower.isProbing {
            self.sendAppend(to: node, evenIfEmpty: true, &effects)
        }
    }

    // MARK: - Counting

    /// §5.3 and §5.4.2: an entry of the own term that a quorum holds is committed, with everything before it.
    ///
    /// Returns whether any was, and tells everybody.
    @discardableResult
    mutating func advanceCommit(_ effects: inout Effects) -> Bool {
        guard !self.voters.isEmpty else { return false }
        let held = self.voters.map { $0 == self.id ? self.stable : self.progress[$0]?.match ?? 0 }.sorted()
        let index = held[held.count - self.quorum]
        guard index > self.hardState.commit, self.log.term(at: index) == self.hardState.term else {
            return false
        }
        self.hardState.commit = index
        self.broadcastAppends(&effects)
        return true
    }

    // MARK: - Voters

    /// A change of the voters took effect; a leader begins or ends to feed that node.
    mutating func applied(_ change: VoterChange, _ effects: inout Effects) {
        guard self.role == .leader else { return }
        switch change {
        case .add(let node):
            guard node != self.id, self.progress[node] == nil else { return }
            // Counts as heard, so that a leader doesn't step down because of a node that has yet to start.
            self.progress[node] = RaftProgress(
                next: self.log.last.index &+ 1,
                maxInflight: self.configuration.maxInflightMessages,
                isActive: true
            )
            self.sendAppend(to: node, evenIfEmpty: true, &effects)
        case .remove(let node):
            // The last that a removed node hears is that it is.
            self.sendHeartbeat(to: node, &effects)
            self.progress[node] = nil
            if self.transferee == node { self.transferee = nil }
            // The majority may have become smaller.
            self.advanceCommit(&effects)
            if node == self.id { self.follow(nil, in: self.hardState.term) }
        }
    }

    // MARK: - Handing over

    mutating func transferLeadership(to node: NodeID, _ effects: inout Effects) {
        guard self.role == .leader, node != self.id, node != self.transferee else { return }
        guard self.progress[node] != nil else { return }
        self.electionElapsed = 0
        self.transferee = node
        if self.progress[node]?.match != self.log.last.index {
            self.sendAppend(to: node, evenIfEmpty: true, &effects)
        }
        self.finishTransfer(to: node, &effects)
    }

    /// Thesis §3.10: a follower that holds the whole log may campaign at once.
    private mutating func finishTransfer(to node: NodeID, _ effects: inout Effects) {
        guard node == self.transferee, self.progress[node]?.match == self.log.last.index else { return }
        self.send(.timeoutNow, to: node, &effects)
    }
}
