import Simulation
import Testing

/// Faults that are put in on purpose: a simulator that finds nothing may be one that can't.
@Suite struct MutationTests {
    @Test("each broken rule is caught", arguments: Mutation.allCases)
    func isCaught(mutation: Mutation) {
        let detection = Detection(of: mutation, seeds: 1)
        #expect(detection.isCaught, "\(detection)")
        print(detection)
    }
}
