/// Changing the view: when a node gives one up, and when it may enter the next.
///
/// Source: Jolteon §3, view change: timeouts go to everybody, and a quorum of them is a certificate. That f+1 of them
/// make a node join is Bracha's amplification ("Asynchronous Byzantine Agreement Protocols", 1987).
extension BFT {
    // MARK: Time

    mutating func tick(_ effects: inout Effects) {
        if self.isWaiting { self.ticksInView &+= 1 } else { self.ticksInView = 0 }
        self.ticksSinceResend &+= 1
        if self.ticksSinceResend >= self.configuration.resendTicks {
            self.ticksSinceResend = 0
            self.answers = [:]
            self.payloadAnswers = []
            self.repeatMessages(&effects)
            self.noticeBehind(&effects)
        }
    }

    /// Whether the leader's time runs: requests wait, or something was begun at this height.
    private var isWaiting: Bool {
        !self.isDecided
            && (self.requestsWait || self.voted != nil || self.lock != nil || self.proposal != nil
                || self.timedOut)
    }

    /// Doubles with each view at this height, so that whatever the network's delay is, it is outlasted.
    private var timeout: UInt64 {
        let failed = self.view > self.firstView ? self.view - self.firstView : 0
        return self.configuration.timeoutTicks << min(failed, BFTLimits.doublings)
    }

    // MARK: Giving up

    var timeoutStatement: BFTStatement {
        .timeout(height: self.height, view: self.view, lock: self.lock?.view)
    }

    /// This node gives its view up, and from here on votes for nothing in it.
    ///
    /// That is so when too much time has passed, the leader's block is invalid, the driver complained, f+1 others did the
    /// same, of whom one is honest, or the leader did, without whom nothing comes of this view.
    mutating func giveUp(_ effects: inout Effects) -> Bool {
        guard !self.timedOut else { return false }
        let others = self.tally.timeouts.count { $0.value.view >= self.view }
        let isLeft = self.leader.flatMap { self.tally.timeouts[$0] }.map { $0.view >= self.view } ?? false
        let isInvalid = self.proposal.map { self.verdicts[$0.ballot.digest] == .invalid } ?? false
        guard
            self.ticksInView >= self.timeout || isInvalid || self.complained == self.view
                || isLeft || others > self.voters.faults
        else { return false }
        self.timedOut = true
        self.recordChanged = true
        effects.events.append(.sign(self.timeoutStatement))
        return true
    }

    // MARK: Entering

    /// A quorum gave up this view, or a later one.
    mutating func enterNextView(_ effects: inout Effects) -> Bool {
        guard
            let certificate = self.tally.timeoutCertificate(
                height: self.height,
                from: self.view,
                quorum: self.quorum
            ), certificate.view < BFTView.max
        else { return false }
        self.enter(certificate.view + 1, .timedOut(certificate), &effects)
        self.broadcast(.enter(height: self.height, view: self.view, self.ticket), &effects)
        return true
    }

    /// Views at one height only grow.
    func canEnter(_ view: BFTView) -> Bool { view > self.view && !self.isDecided }

    mutating func enter(_ view: BFTView, _ ticket: BFTTicket, _ effects: inout Effects) {
        self.view = view
        self.ticket = ticket
        self.timedOut = false
        self.proposal = nil
        self.ticksInView = 0
        self.complained = nil
        self.wanted = nil
        // Keeps the number of verdicts bounded: one for each block that is kept.
        self.verdicts = self.verdicts.filter { verdict in
            verdict.value == .valid && self.payloads.contains { $0.digest == verdict.key }
        }
        effects.events.append(.entered(height: self.height, view: view, leader: self.leader))
    }

    // MARK: Tickets

    /// Whether `ticket` lets a node into `view` at this height.
    func isValid(_ ticket: BFTTicket, for view: BFTView) -> Bool {
        switch ticket {
        case .founding:
            return view == 0 && self.held.certificate == nil
        case .decided(let certificate):
            // Without a certificate of its own, the block before was not decided by this protocol.
            return certificate.view == view && certificate.height == self.held.height
                && self.held.certificate?.ballot.digest == certificate.ballot.digest
                && self.isQuorum(certificate, .commit, of: self.held.previousVoters)
        case .timedOut(let certificate):
            // The view just before: an older certificate may not know a later lock.
            return certificate.view < BFTView.max && certificate.view + 1 == view && self.isValid(certificate)
        }
    }

    private func isValid(_ certificate: BFTTimeoutCertificate) -> Bool {
        guard certificate.height == self.height,
            self.isQuorum(certificate.parts.map(\.signature.signer), of: self.voters)
        else { return false }
        let locks = certificate.parts.compactMap(\.lock)
        guard let highest = locks.max() else { return certificate.lock == nil }
        guard let lock = certificate.lock, lock.view == highest else { return false }
        return highest <= certificate.view && self.isLock(lock)
    }

    /// Whether a node can be locked on this at this height.
    func isLock(_ certificate: BFTCertificate) -> Bool {
        certificate.height == self.height && self.isQuorum(certificate, .prepare, of: self.voters)
    }

    func isQuorum(_ certificate: BFTCertificate, _ phase: BFTPhase, of voters: BFTVoters) -> Bool {
        certificate.phase == phase && self.isQuorum(certificate.signatures.map(\.signer), of: voters)
    }

    private func isQuorum(_ signers: [NodeID], of voters: BFTVoters) -> Bool {
        let signers = Set(signers)
        return signers.count >= voters.quorum && signers.allSatisfy { voters.contains($0) }
    }
}
