/// One computation of layouts, bounded in what it keeps and in how much it joins.
struct LayoutSearch {
    /// For each principal, the principal "member" of its organization where the policies name that, too.
    let memberOf: [Int?]
    /// How many candidates there are for each principal; `nil` for any number.
    let capacity: [Int]?
    /// Whether nothing was left out for the sake of the bounds.
    private(set) var isComplete = true
    private var joins = 0

    init(memberOf: [Int?], capacity: [Int]?) {
        self.memberOf = memberOf
        self.capacity = capacity
    }

    /// The ways to satisfy `rule`; some may ask for more than others do.
    mutating func layouts(of rule: EndorsementRequirement.Rule) -> [EndorsementLayout] {
        switch rule {
        case .impossible:
            return []
        case .principal(let number):
            let counts = PrincipalCounts(number)
            return counts.fits(self.capacity) ? [EndorsementLayout(counts)] : []
        case .atLeast(let threshold, let parts):
            return self.choose(threshold, of: parts, isSharing: false)
        case .sharing(let threshold, let parts):
            return self.choose(threshold, of: parts, isSharing: true)
        }
    }

    /// All ways to take `threshold` of the parts, and one way of each part taken.
    private mutating func choose(
        _ threshold: Int,
        of parts: [EndorsementRequirement.Rule],
        isSharing: Bool
    ) -> [EndorsementLayout] {
        guard threshold > 0 else { return [EndorsementLayout()] }
        guard threshold <= parts.count else { return [] }
        var branches: [[EndorsementLayout]] = []
        for (index, part) in parts.enumerated() {
            let found = self.layouts(of: part)
            if !found.isEmpty { branches.append(found) }
            guard branches.count + parts.count - index - 1 >= threshold else { return [] }
        }
        let (sums, overflow) = threshold.multipliedReportingOverflow(by: branches.count)
        guard !overflow, sums <= EndorsementRequirement.ruleLimit,
            self.joins < EndorsementRequirement.joinLimit
        else { return self.oneWay(threshold, of: branches, isSharing) }

        // chosen[n]: the ways that take n of the branches seen so far.
        var chosen: [[EndorsementLayout]] = Array(repeating: [], count: threshold + 1)
        chosen[0] = [EndorsementLayout()]
        for (index, branch) in branches.enumerated() {
            let rest = branches.count - index - 1
            for taken in stride(from: min(threshold, index + 1), to: 0, by: -1)
            where taken + rest >= threshold {
                let grown = self.join(chosen[taken - 1], branch, isSharing)
                chosen[taken] = self.kept(chosen[taken] + grown)
            }
        }
        return isSharing ? Self.minimal(chosen[threshold]) : chosen[threshold]
    }

    /// One way, for a rule that is too large for all of them: the branches with the fewest endorsers that go together.
    private mutating func oneWay(
        _ threshold: Int,
        of branches: [[EndorsementLayout]],
        _ isSharing: Bool
    ) -> [EndorsementLayout] {
        self.isComplete = false
        var way = EndorsementLayout()
        var taken = 0
        let cheapest = branches.compactMap { $0.min { $0.quantities.precedes($1.quantities) } }
        for branch in cheapest.sorted(by: { $0.quantities.precedes($1.quantities) }) where taken < threshold {
            let grown = self.joined(way, branch, isSharing)
            guard grown.quantities.fits(self.capacity) else { continue }
            way = grown
            taken += 1
        }
        return taken == threshold ? [way] : []
    }

    private mutating func join(
        _ left: [EndorsementLayout],
        _ right: [EndorsementLayout],
        _ isSharing: Bool
    ) -> [EndorsementLayout] {
        var result: [EndorsementLayout] = []
        for first in left {
            for second in right {
                guard self.joins < EndorsementRequirement.joinLimit || result.isEmpty else {
                    self.isComplete = false
                    return result
                }
                self.joins += 1
                let joined = self.joined(first, second, isSharing)
                if joined.quantities.fits(self.capacity) { result.append(joined) }
            }
            if result.count > 4 * EndorsementRequirement.layoutLimit { result = self.kept(result) }
        }
        return result
    }

    /// Without repetitions, and not more than are to be kept.
    private mutating func kept(_ layouts: [EndorsementLayout]) -> [EndorsementLayout] {
        var seen: Set<EndorsementLayout> = []
        let unique = layouts.filter { seen.insert($0).inserted }
        guard unique.count > EndorsementRequirement.layoutLimit else { return unique }
        self.isComplete = false
        let sorted = unique.sorted { $0.quantities.precedes($1.quantities) }
        return Array(sorted.prefix(EndorsementRequirement.layoutLimit))
    }

    // MARK: Two ways at once

    private func joined(
        _ left: EndorsementLayout,
        _ right: EndorsementLayout,
        _ isSharing: Bool
    ) -> EndorsementLayout {
        guard isSharing else { return EndorsementLayout(left.quantities.merging(right.quantities, +)) }
        var layout = EndorsementLayout()
        layout.quantities = self.covering(left.quantities, right.quantities)
        layout.demands = left.demands
        for demand in right.demands {
            guard !layout.demands.contains(where: { demand.isContained(in: $0) }) else { continue }
            layout.demands.removeAll { $0.isContained(in: demand) }
            layout.demands.append(demand)
        }
        return layout
    }

    /// The fewest endorsers that do for both.
    ///
    /// Endorsers of one principal serve both sides. An endorser in a role, of a unit or with a certificate of an
    /// organization is one of its members, too: those that one side asks for beyond the other serve the other's demand
    /// for members.
    private func covering(_ left: PrincipalCounts, _ right: PrincipalCounts) -> PrincipalCounts {
        // What each side asks for beyond the other, by the organization's members.
        var extra: [Int: (left: Int, right: Int)] = [:]
        for entry in left.entries {
            guard let member = self.memberOf[entry.principal] else { continue }
            extra[member, default: (0, 0)].left += max(0, entry.count - right[entry.principal])
        }
        for entry in right.entries {
            guard let member = self.memberOf[entry.principal] else { continue }
            extra[member, default: (0, 0)].right += max(0, entry.count - left[entry.principal])
        }
        var union = left.merging(right, max)
        for (member, extra) in extra {
            let ofLeft = left[member] - min(left[member], extra.right)
            let ofRight = right[member] - min(right[member], extra.left)
            union = union.replacing(member, with: max(ofLeft, ofRight))
        }
        return union
    }

    /// Drops ways that ask for more than another one does; the smallest first, in a fixed order.
    ///
    /// Of ways with the same quantities the one with the smaller demands is kept: it lets endorsers serve more of them.
    static func minimal(_ layouts: [EndorsementLayout]) -> [EndorsementLayout] {
        let sorted = layouts.sorted { left, right in
            guard left.quantities == right.quantities else {
                return left.quantities.precedes(right.quantities)
            }
            return left.largestDemand < right.largestDemand
        }
        var kept: [EndorsementLayout] = []
        for layout in sorted
        where !kept.contains(where: { $0.quantities.isContained(in: layout.quantities) }) {
            kept.append(layout)
        }
        return kept
    }
}
