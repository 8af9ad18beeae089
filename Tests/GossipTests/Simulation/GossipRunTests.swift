import GossipSimulation
import Simulation
import Testing

/// Networks of peers that gossip, under random faults and lies.
///
/// A debug build is slow: here run a few seeds; `scripts/simulate --engine gossip` runs many optimized.
@Suite struct GossipRunTests {
    @Test("no seed breaks an invariant, and every network converges", arguments: [1] as [UInt64])
    func survives(seed: UInt64) {
        print("replay: scripts/simulate --engine gossip --seed \(seed)")
        let report = GossipRun.random(seed: seed, load: 90.seconds)
        print(report.summary)
        #expect(report.violation == nil)
        #expect(report.isCounted, "\(report.summary)")
    }

    @Test(
        "each broken rule is caught",
        arguments: [
            GossipMutation.tellSecrets, .trustSignatures, .pushToAnybody, .answerAnybody, .trustBlocks,
        ]
    )
    func isCaught(mutation: GossipMutation) {
        let detection = GossipDetection(of: mutation, seeds: 4, load: 40.seconds)
        print(detection)
        #expect(detection.isCaught, "\(detection)")
    }

    @Test("the same seed gives the same run, step by step")
    func isDeterministic() {
        var first: [String] = []
        var second: [String] = []
        _ = GossipRun.random(seed: 3, load: 20.seconds) { first.append($0) }
        _ = GossipRun.random(seed: 3, load: 20.seconds) { second.append($0) }
        #expect(first == second)
        #expect(!first.isEmpty)
    }
}
