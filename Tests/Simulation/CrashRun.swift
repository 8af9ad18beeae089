package import Consensus

extension Cluster {
    /// Runs a short life of a cluster in which one node dies exactly after so many effects, and comes back.
    ///
    /// An effect is one message sent, one write begun or done, one decision or event carried out. Returns `nil` if the
    /// node had no more effects than that.
    package static func crashing(
        node: NodeID,
        afterEffects count: Int,
        seed: UInt64,
        mutation: Mutation? = nil,
        trace: ((String) -> Void)? = nil
    ) -> RunReport? {
        let cluster = Cluster(seed: seed, voters: 3, mutation: mutation, trace: trace)
        cluster.settings.releaseBlocks = 3
        cluster.startAll()
        guard let victim = cluster.nodes[node] else { return nil }
        victim.crashCountdown = count
        let script: [[String]] = [
            ["campaign", "1"], ["run", "100ms"], ["submit", "1", "9"], ["run", "200ms"], ["add", "1", "4"],
            ["run", "200ms"],
            ["transfer", "1", "2"], ["run", "200ms"], ["submit", "2", "9"], ["run", "200ms"],
            ["remove", "2", "3"],
            ["run", "500ms"],
        ]
        // Commands that fail because the node is down are part of it.
        for words in script where cluster.violation == nil { _ = cluster.play(words) }
        guard victim.crashCountdown == nil || !victim.isUp else { return nil }
        victim.start()
        cluster.run(until: cluster.now + 1.seconds)
        if cluster.violation == nil { cluster.healAndCheck() }
        return cluster.report
    }
}
