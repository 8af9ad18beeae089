/// How many signatures of which principals; principals are numbers in a list that is kept elsewhere.
package struct PrincipalCounts: Hashable, Sendable {
    package struct Entry: Hashable, Sendable {
        package var principal: Int
        package var count: Int
    }

    /// By rising number of the principal; no count is zero.
    package private(set) var entries: [Entry]

    package init() { self.entries = [] }

    package init(_ principal: Int, count: Int = 1) {
        self.entries = count > 0 ? [Entry(principal: principal, count: count)] : []
    }

    package subscript(_ principal: Int) -> Int {
        self.entries.first { $0.principal == principal }?.count ?? 0
    }

    package var isEmpty: Bool { self.entries.isEmpty }

    package var total: Int { self.entries.reduce(0) { $0 + $1.count } }

    /// Both, joined principal by principal; `join` gets 0 where one of them has none.
    func merging(_ other: Self, _ join: (Int, Int) -> Int) -> Self {
        var merged = PrincipalCounts()
        merged.entries.reserveCapacity(self.entries.count + other.entries.count)
        var left = 0
        var right = 0
        while left < self.entries.count || right < other.entries.count {
            let first = left < self.entries.count ? self.entries[left].principal : Int.max
            let second = right < other.entries.count ? other.entries[right].principal : Int.max
            let principal = min(first, second)
            var count = (own: 0, other: 0)
            if first == principal {
                count.own = self.entries[left].count
                left += 1
            }
            if second == principal {
                count.other = other.entries[right].count
                right += 1
            }
            let joined = join(count.own, count.other)
            if joined > 0 { merged.entries.append(Entry(principal: principal, count: joined)) }
        }
        return merged
    }

    func replacing(_ principal: Int, with count: Int) -> Self {
        var counts = self
        counts.entries.removeAll { $0.principal == principal }
        guard count > 0 else { return counts }
        let place = counts.entries.firstIndex { $0.principal > principal } ?? counts.entries.endIndex
        counts.entries.insert(Entry(principal: principal, count: count), at: place)
        return counts
    }

    /// Whether nothing is asked for that `other` doesn't ask for too.
    func isContained(in other: Self) -> Bool {
        var right = 0
        for entry in self.entries {
            while right < other.entries.count, other.entries[right].principal < entry.principal { right += 1 }
            guard right < other.entries.count, other.entries[right].principal == entry.principal,
                other.entries[right].count >= entry.count
            else { return false }
        }
        return true
    }

    /// Whether there are enough candidates for each principal.
    func fits(_ capacity: [Int]?) -> Bool {
        guard let capacity else { return true }
        return self.entries.allSatisfy {
            capacity.indices.contains($0.principal) && capacity[$0.principal] >= $0.count
        }
    }

    /// Fewer signatures first, then a fixed order.
    func precedes(_ other: Self) -> Bool {
        let totals = (self.total, other.total)
        guard totals.0 == totals.1 else { return totals.0 < totals.1 }
        for (left, right) in zip(self.entries, other.entries) where left != right {
            return (left.principal, right.count) < (right.principal, left.count)
        }
        return self.entries.count < other.entries.count
    }
}

/// One way to satisfy policies: how many endorsers of which principals.
///
/// - Source: Fabric v3 documentation, "Service Discovery", layouts of an endorsement descriptor.
package struct EndorsementLayout: Hashable, Sendable {
    /// What clients are told: so many endorsers of each principal do for all policies.
    package var quantities: PrincipalCounts
    /// What each policy asks for on its own: every place of a demand needs an endorser of its own, while one
    /// endorser may have a place in several demands.
    package var demands: [PrincipalCounts]

    init(_ quantities: PrincipalCounts = PrincipalCounts()) {
        self.quantities = quantities
        self.demands = quantities.isEmpty ? [] : [quantities]
    }

    var largestDemand: Int { self.demands.map(\.total).max() ?? 0 }

    /// Chooses endorsers for every demand.
    ///
    /// Of all choices for a demand it is one with the candidates that come first in the order of preference; those
    /// that an earlier demand has chosen come before all others.
    ///
    /// - Parameters:
    ///   - candidates: the numbers of those who may be chosen, the best first.
    ///   - satisfies: whether a candidate is of a principal.
    /// - Returns: the numbers of the chosen; `nil` if there is no choice.
    package func endorsers(
        among candidates: [Int],
        satisfying satisfies: (_ candidate: Int, _ principal: Int) -> Bool
    ) -> [Int]? {
        var chosen: [Int] = []
        for demand in self.demands.sorted(by: { $1.precedes($0) }) {
            let order = chosen + candidates.filter { !chosen.contains($0) }
            guard let places = Self.fill(demand, from: order, satisfying: satisfies) else { return nil }
            chosen += places.filter { !chosen.contains($0) }
        }
        return chosen
    }

    /// Gives each place of `demand` a candidate of its own.
    ///
    /// A candidate that was given a place never loses it again, only moves to another one, so the first in order are
    /// kept wherever that is possible.
    private static func fill(
        _ demand: PrincipalCounts,
        from order: [Int],
        satisfying satisfies: (_ candidate: Int, _ principal: Int) -> Bool
    ) -> [Int]? {
        guard demand.total <= order.count else { return nil }
        var places = Places(demand)
        for candidate in order where places.free > 0 {
            places.seat(candidate, satisfying: satisfies)
        }
        return places.free == 0 ? places.seated : nil
    }

    /// The places of a demand and who has them.
    private struct Places {
        private let principals: [Int]
        private var holders: [Int?]
        private(set) var free: Int

        init(_ demand: PrincipalCounts) {
            self.principals = demand.entries.flatMap { Array(repeating: $0.principal, count: $0.count) }
            self.holders = Array(repeating: nil, count: self.principals.count)
            self.free = self.principals.count
        }

        /// Those who have a place, in the order of the places.
        var seated: [Int] { self.holders.compactMap(\.self) }

        /// Finds a place for `candidate`, moving others along where needed: breadth first over the places.
        mutating func seat(_ candidate: Int, satisfying satisfies: (Int, Int) -> Bool) {
            var cameFrom: [Int?] = Array(repeating: nil, count: self.principals.count)
            var isReached = Array(repeating: false, count: self.principals.count)
            var queue: [Int] = []
            for place in self.principals.indices where satisfies(candidate, self.principals[place]) {
                isReached[place] = true
                queue.append(place)
            }
            var next = 0
            while next < queue.count {
                let place = queue[next]
                next += 1
                guard let holder = self.holders[place] else {
                    self.shift(to: place, cameFrom, candidate)
                    return
                }
                for other in self.principals.indices
                where !isReached[other] && satisfies(holder, self.principals[other]) {
                    isReached[other] = true
                    cameFrom[other] = place
                    queue.append(other)
                }
            }
        }

        /// Moves every holder on the way one place further, and gives the first place to `candidate`.
        private mutating func shift(to free: Int, _ cameFrom: [Int?], _ candidate: Int) {
            var place = free
            while let previous = cameFrom[place] {
                self.holders[place] = self.holders[previous]
                place = previous
            }
            self.holders[place] = candidate
            self.free -= 1
        }
    }
}
