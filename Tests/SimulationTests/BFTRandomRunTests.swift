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

    @Test("the same seed gives the same run")
    func isDeterministic() {
        #expect(BFTCluster.random(seed: 11).summary == BFTCluster.random(seed: 11).summary)
    }
}
