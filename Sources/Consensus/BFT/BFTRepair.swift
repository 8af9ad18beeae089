/// Messages get lost: a node repeats what it said last, and helps those who are behind, within limits.
extension BFT {
    func broadcast(_ content: BFTMessage.Content, _ effects: inout Effects) {
        for node in self.voters.nodes where node != self.id {
            effects.messages.append(BFTMessage(from: self.id, to: node, content: content))
        }
    }

    // MARK: Saying

    /// The driver signed what was made durable: now others may hear it, and it counts here.
    mutating func signed(_ statement: BFTStatement, _ signature: [UInt8], _ effects: inout Effects) {
        guard statement.height == self.height, !self.isDecided else { return }
        switch statement {
        case .vote(let phase, let ballot):
            let vote = BFTVote(phase: phase, ballot: ballot, signature: signature)
            _ = self.tally.insert(vote, from: self.id)
            if phase == .prepare, self.isLeader, self.proposal?.ballot == ballot, var proposal = self.proposal
            {
                proposal.signature = signature
                self.proposal = proposal
                self.broadcast(.proposal(proposal), &effects)
            } else {
                self.broadcast(.vote(vote), &effects)
            }
        case .timeout(_, let view, let lock):
            guard view == self.view, lock == self.lock?.view else { return }
            let timeout = BFTTimeout(height: self.height, view: view, lock: self.lock, signature: signature)
            self.tally.insert(timeout, from: self.id)
            self.broadcast(.timeout(timeout), &effects)
        }
    }

    /// Everything that this node said in this view, for those who missed it, and where it is.
    mutating func repeatMessages(_ effects: inout Effects) {
        self.broadcast(
            .status(height: self.isDecided ? self.height &+ 1 : self.height, view: self.view),
            &effects
        )
        guard !self.isDecided else { return }
        if let wanted = self.wanted { self.broadcast(.want(height: self.height, digest: wanted), &effects) }
        if self.isLeader, let proposal = self.proposal, !proposal.signature.isEmpty {
            for node in self.voters.nodes where node != self.id {
                let known = self.tally.prepares[node]?.ballot.round.view
                guard known == nil || known.map({ $0 < self.view }) == true else { continue }
                effects.messages.append(BFTMessage(from: self.id, to: node, content: .proposal(proposal)))
            }
        } else if let vote = self.tally.prepares[self.id] {
            self.broadcast(.vote(vote), &effects)
        }
        if let vote = self.tally.commits[self.id] { self.broadcast(.vote(vote), &effects) }
        if let timeout = self.tally.timeouts[self.id], timeout.view == self.view {
            self.broadcast(.timeout(timeout), &effects)
        }
    }

    // MARK: Helping

    /// Whether `node` may be helped once more before the next repeat.
    private mutating func mayAnswer(_ node: NodeID) -> Bool {
        let count = self.answers[node, default: 0]
        guard count < BFTLimits.answers else { return false }
        self.answers[node] = count + 1
        return true
    }

    /// Whether `node` may be sent a block before the next repeat: one, since blocks are large and questions are small.
    private mutating func maySendPayload(_ node: NodeID) -> Bool {
        self.mayAnswer(node) && self.payloadAnswers.insert(node).inserted
    }

    /// To a node at an earlier height: the block that it lacks, if it is the last one, or just how far this node is.
    mutating func answer(_ node: NodeID, height: UInt64, _ effects: inout Effects) {
        let content: BFTMessage.Content
        if let last = self.last, last.certificate.height == height {
            guard self.maySendPayload(node) else { return }
            content = .decision(last.certificate, payload: last.payload)
        } else {
            guard self.mayAnswer(node) else { return }
            content = .status(height: self.height, view: self.view)
        }
        effects.messages.append(BFTMessage(from: self.id, to: node, content: content))
    }

    /// To a node that needs a block.
    mutating func answer(_ node: NodeID, height: UInt64, digest: [UInt8], _ effects: inout Effects) {
        var found: [UInt8]?
        if height == self.height { found = self.payload(of: digest) }
        if let last = self.last, last.certificate.height == height, last.certificate.ballot.digest == digest {
            found = last.payload
        }
        guard let found, self.voters.contains(node), self.maySendPayload(node) else { return }
        effects.messages.append(
            BFTMessage(from: self.id, to: node, content: .payload(height: height, found))
        )
    }

    /// To a node in an earlier view at this height.
    mutating func showTicket(to node: NodeID, _ effects: inout Effects) {
        guard self.mayAnswer(node) else { return }
        effects.messages.append(
            BFTMessage(
                from: self.id,
                to: node,
                content: .enter(height: self.height, view: self.view, self.ticket)
            )
        )
    }

    // MARK: Being behind

    mutating func note(_ height: UInt64, of node: NodeID) {
        self.heights[node] = max(self.heights[node] ?? 0, height)
    }

    /// The driver pulls blocks if f+1 nodes are further, so that one that is honest is, and if this lasted from one
    /// repeat to the next: a node that lacks just the last block gets it faster from the others' answers.
    mutating func noticeBehind(_ effects: inout Effects) {
        self.heights = self.heights.filter {
            self.voters.contains($0.key) || self.held.previousVoters.contains($0.key)
        }
        let claims = self.heights.values.sorted(by: >)
        let faults = self.voters.faults
        guard claims.count > faults, claims[faults] > self.height, !self.isDecided else {
            self.lookedBehindAt = nil
            return
        }
        if self.lookedBehindAt == self.height {
            effects.events.append(.behind(through: claims[faults] - 1))
        }
        self.lookedBehindAt = self.height
    }
}
