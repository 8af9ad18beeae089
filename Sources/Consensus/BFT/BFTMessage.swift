/// What one node tells another.
///
/// Before the driver hands a message to the engine it has made sure that ``from`` sent it, and that each of
/// ``claims`` is what its signer signed, with the key that the signer has at the statement's height. Whether the claims
/// are enough is the engine's business.
package struct BFTMessage: Hashable, Sendable {
    package var from: NodeID
    package var to: NodeID
    package var content: Content

    package enum Content: Hashable, Sendable {
        case proposal(BFTProposal)
        case vote(BFTVote)
        case timeout(BFTTimeout)
        /// The receiver may enter this view.
        case enter(height: UInt64, view: BFTView, BFTTicket)
        /// The sender is here. Who is further helps.
        case status(height: UInt64, view: BFTView)
        /// The block at the certificate's height is final. Comes with the block if the receiver needs just this one.
        case decision(BFTCertificate, payload: [UInt8]?)
        /// The sender needs the block with this digest, which a quorum prepared or decided.
        case want(height: UInt64, digest: [UInt8])
        /// The answer.
        case payload(height: UInt64, [UInt8])
    }

    package init(from: NodeID, to: NodeID, content: Content) {
        self.from = from
        self.to = to
        self.content = content
    }

    /// The height at which the sender is, or at least was.
    package var height: UInt64 {
        switch self.content {
        case .proposal(let proposal): proposal.ballot.round.height
        case .vote(let vote): vote.ballot.round.height
        case .timeout(let timeout): timeout.height
        case .enter(let height, _, _): height
        case .status(let height, _): height
        case .decision(let certificate, _): certificate.height
        case .want(let height, _): height
        case .payload(let height, _): height
        }
    }

    /// Every signature in this message.
    package var claims: [BFTClaim] {
        switch self.content {
        case .proposal(let proposal):
            [proposal.vote(from: self.from)] + proposal.ticket.claims
        case .vote(let vote):
            [
                BFTClaim(
                    statement: .vote(vote.phase, vote.ballot),
                    signature: BFTSignature(signer: self.from, bytes: vote.signature)
                )
            ]
        case .timeout(let timeout):
            [
                BFTClaim(
                    statement: timeout.statement,
                    signature: BFTSignature(signer: self.from, bytes: timeout.signature)
                )
            ] + (timeout.lock?.claims ?? [])
        case .enter(_, _, let ticket): ticket.claims
        case .decision(let certificate, _): certificate.claims
        case .status, .want, .payload: []
        }
    }
}

/// A leader's block, with its own prepare vote and the reason why it may propose just this.
package struct BFTProposal: Hashable, Sendable {
    package var ballot: BFTBallot
    package var payload: [UInt8]
    package var ticket: BFTTicket
    /// The leader's prepare vote.
    package var signature: [UInt8]

    package init(ballot: BFTBallot, payload: [UInt8], ticket: BFTTicket, signature: [UInt8]) {
        self.ballot = ballot
        self.payload = payload
        self.ticket = ticket
        self.signature = signature
    }

    func vote(from leader: NodeID) -> BFTClaim {
        BFTClaim(
            statement: .vote(.prepare, self.ballot),
            signature: BFTSignature(signer: leader, bytes: self.signature)
        )
    }
}

/// A vote in one of the two phases.
package struct BFTVote: Hashable, Sendable {
    package var phase: BFTPhase
    package var ballot: BFTBallot
    package var signature: [UInt8]

    package init(phase: BFTPhase, ballot: BFTBallot, signature: [UInt8]) {
        self.phase = phase
        self.ballot = ballot
        self.signature = signature
    }
}

/// A node gives up a view.
package struct BFTTimeout: Hashable, Sendable {
    package var height: UInt64
    package var view: BFTView
    /// The highest prepare certificate that the sender is locked on, at this height.
    package var lock: BFTCertificate?
    package var signature: [UInt8]

    package init(height: UInt64, view: BFTView, lock: BFTCertificate?, signature: [UInt8]) {
        self.height = height
        self.view = view
        self.lock = lock
        self.signature = signature
    }

    package var statement: BFTStatement {
        .timeout(height: self.height, view: self.view, lock: self.lock?.view)
    }
}
