import Simulation
import Testing

/// Clusters under random faults, and under the faults of known corner cases.
///
/// A debug build is slow: here run a few seeds; `scripts/simulate` runs thousands optimized.
@Suite struct RandomRunTests {
    @Test("no seed breaks an invariant, and every cluster heals", arguments: 0..<4)
    func survives(part: UInt64) {
        var counted = 0
        for seed in (part * 10 + 1)...(part * 10 + 10) {
            print("replay: scripts/simulate --seed \(seed)")
            let report = Cluster.random(seed: seed)
            #expect(report.violation == nil)
            counted += report.isCounted ? 1 : 0
        }
        // In a storm less than 100 blocks may be decided.
        #expect(counted >= 5)
    }

    @Test("a node may die after any of its effects", arguments: UInt64(1)...3)
    func diesAnywhere(node: UInt64) {
        // Every effect: scripts/simulate --every-crash.
        var lives = 0
        for effects in stride(from: Int(node), to: 100, by: 9) {
            guard let report = Cluster.crashing(node: node, afterEffects: effects, seed: 1) else { break }
            lives += 1
            #expect(report.violation == nil, "after \(effects) effects")
        }
        #expect(lives > 5)
    }

    @Test("the same seed gives the same run")
    func isDeterministic() {
        var first: [String] = []
        var second: [String] = []
        let one = Cluster.random(seed: 11) { first.append($0) }
        let other = Cluster.random(seed: 11) { second.append($0) }
        #expect(first == second)
        #expect(one.summary == other.summary)
        #expect(Cluster.random(seed: 12).summary != one.summary)
    }

    @Test(
        "what the simulator is there for does happen: crashes that lose writes, catch-ups, changes of the members"
    )
    func covers() {
        var counts = Counts()
        for seed in UInt64(1)...15 { counts += Cluster.random(seed: seed).counts }
        #expect(counts.crashes > 30)
        #expect(counts.lostWrites > 5)
        #expect(counts.lostBlocks > 5)
        #expect(counts.leaders > 50)
        #expect(counts.catchUps > 3)
        #expect(counts.added > 3)
        #expect(counts.removed > 3)
    }

    @Test("the corner cases", arguments: try Scenario.all().map(\.name))
    func plays(name: String) throws {
        let scenario = try Scenario(named: name)
        for seed in UInt64(1)...8 {
            print("replay: scripts/simulate --scenario \(name) --first \(seed)")
            #expect(scenario.run(seed: seed).violation == nil)
        }
    }

    @Test(
        "a script that makes no sense, or doesn't hold, is refused with its line",
        arguments: [
            ("elect 1", "test:1: "), ("nodes 3\nelect 9", "test:2: "), ("nodes 3\nrun fast", "test:2: "),
            (
                "nodes 3\n\n# later\nexpect leader",
                "test:4: expected leader; node 1 follows in term 1 at height 1"
            ),
        ]
    )
    func refuses(text: String, reason: String) {
        let report = Scenario(name: "test", text: text).run(seed: 1)
        #expect(report.violation?.hasPrefix(reason) == true)
    }
}
