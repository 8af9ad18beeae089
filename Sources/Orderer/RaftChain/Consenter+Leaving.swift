internal import Consensus

/// What a consenter does whose node is about to stop: it hands leadership over, and stays until those who wait here have
/// their answers, so that a service whose nodes are restarted one after the other loses no time.
///
/// Source: Ongaro, "Consensus: Bridging Theory and Practice", §3.10.
extension Consenter {
    /// What is to be done for that now, and whether anything is left to be done.
    func leave(_ state: inout OrderingChannel.State) -> Work? {
        guard state.isLeaving, !state.hasLeft else { return nil }
        if self.electedAt == nil {
            state.hasLeft = self.leader != nil && state.waiting.isEmpty && self.forwarded.count == 0
        } else if self.successor == nil || self.chain.unfinishedChange != nil {
            state.hasLeft = true
        } else {
            self.isHandingOver = true
            if !self.hasInFlight, self.chain.details.transferee == nil { return .handOver }
        }
        return nil
    }

    /// The follower that holds most of what this leader has, of those that it hears from.
    var successor: NodeID? {
        self.chain.details.followers.filter(\.value.isActive).max { $0.value.match < $1.value.match }?.key
    }

    func handOver() throws {
        guard let successor else { return }
        try self.absorb(self.chain.take([.command(.transferLeadership(to: successor))]) { self.decided($0) })
        try self.follow()
    }
}
