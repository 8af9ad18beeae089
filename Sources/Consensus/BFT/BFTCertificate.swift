/// A quorum's votes for one ballot in one phase.
///
/// Of `prepare`: no other block can be prepared in this view. Of `commit`: the block is final; its signatures are the
/// ones that a block of a BFT channel carries.
package struct BFTCertificate: Hashable, Sendable {
    package var phase: BFTPhase
    package var ballot: BFTBallot
    package var signatures: [BFTSignature]

    package init(phase: BFTPhase, ballot: BFTBallot, signatures: [BFTSignature]) {
        self.phase = phase
        self.ballot = ballot
        self.signatures = signatures
    }

    package var height: UInt64 { self.ballot.round.height }
    package var view: BFTView { self.ballot.round.view }

    package var claims: [BFTClaim] {
        self.signatures.map { BFTClaim(statement: .vote(self.phase, self.ballot), signature: $0) }
    }
}

/// A quorum gave up a view, and what the new view must respect.
///
/// Source: Gelashvili, Kokoris-Kogias, Sonnino, Spiegelman and Xiang, "Jolteon and Ditto", §3: a timeout carries the
/// highest certificate of its sender, and a timeout certificate the highest of its quorum.
package struct BFTTimeoutCertificate: Hashable, Sendable {
    /// One node's part: the view of its lock, and its signature over the statement.
    package struct Part: Hashable, Sendable {
        package var lock: BFTView?
        package var signature: BFTSignature

        package init(lock: BFTView?, signature: BFTSignature) {
            self.lock = lock
            self.signature = signature
        }
    }

    package var height: UInt64
    package var view: BFTView
    package var parts: [Part]
    /// The certificate of the highest lock among ``parts``.
    package var lock: BFTCertificate?

    package init(height: UInt64, view: BFTView, parts: [Part], lock: BFTCertificate?) {
        self.height = height
        self.view = view
        self.parts = parts
        self.lock = lock
    }

    package var claims: [BFTClaim] {
        let parts = self.parts.map {
            BFTClaim(
                statement: .timeout(height: self.height, view: self.view, lock: $0.lock),
                signature: $0.signature
            )
        }
        return parts + (self.lock?.claims ?? [])
    }
}

/// Why a node may be in a view at a height.
///
/// Whoever is further shows it to whoever is behind.
package enum BFTTicket: Hashable, Sendable {
    /// The first block that is ordered by this protocol, in view 0.
    case founding
    /// The block before was decided in this view: its leader goes on.
    case decided(BFTCertificate)
    /// A quorum gave up the view before, at this height.
    case timedOut(BFTTimeoutCertificate)

    package var claims: [BFTClaim] {
        switch self {
        case .founding: []
        case .decided(let certificate): certificate.claims
        case .timedOut(let certificate): certificate.claims
        }
    }
}
