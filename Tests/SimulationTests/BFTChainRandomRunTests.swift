import ChainSimulation
import Simulation
import Testing

/// Ordering services of the real BFT chains, some of whose consenters lie, under random faults.
///
/// A debug build is slow: here run a few seeds; `scripts/simulate --engine bft-chain` runs many optimized.
@Suite struct BFTChainRandomRunTests {
    @Test("no seed breaks an invariant, and every service orders everything", arguments: [4, 6] as [UInt64])
    func survives(seed: UInt64) {
        print("replay: scripts/simulate --engine bft-chain --seed \(seed)")
        let report = ChainCluster.random(seed: seed, isBFT: true, load: 15.seconds)
        #expect(report.violation == nil)
        #expect(report.faults >= 3 && report.commits >= 30, "\(report.summary)")
    }

    @Test(
        "each broken rule is caught",
        // A liar must tell a lie that the rules would have refused.
        arguments: [ChainMutation.acknowledgeBeforeSync: 1, .skipProposalRules: 14, .forgetLoss: 8]
    )
    func isCaught(mutation: ChainMutation, first: UInt64) {
        let detection = ChainDetection(of: mutation, isBFT: true, first: first, seeds: 4)
        print(detection)
        #expect(detection.isCaught, "\(detection)")
    }

    @Test("the same seed gives the same run, step by step")
    func isDeterministic() {
        #expect(ChainTrace(seed: 1, isBFT: true) == ChainTrace(seed: 1, isBFT: true))
    }
}

/// All that happens in a run.
struct ChainTrace: Equatable, CustomStringConvertible {
    private var lines: [String] = []
    private var summary: String

    init(seed: UInt64, isBFT: Bool) {
        var lines: [String] = []
        self.summary =
            ChainCluster.random(seed: seed, isBFT: isBFT, load: 4.seconds) { lines.append($0) }.summary
        self.lines = lines
    }

    var description: String { "\(self.lines.count) steps: \(self.summary)" }
}
