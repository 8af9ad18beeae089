internal import Channel
internal import Consensus

/// Whom a consenter takes for gone.
extension Consenter {
    /// The other consenters.
    var others: [NodeID] { self.chain.membership.members.map(\.id).filter { $0 != self.chain.id } }

    /// When a leader that hears too few of the others asks their processes.
    var nextQuestion: Duration? {
        let others = self.others
        return self.quorum.nextQuestion(
            others: others,
            needed: others.count.quorumWithOne,
            heartbeat: self.heartbeatInterval
        )
    }

    /// The processes of these answered nothing when they were asked.
    func unanswered(_ nodes: Set<NodeID>, at now: Duration) {
        guard let leader, !nodes.isEmpty else { return }
        if leader == self.chain.id {
            let wasSuspected = self.quorum.isSuspected
            let others = self.others
            self.quorum.unanswered(nodes, others: others, needed: others.count.quorumWithOne, at: now)
            if self.quorum.isSuspected, !wasSuspected { self.nextTick = now }
        } else if nodes.contains(leader) {
            self.suspicion.unanswered(at: now)
        }
    }
}
