package import Channel
package import FabricProtos

/// Which of some peers can endorse together what is to be endorsed: the one computation behind discovery's
/// descriptors and the gateway's choice.
///
/// - Source: Fabric v3 documentation, "Service Discovery".
package struct EndorserSelection: Sendable {
    /// In order of preference.
    package let candidates: [EndorserCandidate]
    package let requirement: EndorsementRequirement
    /// Numbers of the candidates that have what it takes: the contracts, and membership of the collections.
    package let eligible: [Int]
    /// Why the other candidates are left out, by their numbers.
    let exclusions: [Int: String]
    private let policies: [Protos_ApplicationPolicy]
    private let configuration: ChannelConfiguration
    private let requirements: EndorsementRequirements
    /// For each candidate, which principals it is of.
    private let satisfied: [[Bool]]

    /// - Parameters:
    ///   - criteria: what is to be met.
    ///   - candidates: the peers, the best first.
    ///   - configuration: the channel's configuration in force.
    ///   - requirements: where computations are kept.
    ///   - height: where it is given, what another peer told of its contracts when it had fewer blocks than this is taken
    ///     for outdated: the peer is not left out for it.
    /// - Throws: `InvalidPolicy` for a policy that can't be evaluated.
    package init(
        _ criteria: EndorsementCriteria,
        among candidates: [EndorserCandidate],
        under configuration: ChannelConfiguration,
        requirements: EndorsementRequirements,
        trustingBehind height: UInt64? = nil
    ) throws {
        try self.init(
            policies: criteria.policies,
            among: candidates,
            exclusions: candidates.map { candidate in
                let exclusion = candidate.exclusion(by: criteria, configuration.directory)
                if let height, !candidate.isSelf, let toldAt = exclusion?.toldAt, toldAt < height {
                    return nil
                }
                return exclusion?.reason
            },
            under: configuration,
            requirements: requirements
        )
    }

    /// - Parameters:
    ///   - policies: all of these must be satisfied.
    ///   - candidates: the peers, the best first.
    ///   - exclusions: for each candidate why it is left out, `nil` if it isn't.
    ///   - configuration: the channel's configuration in force.
    ///   - requirements: where computations are kept.
    /// - Throws: `InvalidPolicy` for a policy that can't be evaluated.
    package init(
        policies: [Protos_ApplicationPolicy],
        among candidates: [EndorserCandidate],
        exclusions: [String?],
        under configuration: ChannelConfiguration,
        requirements: EndorsementRequirements
    ) throws {
        let requirement = try requirements.requirement(of: policies, under: configuration)
        self.requirement = requirement
        self.policies = policies
        self.candidates = candidates
        self.configuration = configuration
        self.requirements = requirements
        var reasons: [Int: String] = [:]
        for (number, exclusion) in exclusions.enumerated() { reasons[number] = exclusion }
        self.exclusions = reasons
        self.eligible = candidates.indices.filter { reasons[$0] == nil }
        self.satisfied = candidates.map { candidate in
            requirement.principals.map { candidate.satisfies($0, configuration.directory) }
        }
    }

    package func satisfies(_ candidate: Int, _ principal: Int) -> Bool {
        self.satisfied[candidate][principal]
    }

    /// The layouts that these eligible candidates can fill, the smallest first.
    package func layouts(of eligible: [Int]) -> [EndorsementLayout] {
        let capacity = self.requirement.principals.indices.map { principal in
            eligible.count { self.satisfied[$0][principal] }
        }
        return self.requirements.layouts(
            of: self.requirement,
            for: self.policies,
            under: self.configuration,
            capacity: capacity
        )
    }

    /// How many layouts are compared once one is found that can be filled.
    private static let comparisons = 32

    /// The best endorsers: as few as possible beside those who have endorsed already, and of these the best.
    ///
    /// - Parameters:
    ///   - endorsed: candidates whose endorsements are at hand.
    ///   - failed: candidates that can't be asked any more.
    /// - Returns: numbers of candidates; `nil` if those that are left can't satisfy the policies.
    package func endorsers(endorsed: [Int] = [], failed: Set<Int> = []) -> [Int]? {
        let order = endorsed + self.eligible.filter { !failed.contains($0) && !endorsed.contains($0) }
        let layouts = self.layouts(of: order)
        let useful = layouts.filter { layout in
            layout.quantities.entries.contains { entry in
                endorsed.contains { self.satisfied[$0][entry.principal] }
            }
        }
        let others = useful.isEmpty ? layouts : layouts.filter { !useful.contains($0) }
        var best: (chosen: [Int], missing: Int, ranks: Int)?
        var compared = 0
        for layout in useful + others where compared < Self.comparisons {
            // Every place of a demand needs an endorser of its own.
            let least = (layout.demands.map(\.total).max() ?? 0) - endorsed.count
            if let best, least > best.missing { continue }
            guard let chosen = layout.endorsers(among: order, satisfying: self.satisfies) else { continue }
            compared += 1
            let missing = chosen.count { !endorsed.contains($0) }
            let ranks = chosen.reduce(0) { endorsed.contains($1) ? $0 : $0 + $1 }
            if best.map({ (missing, ranks) < ($0.missing, $0.ranks) }) ?? true {
                best = (chosen, missing, ranks)
            }
        }
        return best?.chosen
    }
}
