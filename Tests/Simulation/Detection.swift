/// Where a fault that was put in on purpose is caught: by a scenario, or by the first random seed that breaks.
package struct Detection: CustomStringConvertible {
    package var mutation: Mutation
    /// The seed, and what it broke.
    package private(set) var seed: UInt64?
    package private(set) var scenario: String?
    package private(set) var violation: String?

    package var isCaught: Bool { self.violation != nil }

    /// Tries the scenario that is made for this fault, and then random seeds from 1 on.
    package init(of mutation: Mutation, scenarioSeeds: Int = 100, seeds: Int) {
        self.mutation = mutation
        if let scenario = try? Scenario(named: mutation.scenario) {
            self.scenario = scenario.name
            for seed in 1...UInt64(max(1, scenarioSeeds)) {
                self.note(scenario.run(seed: seed, mutation: mutation))
                if self.isCaught { return }
            }
            self.scenario = nil
        }
        for seed in 1...UInt64(max(1, seeds)) {
            self.note(Cluster.random(seed: seed, mutation: mutation))
            if self.isCaught { return }
        }
    }

    private mutating func note(_ report: RunReport) {
        self.seed = report.seed
        self.violation = report.violation
    }

    package var description: String {
        let place = self.scenario.map { "scenario \($0), seed \(self.seed ?? 0)" } ?? "seed \(self.seed ?? 0)"
        return "\(self.mutation.rawValue): "
            + (self.violation.map { "caught at \(place): \($0)" } ?? "not caught up to \(place)")
    }
}

extension Mutation {
    /// The corner case in which this rule decides.
    var scenario: String {
        switch self {
        case .forgetVote, .forgetTerm, .acknowledgeBeforeSync, .smallQuorum: "double-vote"
        case .ignoreCandidatesLog, .orderTooEarly: "shorter-log"
        case .commitEarlierTerms: "figure-8"
        case .ignorePreviousEntry, .keepSuffix, .commitByHeartbeat: "overwritten-suffix"
        case .releaseBeforeSync, .installBeforeSync: "far-behind"
        }
    }
}
