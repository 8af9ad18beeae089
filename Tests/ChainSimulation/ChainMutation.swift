import Simulation

/// A fault that is put into every node above the engine on purpose, to see that the simulator finds it.
///
/// Each is made where the chain meets what is simulated, so that the product holds no switch for it.
package enum ChainMutation: String, CaseIterable, Sendable {
    /// Writes count as durable before they are: also a BFT consenter's record of what it promised.
    case acknowledgeBeforeSync
    /// A new leader makes blocks before it has applied what was decided before its election.
    case orderTooEarly
    /// After a start nobody remembers which envelopes are in the newest blocks.
    case forgetDuplicates
    /// The signatures of pulled blocks are not looked at.
    case trustPulledBlocks
    /// A consenter that lost its consensus store goes on as if it had promised nothing.
    case forgetLoss
    /// BFT consenters vote for a leader's block without looking at its envelopes.
    case skipProposalRules

    /// Those that make a difference to such chains.
    package static func all(isBFT: Bool) -> [ChainMutation] {
        isBFT
            ? [.acknowledgeBeforeSync, .skipProposalRules, .forgetLoss]
            : [.acknowledgeBeforeSync, .orderTooEarly, .forgetDuplicates, .trustPulledBlocks, .forgetLoss]
    }
}

/// Where a fault that was put into chains on purpose is caught.
package struct ChainDetection: CustomStringConvertible {
    package var mutation: ChainMutation
    package private(set) var seed: UInt64 = 0
    package private(set) var violation: String?

    package var isCaught: Bool { self.violation != nil }

    /// Tries seeds from `first` on.
    package init(of mutation: ChainMutation, isBFT: Bool = false, first: UInt64 = 1, seeds: Int) {
        self.mutation = mutation
        for seed in first..<first + UInt64(max(1, seeds)) {
            self.seed = seed
            self.violation = ChainCluster.random(seed: seed, isBFT: isBFT, mutation: mutation).violation
            if self.isCaught { return }
        }
    }

    package var description: String {
        "\(self.mutation.rawValue): "
            + (self.violation.map { "caught at seed \(self.seed): \($0)" }
                ?? "not caught up to seed \(self.seed)")
    }
}
