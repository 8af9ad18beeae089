/// The rules of the protocol. Each looks at what the node knows and either changes something or doesn't apply.
///
/// "Section" refers to the decision record, docs/decisions/0032-bft-protocol.md.
extension BFT {
    mutating func applyRules(_ effects: inout Effects) {
        while effects.contradiction == nil, !self.isDecided, self.applyOneRule(&effects) {}
    }

    private mutating func applyOneRule(_ effects: inout Effects) -> Bool {
        if self.decide(&effects) { return true }
        guard self.mayVote else { return false }
        return self.enterNextView(&effects)
            || self.giveUp(&effects)
            || self.proposeAgain(&effects)
            || self.prepare(&effects)
            || self.commit(&effects)
    }

    /// A node votes only if it has a vote, and only if everything before the last block is durable in its ledger:
    /// its record keeps just one decided block.
    var mayVote: Bool {
        guard self.voters.contains(self.id) else { return false }
        return self.released >= self.held.height
            || (self.last != nil && self.released &+ 1 >= self.held.height)
    }

    var quorum: Int { self.voters.quorum }

    // MARK: Proposing

    /// The round in which this node would propose or vote in its view, as its ticket says.
    var round: BFTRound { self.round(of: self.ticket, in: self.view) }

    func round(of ticket: BFTTicket, in view: BFTView) -> BFTRound {
        var decisions: UInt64 = 0
        if case .decided(let certificate) = ticket {
            decisions = certificate.ballot.round.decisionsInView &+ 1
        }
        return BFTRound(height: self.height, view: view, decisionsInView: decisions)
    }

    var mayPropose: Bool {
        self.isLeader && self.mayVote && !self.isDecided && !self.timedOut && !self.hasVotedInView
            && self.final == nil
    }

    private var hasVotedInView: Bool { self.voted?.round.view == self.view }

    /// The only block that this leader may propose, if it isn't free: the highest lock of the timeout certificate that
    /// it entered with, or its own if it entered without one.
    ///
    /// Source: HotStuff-2, propose: extend the highest certificate known; Jolteon §3, the same after a timeout.
    var obligation: [UInt8]? {
        if case .timedOut(let certificate) = self.ticket { return certificate.lock?.ballot.digest }
        return self.lock?.ballot.digest
    }

    /// The driver offers a block.
    mutating func propose(_ payload: [UInt8], _ effects: inout Effects) {
        guard self.isLeader else {
            effects.proposal = .notLeader(leader: self.leader)
            return
        }
        guard self.mayPropose else {
            effects.proposal = .refused(
                reason:
                    "view \(self.view) of block \(self.height) is under way: propose again when it is over"
            )
            return
        }
        guard self.obligation == nil else {
            effects.proposal = .refused(
                reason: "a block of an earlier view comes first: propose again behind it"
            )
            return
        }
        let digest = self.digest(payload)
        self.verdicts[digest] = .valid
        self.propose(BFTPayload(digest: digest, bytes: payload), &effects)
        effects.proposal = .accepted(position: self.height)
    }

    /// A leader that isn't free proposes without the driver.
    private mutating func proposeAgain(_ effects: inout Effects) -> Bool {
        guard self.mayPropose, let digest = self.obligation else { return false }
        guard let bytes = self.payload(of: digest) else { return self.want(digest, &effects) }
        let ballot = BFTBallot(round: self.round, digest: digest)
        guard self.isValid(ballot, bytes, &effects) else { return false }
        self.propose(BFTPayload(digest: digest, bytes: bytes), &effects)
        return true
    }

    private mutating func propose(_ payload: BFTPayload, _ effects: inout Effects) {
        let ballot = BFTBallot(round: self.round, digest: payload.digest)
        self.proposal = BFTProposal(
            ballot: ballot,
            payload: payload.bytes,
            ticket: self.ticket,
            signature: []
        )
        self.vote(for: ballot, payload, &effects)
    }

    // MARK: Prepare

    /// The first phase: one vote in each view, for a block that is valid and that the lock rule admits.
    private mutating func prepare(_ effects: inout Effects) -> Bool {
        guard let proposal = self.proposal, !self.isLeader, !self.timedOut, !self.hasVotedInView else {
            return false
        }
        guard self.admits(proposal) else { return false }
        guard self.isValid(proposal.ballot, proposal.payload, &effects) else { return false }
        self.vote(
            for: proposal.ballot,
            BFTPayload(digest: proposal.ballot.digest, bytes: proposal.payload),
            &effects
        )
        return true
    }

    /// The lock rule, section 3.
    ///
    /// After a timeout the quorum's highest lock binds everybody, and frees a node from a lower lock of its own: a
    /// block that was decided is locked by one honest node in every quorum. Without a timeout nothing frees it.
    ///
    /// Source: HotStuff-2, the rule for voting: a node supports what isn't ranked lower than its lock; Jolteon §3, the rule
    /// for voting in a round that follows a timeout certificate.
    func admits(_ proposal: BFTProposal) -> Bool {
        let lock: BFTCertificate?
        if case .timedOut(let certificate) = proposal.ticket {
            lock = certificate.lock
        } else {
            lock = self.lock
        }
        return lock == nil || lock?.ballot.digest == proposal.ballot.digest
    }

    /// What the driver thinks of a block; asks once.
    ///
    /// A block that it refuses ends the leader's view.
    private mutating func isValid(_ ballot: BFTBallot, _ payload: [UInt8], _ effects: inout Effects) -> Bool {
        if let verdict = self.verdicts[ballot.digest] { return verdict == .valid }
        self.verdicts[ballot.digest] = .asked
        effects.events.append(.validate(ballot, payload: payload))
        return false
    }

    private mutating func vote(for ballot: BFTBallot, _ payload: BFTPayload, _ effects: inout Effects) {
        self.voted = ballot
        self.keep(payload)
        self.recordChanged = true
        effects.events.append(.sign(.vote(.prepare, ballot)))
    }

    // MARK: Commit

    /// The second phase: a quorum prepared a block in this view; this node locks on it and signs it.
    ///
    /// This vote is Fabric's block signature. It names the view, so that q of them say that a quorum locked on this
    /// block in one and the same view: that is finality, section 5.
    private mutating func commit(_ effects: inout Effects) -> Bool {
        guard !self.timedOut, self.lock?.view != self.view else { return false }
        guard let certificate = self.tally.certificate(.prepare, view: self.view, quorum: self.quorum) else {
            return false
        }
        let digest = certificate.ballot.digest
        guard let bytes = self.payload(of: digest) else { return self.want(digest, &effects) }
        guard self.isValid(certificate.ballot, bytes, &effects) else { return false }
        self.lock = certificate
        self.keep(BFTPayload(digest: digest, bytes: bytes))
        self.recordChanged = true
        effects.events.append(.sign(.vote(.commit, certificate.ballot)))
        return true
    }

    /// A quorum committed: final.
    ///
    /// The block may be missing; then it is fetched.
    private mutating func decide(_ effects: inout Effects) -> Bool {
        if self.final == nil { self.final = self.tally.certificate(.commit, quorum: self.quorum) }
        guard let final = self.final else { return false }
        guard let payload = self.payload(of: final.ballot.digest) else {
            return self.want(final.ballot.digest, &effects)
        }
        self.last = BFTDecided(certificate: final, payload: payload)
        self.isDecided = true
        effects.decisions.append(Decision(position: self.height, payload: payload))
        effects.events.append(.final(final))
        return true
    }

    // MARK: Payloads

    /// Whoever voted for a block keeps it until the height is decided, so that a leader that must propose it again
    /// finds it with f+1 honest nodes.
    private mutating func keep(_ payload: BFTPayload) {
        guard !self.payloads.contains(where: { $0.digest == payload.digest }) else { return }
        self.payloads.append(payload)
        self.newPayloads.append(payload)
        if self.payloads.count > BFTLimits.payloads,
            let oldest = self.payloads.firstIndex(where: { $0.digest != self.lock?.ballot.digest })
        {
            self.payloads.remove(at: oldest)
        }
    }

    func payload(of digest: [UInt8]) -> [UInt8]? {
        if let kept = self.payloads.first(where: { $0.digest == digest }) { return kept.bytes }
        if let fetched = self.fetched, fetched.digest == digest { return fetched.bytes }
        if let proposal = self.proposal, proposal.ballot.digest == digest { return proposal.payload }
        return nil
    }

    /// Asks everybody for a block, once, and then with each repeat.
    private mutating func want(_ digest: [UInt8], _ effects: inout Effects) -> Bool {
        guard self.wanted != digest else { return false }
        self.wanted = digest
        self.broadcast(.want(height: self.height, digest: digest), &effects)
        return false
    }
}
