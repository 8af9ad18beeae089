/// Who has to sign to satisfy a policy, as a tree that people can read.
package indirect enum PolicyRequirement: Sendable {
    /// One signature of a principal, which is named as in the policy language.
    case signature(String, mspIdentifier: String?)
    /// At least so many of the parts.
    ///
    /// `label` says what asks for them. Parts that share signatures are asked each on its own, as the groups of an
    /// implicit meta policy are; otherwise each needs signatures of its own.
    case atLeast(Int, of: [PolicyRequirement], label: String, sharingSignatures: Bool)
    /// Nobody can satisfy it, for the reason given.
    case impossible(String)

    /// All of some policies, each asked on its own.
    package static func all(_ parts: [PolicyRequirement], label: String) -> PolicyRequirement {
        .atLeast(parts.count, of: parts, label: label, sharingSignatures: true)
    }
}

extension CompiledPolicy {
    /// What the policy requires, as a tree.
    package var requirement: PolicyRequirement {
        switch self.rule {
        case .signature(let rule, let principals):
            let requirements = principals.map { self.requirement(of: $0) }
            return self.requirement(of: rule, requirements, label: self.name)
        case .implicitMeta(let meta, let groups):
            return .atLeast(
                meta.threshold(groupCount: groups.count),
                of: groups.map(\.policy.requirement),
                label: "\(self.name) (\(meta))",
                sharingSignatures: true
            )
        case .rejectAll(let reason):
            return .impossible("\(self.name): \(reason)")
        }
    }

    private func requirement(of principal: NamedPrincipal) -> PolicyRequirement {
        if let identifier = principal.mspIdentifier {
            guard let id = try? MSPID(identifier), self.directory[id] != nil else {
                return .impossible("\(principal.name): the channel has no MSP \"\(identifier)\"")
            }
        }
        if case .malformed(let reason) = principal.principal { return .impossible(reason) }
        return .signature(principal.name, mspIdentifier: principal.mspIdentifier)
    }

    private func requirement(
        of rule: SignatureRule,
        _ principals: [PolicyRequirement],
        label: String
    ) -> PolicyRequirement {
        switch rule {
        case .signedBy(let index):
            return principals[index]
        case .atLeast(let threshold, let rules):
            return .atLeast(
                threshold,
                of: rules.map { self.requirement(of: $0, principals, label: "") },
                label: label,
                sharingSignatures: false
            )
        }
    }
}

// MARK: - Smallest sets of signatures

/// How many signatures of each principal would do.
package struct SignatureCombination: Hashable, Sendable, CustomStringConvertible {
    /// By the principal's name.
    package private(set) var counts: [String: Int] = [:]

    init() {}

    init(_ principal: String) { self.counts = [principal: 1] }

    package var total: Int { self.counts.values.reduce(0, +) }

    /// Both, each with signatures of its own.
    func adding(_ other: Self) -> Self {
        var sum = self
        sum.counts.merge(other.counts, uniquingKeysWith: +)
        return sum
    }

    /// Signatures that do for both at once.
    ///
    /// An administrator, client, peer or orderer is a member, too.
    func covering(_ other: Self) -> Self {
        var union = self
        union.counts.merge(other.counts, uniquingKeysWith: max)
        for (name, count) in union.counts where name.hasSuffix(".member'") {
            let prefix = name.dropLast("member'".count)
            let others = union.counts.reduce(0) { sum, entry in
                entry.key != name && entry.key.hasPrefix(prefix) ? sum + entry.value : sum
            }
            union.counts[name] = count > others ? count - others : nil
        }
        return union
    }

    /// Without one signature of `principal`.
    func removingOne(_ principal: String) -> Self {
        var rest = self
        let count = rest.counts[principal] ?? 0
        rest.counts[principal] = count > 1 ? count - 1 : nil
        return rest
    }

    func isCovered(by other: Self) -> Bool {
        self.counts.allSatisfy { (other.counts[$0.key] ?? 0) >= $0.value }
    }

    package var description: String {
        guard !self.counts.isEmpty else { return "no signature" }
        return self.counts.sorted { $0.key < $1.key }
            .map { $0.value == 1 ? $0.key : "\($0.value) x \($0.key)" }
            .joined(separator: " and ")
    }
}

extension PolicyRequirement {
    /// How many combinations are kept at each step: bounds time and memory for any policy.
    package static let combinationLimit = 24
    /// Above so many steps at one node, one combination is found and no others are looked for.
    private static let stepLimit = 4_000

    /// The smallest sets of signatures that would satisfy the requirement, shortest first.
    ///
    /// - Returns: the sets, none if nobody can satisfy it; and whether these are all of them.
    package func combinations() -> (list: [SignatureCombination], isComplete: Bool) {
        switch self {
        case .signature(let principal, _):
            return ([SignatureCombination(principal)], true)
        case .impossible:
            return ([], true)
        case .atLeast(let threshold, let parts, _, let isSharing):
            guard threshold > 0 else { return ([SignatureCombination()], true) }
            guard threshold <= parts.count else { return ([], true) }
            var isComplete = true
            var alternatives: [[SignatureCombination]] = []
            for part in parts {
                let found = part.combinations()
                isComplete = isComplete && found.isComplete
                if !found.list.isEmpty { alternatives.append(found.list) }
            }
            guard threshold <= alternatives.count else { return ([], true) }
            guard alternatives.count.multipliedReportingOverflow(by: threshold).partialValue <= Self.stepLimit
            else { return (Self.cheapest(threshold, of: alternatives, isSharing), false) }
            let (list, isWhole) = Self.choose(threshold, of: alternatives, isSharing)
            return (list, isComplete && isWhole)
        }
    }

    /// Whether any signatures could satisfy the requirement.
    package var isPossible: Bool {
        switch self {
        case .signature: true
        case .impossible: false
        case .atLeast(let threshold, let parts, _, _): parts.count(where: \.isPossible) >= threshold
        }
    }

    private static func join(
        _ left: SignatureCombination,
        _ right: SignatureCombination,
        _ isSharing: Bool
    ) -> SignatureCombination {
        isSharing ? left.covering(right) : left.adding(right)
    }

    private static func cheapest(
        _ threshold: Int,
        of alternatives: [[SignatureCombination]],
        _ isSharing: Bool
    ) -> [SignatureCombination] {
        let chosen = alternatives.compactMap(\.first).sorted { $0.total < $1.total }.prefix(threshold)
        return [chosen.reduce(SignatureCombination()) { Self.join($0, $1, isSharing) }]
    }

    private static func choose(
        _ threshold: Int,
        of alternatives: [[SignatureCombination]],
        _ isSharing: Bool
    ) -> (list: [SignatureCombination], isComplete: Bool) {
        var isComplete = true
        // byCount[n]: the combinations that satisfy n of the parts seen so far.
        var byCount: [[SignatureCombination]] = [[SignatureCombination()]]
        for choices in alternatives {
            var next = byCount
            if next.count <= threshold { next.append([]) }
            for (count, list) in byCount.enumerated() where count < threshold {
                for combination in list {
                    for choice in choices {
                        next[count + 1].append(Self.join(combination, choice, isSharing))
                    }
                }
            }
            for index in next.indices {
                let smallest = Self.smallest(next[index])
                isComplete = isComplete && smallest.count <= Self.combinationLimit
                next[index] = Array(smallest.prefix(Self.combinationLimit))
            }
            byCount = next
        }
        return (byCount.count > threshold ? byCount[threshold] : [], isComplete)
    }

    /// Without repetitions and combinations that hold another one, shortest first.
    private static func smallest(_ list: [SignatureCombination]) -> [SignatureCombination] {
        var kept: [SignatureCombination] = []
        let sorted = Set(list).map { (total: $0.total, text: $0.description, combination: $0) }
            .sorted { ($0.total, $0.text) < ($1.total, $1.text) }
        for entry in sorted where !kept.contains(where: { $0.isCovered(by: entry.combination) }) {
            kept.append(entry.combination)
            // One more than is used tells that there are more.
            if kept.count > Self.combinationLimit { break }
        }
        return kept
    }
}

// MARK: - For people

extension PolicyRequirement {
    /// The tree, one line a node, indented by two spaces a level.
    ///
    /// - Parameter limit: more lines are cut off, with a line that says so.
    /// - Returns: the lines.
    package func lines(limit: Int = 200) -> [String] {
        var lines: [String] = []
        self.write(to: &lines, depth: 0, limit: limit)
        if lines.count >= limit { lines.append("... and more") }
        return lines
    }

    private func write(to lines: inout [String], depth: Int, limit: Int) {
        guard lines.count < limit else { return }
        let indent = String(repeating: "  ", count: depth)
        switch self {
        case .signature(let principal, _):
            lines.append("\(indent)a signature of \(principal)")
        case .impossible(let reason):
            lines.append("\(indent)impossible: \(reason)")
        case .atLeast(let threshold, let parts, let label, _):
            let name = label.isEmpty ? "" : "\(label): "
            let count =
                threshold == parts.count
                ? (threshold == 1 ? "this" : "all \(threshold)") : "\(threshold) of \(parts.count)"
            lines.append("\(indent)\(name)\(parts.isEmpty && threshold <= 0 ? "nothing" : count)")
            for part in parts { part.write(to: &lines, depth: depth + 1, limit: limit) }
        }
    }
}
