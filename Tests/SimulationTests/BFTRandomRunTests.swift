import Simulation
import Testing

/// BFT clusters with Byzantine nodes under random faults.
///
/// A debug build is slow: here run a few seeds; `scripts/simulate --engine bft` runs many optimized.
@Suite struct BFTRandomRunTests {
    @Test("no seed breaks an invariant, and every cluster orders everything", arguments: UInt64(1)...6)
    func survives(seed: UInt64) {
        print("replay: scripts/simulate --engine bft --seed \(seed)")
        let report = BFTCluster.random(seed: seed)
        #expect(report.violation == nil)
        #expect(report.isCounted, "\(report.summary)")
    }

    @Test("what the simulator is there for does happen")
    func covers() {
        var counts = Counts()
        for seed in UInt64(21)...26 { counts += BFTCluster.random(seed: seed).counts }
        #expect(counts.crashes > 20)
        #expect(counts.lostWrites > 2, "\(counts)")
        #expect(counts.lostBlocks > 2, "\(counts)")
        #expect(counts.leaders > 15)
        #expect(counts.catchUps > 3)
        #expect(counts.added > 0)
        #expect(counts.removed > 0)
    }

    @Test("a decision that only one node knows of binds every later leader")
    func hiddenDecision() {
        for seed in UInt64(1)...5 { #expect(BFTCluster.hiddenDecision(seed: seed).violation == nil) }
    }

    @Test("the corner cases", arguments: try BFTScenario.all().map(\.name))
    func plays(name: String) throws {
        let scenario = try BFTScenario(named: name)
        for seed in UInt64(1)...8 {
            print("replay: scripts/simulate --engine bft --scenario \(name) --first \(seed)")
            #expect(scenario.run(seed: seed).violation == nil)
        }
    }

    @Test(
        "a script that makes no sense, or doesn't hold, is refused with its line",
        arguments: [
            ("elect 1", "test:1: "), ("nodes 4\nrun fast", "test:2: "), ("nodes 4\nlose sight", "test:2: "),
            ("nodes 4\n\nexpect height 1 1", "test:3: expected height 1 1; node 1 in view 0 with 0 blocks"),
        ]
    )
    func refuses(text: String, reason: String) {
        let report = BFTScenario(name: "test", text: text).run(seed: 1)
        #expect(report.violation?.hasPrefix(reason) == true, "\(report.summary)")
    }

    @Test("each broken rule is caught", arguments: BFTMutation.allCases)
    func isCaught(mutation: BFTMutation) {
        let detection = BFTDetection(of: mutation, seeds: 60)
        print(detection)
        #expect(detection.isCaught, "\(detection)")
    }

    @Test("the same seed gives the same run")
    func isDeterministic() {
        #expect(BFTCluster.random(seed: 11).summary == BFTCluster.random(seed: 11).summary)
    }
}
