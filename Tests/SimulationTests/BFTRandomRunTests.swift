import Simulation
import Testing

/// BFT clusters with Byzantine nodes under random faults.
@Suite struct BFTRandomRunTests {
    @Test("no seed breaks an invariant, and every cluster orders everything")
    func survives() {
        for seed in UInt64(1)...20 {
            print("replay: scripts/simulate --engine bft --seed \(seed)")
            #expect(BFTCluster.random(seed: seed).violation == nil)
        }
    }
}
