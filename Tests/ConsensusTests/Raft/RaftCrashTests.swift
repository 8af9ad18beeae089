import Consensus
import TestSupport
import Testing

/// A node that is killed again and again, between any two writes.
@Suite struct RaftCrashTests {
    @Test(
        "no acknowledged proposal is lost and none is decided twice, whenever the node dies",
        arguments: seeds(50)
    )
    func survivesCrashes(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var disk = RaftTests.Disk(state: .founding(voters: [1]))
        var ledger: [Decision] = []
        var nextPayload: UInt8 = 0
        for _ in 0..<8 {
            var raft = try Raft(
                id: 1,
                configuration: RaftConfiguration(seed: 1),
                restoring: disk.state,
                delivered: ledger.last?.position ?? 0
            )
            var inputs: [Raft.Input] = [.tick]
            var written: [RaftWrite] = []
            life: for _ in 0..<Int.random(in: 1...40, using: &random) {
                if inputs.isEmpty {
                    nextPayload &+= 1
                    inputs.append(Bool.random(using: &random) ? .propose([nextPayload]) : .tick)
                }
                let effects = raft.step(inputs.removeFirst())
                #expect(effects.contradiction == nil)
                for decision in effects.decisions {
                    if let last = ledger.last { #expect(decision.position > last.position) }
                    ledger.append(decision)
                }
                if let write = effects.write { written.append(write) }
                // Writes reach the disk in order, some of them late; the crash loses those that have not.
                while !written.isEmpty, Int.random(in: 0..<3, using: &random) > 0 {
                    let write = written.removeFirst()
                    disk.carryOut(write)
                    inputs.append(.stored(write.number))
                }
                if Int.random(in: 0..<10, using: &random) == 0, let last = ledger.last {
                    inputs.append(.released(through: last.position))
                }
            }
        }
        var payloads: Set<[UInt8]> = []
        for decision in ledger { #expect(payloads.insert(decision.payload).inserted) }
    }
}
