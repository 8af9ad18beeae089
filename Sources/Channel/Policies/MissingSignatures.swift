extension CompiledPolicy {
    /// What would have to be added to the signatures of `identities` to satisfy the policy, the least first.
    ///
    /// - Parameter identities: signers whose signatures were verified.
    /// - Returns: alternatives, each of which would do; none if the policy is satisfied, nobody can satisfy it, or more
    ///   signatures of principals that are there already don't help.
    package func missing(from identities: [Identity]) -> [SignatureCombination] {
        guard !self.isSatisfied(by: identities) else { return [] }
        let principals = self.principals
        var alternatives: Set<SignatureCombination> = []
        for combination in self.requirement.combinations().list {
            var rest = combination
            for identity in identities {
                let name = rest.counts.keys.sorted().first { name in
                    principals[name].map { self.refusal(of: identity, as: $0) == nil } ?? false
                }
                if let name { rest = rest.removingOne(name) }
            }
            if rest.total > 0 { alternatives.insert(rest) }
        }
        var least: [SignatureCombination] = []
        let sorted = alternatives.sorted { ($0.total, $0.description) < ($1.total, $1.description) }
        for alternative in sorted where !least.contains(where: { $0.isCovered(by: alternative) }) {
            least.append(alternative)
        }
        return least
    }

    /// The principals that the policy, or one that it asks, names.
    private var principals: [String: NamedPrincipal] {
        switch self.rule {
        case .signature(_, let principals):
            Dictionary(principals.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        case .implicitMeta(_, let groups):
            groups.reduce(into: [:]) { all, group in all.merge(group.policy.principals) { first, _ in first }
            }
        case .rejectAll:
            [:]
        }
    }
}
