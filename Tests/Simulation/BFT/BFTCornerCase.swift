import Consensus

extension BFTCluster {
    /// The run in which the lock rule decides: a block is final, and only one node knows.
    ///
    /// Of four nodes, node 3 lies. View 0 passes without a proposal, so that a timeout certificate without locks
    /// exists. In view 1 node 2's block is prepared and committed by the honest nodes, but their block signatures reach
    /// only node 1, which is then cut off. Node 3 leads view 2, and proposes other blocks with any ticket that it has:
    /// that of view 0, or that of view 1 whose lock binds it.
    package static func hiddenDecision(
        seed: UInt64,
        mutation: BFTMutation? = nil,
        trace: ((String) -> Void)? = nil
    ) -> RunReport {
        let cluster = BFTCluster(seed: seed, voters: 4, liars: [3], mutation: mutation, trace: trace)
        cluster.admits = { message in
            // Node 1 hears what is said in view 1, and says no more than its prepare vote and its timeout.
            if message.from == 1 || message.to == 1, message.height != 1 { return false }
            switch message.content {
            case .proposal(let proposal):
                guard proposal.ballot.round.view == 2 else { return proposal.ballot.round.view == 1 }
                return SimulatedBlock(bytes: proposal.payload)?.envelopes.count == 1
            case .vote(let vote):
                return vote.phase == .prepare || vote.ballot.round.view != 1 || message.to == 1
            case .decision, .status: return false
            case .timeout, .enter, .want, .payload: return true
            }
        }
        for id in cluster.members { cluster.nodes[id]?.start() }
        for _ in 0..<3 { cluster.submitFirst(cluster.newEnvelope()) }
        cluster.scheduleAdversary()
        cluster.after(1_500.milliseconds) { cluster in
            // What the liar proposes instead.
            cluster.submitFirst(cluster.newEnvelope())
            for other in UInt64(2)...4 {
                cluster.network.cut(1, to: other)
                cluster.network.cut(other, to: 1)
            }
        }
        cluster.run(until: 12.seconds)
        cluster.admits = { _ in true }
        if cluster.violation == nil { cluster.healAndCheck() }
        return cluster.report
    }

    /// Every node has the envelope at once.
    private func submitFirst(_ envelope: UInt64) {
        self.outstanding.insert(envelope)
        for id in self.members { self.schedule(.forward(envelope, to: id), at: self.now) }
    }
}

/// Where a fault that was put into BFT nodes on purpose is caught.
package struct BFTDetection: CustomStringConvertible {
    package var mutation: BFTMutation
    package private(set) var place = ""
    package private(set) var violation: String?

    package var isCaught: Bool { self.violation != nil }

    /// Tries the corner case, and then random seeds from 1 on.
    package init(of mutation: BFTMutation, cornerSeeds: UInt64 = 30, seeds: Int) {
        self.mutation = mutation
        if mutation == .skipLockRule || mutation == .trustOldTicket {
            for seed in 1...max(1, cornerSeeds) {
                self.place = "hidden decision, seed \(seed)"
                self.violation = BFTCluster.hiddenDecision(seed: seed, mutation: mutation).violation
                if self.isCaught { return }
            }
        }
        for seed in 1...UInt64(max(1, seeds)) {
            self.place = "seed \(seed)"
            self.violation = BFTCluster.random(seed: seed, mutation: mutation).violation
            if self.isCaught { return }
        }
    }

    package var description: String {
        "\(self.mutation.rawValue): "
            + (self.violation.map { "caught at \(self.place): \($0)" } ?? "not caught up to \(self.place)")
    }
}
