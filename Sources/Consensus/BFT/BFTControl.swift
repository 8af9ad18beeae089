/// How long a node waits, in ticks.
package struct BFTConfiguration: Equatable, Sendable {
    /// How long a node with something to wait for waits in the first view of a height.
    ///
    /// Doubles with each further view at that height.
    package var timeoutTicks: UInt64
    /// How often a node repeats what the others may have missed, and how often one helps the same node.
    package var resendTicks: UInt64

    package init(timeoutTicks: UInt64, resendTicks: UInt64) {
        self.timeoutTicks = max(1, timeoutTicks)
        self.resendTicks = max(1, resendTicks)
    }
}

/// Limits of what one engine keeps, whatever it is sent.
package enum BFTLimits {
    /// How many blocks a node that voted for them keeps at one height; the last one that it is locked on counts extra.
    package static let payloads = 64
    /// How often one node is helped between two repeats; with a block, once.
    package static let answers = 4
    /// How many times the first waiting time is doubled at most.
    package static let doublings: UInt64 = 5
}

/// The last block that the driver holds, and who votes on the next one.
package struct BFTHeld: Hashable, Sendable {
    /// The number of that block.
    package var height: UInt64
    /// What makes it final; none if another protocol ordered it, or for the genesis block.
    package var certificate: BFTCertificate?
    /// Who voted on that block.
    package var previousVoters: BFTVoters
    /// Who votes on the next one: another set if the block changed the configuration.
    package var voters: BFTVoters
    /// What was proposed, of a block that was pulled, for those who lack it.
    package var payload: [UInt8]?

    package init(
        height: UInt64,
        certificate: BFTCertificate?,
        previousVoters: BFTVoters,
        voters: BFTVoters,
        payload: [UInt8]? = nil
    ) {
        self.height = height
        self.certificate = certificate
        self.payload = payload
        self.previousVoters = previousVoters
        self.voters = voters
    }
}

/// What the driver tells a BFT engine.
package enum BFTCommand: Hashable, Sendable {
    /// The answer to ``BFTEvent/sign(_:)``.
    case signed(BFTStatement, [UInt8])
    /// The answer to ``BFTEvent/validate(_:payload:)``.
    case validated(BFTBallot, isValid: Bool)
    /// The driver took the decision of this height, or pulled blocks through it and checked them. The engine goes on
    /// behind it. That the block is durable is told apart, by ``ConsensusInput/released(through:)``.
    case held(BFTHeld)
    /// Whether requests wait that this node wants to see in a block; if so, the leader's time runs.
    case requestsWait(Bool)
    /// A request has waited too long although blocks are made: this node gives up the view.
    case complain(view: BFTView)
}

/// What a BFT engine tells its driver besides decisions.
package enum BFTEvent: Hashable, Sendable {
    /// Sign this; it is durable that this node says so, and it never says anything that contradicts it.
    case sign(BFTStatement)
    /// Check this block as if it came from a liar, in the configuration after the block before it.
    case validate(BFTBallot, payload: [UInt8])
    /// What proves the decision of the same step; its signatures go into the block.
    case final(BFTCertificate)
    /// A node that can't be lying about it is at a later height: pull the blocks through this one.
    case behind(through: UInt64)
    /// This node entered a view in which `leader` leads.
    case entered(height: UInt64, view: BFTView, leader: NodeID?)
    /// One node said two things that exclude each other; both statements bear its signature.
    case equivocation(NodeID, BFTBallot, BFTBallot)
    /// A message that no honest node sends, and why.
    case refused(from: NodeID, reason: String)
}

/// Everything a driver or an operator may want to know.
package struct BFTStatus: Equatable, Sendable {
    package var height: UInt64
    package var view: BFTView
    package var leader: NodeID?
    /// The round of the block that the driver may propose now, if it may.
    package var proposable: BFTRound?
    /// What was decided at the height before, if this protocol did.
    package var decided: BFTBallot?
    package var lock: BFTBallot?
    package var hasTimedOut: Bool
    package var voters: BFTVoters
}
