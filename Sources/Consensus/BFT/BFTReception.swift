/// What a node does with a message: it keeps what the rules need, and helps who is behind.
extension BFT {
    mutating func receive(_ message: BFTMessage, _ effects: inout Effects) {
        guard message.to == self.id, message.from != self.id else {
            return self.refuse(message, "it isn't for this node", &effects)
        }
        switch message.content {
        case .want(let height, let digest):
            return self.answer(message.from, height: height, digest: digest, &effects)
        case .payload(let height, let bytes):
            return self.fetch(height: height, bytes)
        case .decision(let certificate, let payload):
            return self.learn(certificate, payload, &effects)
        case .proposal, .vote, .timeout, .enter, .status: break
        }
        guard self.voters.contains(message.from) || self.held.previousVoters.contains(message.from) else {
            return
        }
        self.note(message.height, of: message.from)
        if message.height == self.height {
            self.receiveAtHeight(message, &effects)
        } else if message.height < self.height {
            self.answer(message.from, height: message.height, &effects)
        } else {
            self.receiveAhead(message, &effects)
        }
    }

    private mutating func receiveAtHeight(_ message: BFTMessage, _ effects: inout Effects) {
        guard self.voters.contains(message.from) else { return }
        switch message.content {
        case .proposal(let proposal): self.receive(proposal, message, &effects)
        case .vote(let vote): self.receive(vote, message, &effects)
        case .timeout(let timeout): self.receive(timeout, message, &effects)
        case .enter(_, let view, let ticket): self.follow(ticket, to: view, message, &effects)
        case .status(_, let view):
            if view < self.view { self.showTicket(to: message.from, &effects) }
        case .decision, .want, .payload: break
        }
    }

    /// The sender has decided this height already.
    ///
    /// Its proposal proves it: the ticket is what makes the block final.
    private mutating func receiveAhead(_ message: BFTMessage, _ effects: inout Effects) {
        guard message.height == self.height &+ 1 else { return }
        self.early.keep(message)
        switch message.content {
        case .proposal(let proposal):
            if case .decided(let certificate) = proposal.ticket { self.learn(certificate, nil, &effects) }
        case .enter(_, _, .decided(let certificate)): self.learn(certificate, nil, &effects)
        default: break
        }
    }

    // MARK: At this height

    private mutating func receive(_ proposal: BFTProposal, _ message: BFTMessage, _ effects: inout Effects) {
        let view = proposal.ballot.round.view
        guard view >= self.view else { return self.showTicket(to: message.from, &effects) }
        guard message.from == self.voters.leader(of: view) else {
            return self.refuse(message, "only the leader of view \(view) proposes in it", &effects)
        }
        guard self.isValid(proposal.ticket, for: view) else {
            return self.refuse(message, "its ticket doesn't lead into view \(view)", &effects)
        }
        guard proposal.ballot.round == self.round(of: proposal.ticket, in: view),
            proposal.ballot.digest == self.digest(proposal.payload)
        else { return self.refuse(message, "its round or digest is wrong", &effects) }
        if self.canEnter(view) { self.enter(view, proposal.ticket, &effects) }
        if self.proposal == nil { self.proposal = proposal }
        let vote = BFTVote(phase: .prepare, ballot: proposal.ballot, signature: proposal.signature)
        self.receive(vote, message, &effects)
    }

    private mutating func receive(_ vote: BFTVote, _ message: BFTMessage, _ effects: inout Effects) {
        if let other = self.tally.insert(vote, from: message.from) {
            effects.events.append(.equivocation(message.from, other, vote.ballot))
        }
        if vote.ballot.round.view < self.view { self.showTicket(to: message.from, &effects) }
    }

    private mutating func receive(_ timeout: BFTTimeout, _ message: BFTMessage, _ effects: inout Effects) {
        if let lock = timeout.lock, !(self.isLock(lock) && lock.view <= timeout.view) {
            return self.refuse(message, "its lock isn't a quorum's prepare certificate", &effects)
        }
        guard timeout.view >= self.view else { return self.showTicket(to: message.from, &effects) }
        self.tally.insert(timeout, from: message.from)
    }

    private mutating func follow(
        _ ticket: BFTTicket,
        to view: BFTView,
        _ message: BFTMessage,
        _ effects: inout Effects
    ) {
        guard self.canEnter(view) else { return }
        guard self.isValid(ticket, for: view) else {
            return self.refuse(message, "its ticket doesn't lead into view \(view)", &effects)
        }
        self.enter(view, ticket, &effects)
    }

    // MARK: Decisions and payloads

    /// A commit certificate: of this height it decides; of the one before it must agree with what was decided.
    private mutating func learn(
        _ certificate: BFTCertificate,
        _ payload: [UInt8]?,
        _ effects: inout Effects
    ) {
        if certificate.height == self.held.height, let own = self.held.certificate {
            if own.ballot.digest != certificate.ballot.digest,
                self.isQuorum(certificate, .commit, of: self.held.previousVoters)
            {
                effects.contradiction = self.contradiction(own, certificate)
            }
            return
        }
        guard certificate.height == self.height, self.isQuorum(certificate, .commit, of: self.voters) else {
            return
        }
        if let final = self.final ?? (self.isDecided ? self.last?.certificate : nil) {
            if final.ballot.digest != certificate.ballot.digest {
                effects.contradiction = self.contradiction(final, certificate)
            }
        } else {
            self.final = certificate
        }
        guard let payload, !self.isDecided, self.digest(payload) == self.final?.ballot.digest else { return }
        self.fetched = BFTPayload(digest: self.digest(payload), bytes: payload)
    }

    private func contradiction(_ one: BFTCertificate, _ other: BFTCertificate) -> String {
        "two different blocks \(one.height) bear the signatures of a quorum, in views \(one.view) and \(other.view): "
            + "more than \(self.held.previousVoters.faults) consenters are faulty"
    }

    private mutating func fetch(height: UInt64, _ bytes: [UInt8]) {
        guard height == self.height, let wanted = self.wanted, self.digest(bytes) == wanted else { return }
        self.wanted = nil
        self.fetched = BFTPayload(digest: wanted, bytes: bytes)
    }

    private mutating func refuse(_ message: BFTMessage, _ reason: String, _ effects: inout Effects) {
        effects.events.append(.refused(from: message.from, reason: reason))
    }
}
