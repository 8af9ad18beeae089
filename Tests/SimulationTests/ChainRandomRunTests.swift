import ChainSimulation
import Simulation
import Testing

/// Ordering services of the real chains under random faults.
///
/// A debug build is slow: here run a few seeds; `scripts/simulate --engine chain` runs many optimized.
@Suite struct ChainRandomRunTests {
    @Test("no seed breaks an invariant, and every service orders everything", arguments: [1, 3] as [UInt64])
    func survives(seed: UInt64) {
        print("replay: scripts/simulate --engine chain --seed \(seed)")
        let report = ChainCluster.random(seed: seed)
        #expect(report.violation == nil)
        #expect(report.isCounted, "\(report.summary)")
    }

    @Test(
        "each broken rule is caught",
        arguments: [
            ChainMutation.acknowledgeBeforeSync: 1, .orderTooEarly: 1, .trustPulledBlocks: 1, .forgetLoss: 43,
        ]
    )
    func isCaught(mutation: ChainMutation, first: UInt64) {
        let detection = ChainDetection(of: mutation, first: first, seeds: 4)
        print(detection)
        #expect(detection.isCaught, "\(detection)")
    }

    @Test("the same seed gives the same run, step by step")
    func isDeterministic() {
        #expect(ChainTrace(seed: 2, isBFT: false) == ChainTrace(seed: 2, isBFT: false))
    }
}
