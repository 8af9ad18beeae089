import Simulation
import Testing

/// Clusters under random faults.
@Suite struct RandomRunTests {
    @Test("no seed breaks an invariant, and every cluster heals")
    func survives() {
        for seed in UInt64(1)...20 {
            print("replay: scripts/simulate --seed \(seed)")
            #expect(Cluster.random(seed: seed).violation == nil)
        }
    }
}
