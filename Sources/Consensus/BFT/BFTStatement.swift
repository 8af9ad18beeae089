/// Where a proposal stands: the block's number, and in whose view it is voted on.
///
/// These are the fields of the `ViewMetadata` that Fabric signs with a block of a BFT channel: `view_id`,
/// `latest_sequence` and `decisions_in_view`. They are fixed with the proposal.
package struct BFTRound: Hashable, Sendable {
    package var height: UInt64
    package var view: BFTView
    /// How many blocks in a row were decided in this view before this one.
    package var decisionsInView: UInt64

    package init(height: UInt64, view: BFTView, decisionsInView: UInt64) {
        self.height = height
        self.view = view
        self.decisionsInView = decisionsInView
    }
}

/// What a vote is about: one block in one round.
package struct BFTBallot: Hashable, Sendable {
    package var round: BFTRound
    /// Stands for the block; what the driver's digest function made of it.
    package var digest: [UInt8]

    package init(round: BFTRound, digest: [UInt8]) {
        self.round = round
        self.digest = digest
    }
}

/// The two phases of a view.
///
/// Source: Malkhi and Nayak, "HotStuff-2: Optimal Two-Phase Responsive BFT", where they are called vote and vote2.
package enum BFTPhase: Hashable, Sendable {
    /// "This is the only block that I support in this view, and it is valid."
    case prepare
    /// "A quorum prepared this block in this view, and I am locked on it." Its signature is Fabric's block signature.
    case commit
}

/// What a node signs.
///
/// The bytes are the driver's business; different statements must give different bytes.
package enum BFTStatement: Hashable, Sendable {
    case vote(BFTPhase, BFTBallot)
    /// "I don't commit any more in this view; the last view at this height in which I am locked is `lock`."
    case timeout(height: UInt64, view: BFTView, lock: BFTView?)

    /// The height at which it is said.
    package var height: UInt64 {
        switch self {
        case .vote(_, let ballot): ballot.round.height
        case .timeout(let height, _, _): height
        }
    }
}

/// A signature and whose it is.
package struct BFTSignature: Hashable, Sendable {
    package var signer: NodeID
    package var bytes: [UInt8]

    package init(signer: NodeID, bytes: [UInt8]) {
        self.signer = signer
        self.bytes = bytes
    }
}

/// Something that the driver checks before it hands a message to the engine: that this node signed this.
package struct BFTClaim: Hashable, Sendable {
    package var statement: BFTStatement
    package var signature: BFTSignature

    package init(statement: BFTStatement, signature: BFTSignature) {
        self.statement = statement
        self.signature = signature
    }
}
