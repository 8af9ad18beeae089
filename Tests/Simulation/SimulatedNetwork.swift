package import Consensus

/// Who reaches whom, and how well.
package struct SimulatedNetwork {
    /// Messages lost in a thousand.
    package var lost = 0
    /// Messages that come twice, in a thousand.
    package var duplicated = 0
    /// Some messages take up to this long.
    package var longestDelay: Moment = 10_000
    private var cut: Set<UInt64> = []

    package init() {}

    private func pair(_ from: NodeID, _ to: NodeID) -> UInt64 { from << 32 | to }

    package mutating func cut(_ from: NodeID, to: NodeID) { self.cut.insert(self.pair(from, to)) }
    package mutating func mend(_ from: NodeID, to: NodeID) { self.cut.remove(self.pair(from, to)) }
    package mutating func mendAll() { self.cut = [] }

    package func reaches(_ from: NodeID, to: NodeID) -> Bool {
        self.cut.isEmpty || !self.cut.contains(self.pair(from, to))
    }

    package func connects(_ one: NodeID, _ other: NodeID) -> Bool {
        self.reaches(one, to: other) && self.reaches(other, to: one)
    }

    package func carries(_ from: NodeID, to: NodeID, _ dice: inout Dice) -> Bool {
        self.reaches(from, to: to) && !(self.lost > 0 && dice.chance(self.lost))
    }

    package func delay(_ dice: inout Dice) -> Moment {
        // Most are quick; one in ten may be overtaken by many.
        dice.chance(900) ? dice.between(500, 5_000) : dice.between(500, self.longestDelay)
    }
}

// MARK: - Faults

extension SimulatedNetwork {
    /// Cuts one node off from all others, in one or both directions; returns what was done.
    package mutating func isolate(_ node: NodeID, from others: [NodeID], _ dice: inout Dice) -> String {
        let direction = dice.below(3)
        for other in others where other != node {
            if direction != 1 { self.cut(node, to: other) }
            if direction != 0 { self.cut(other, to: node) }
        }
        return "node \(node) is cut off, direction \(direction)"
    }

    /// Makes two groups of nodes that no longer reach each other; returns what was done.
    package mutating func split(_ nodes: [NodeID], _ dice: inout Dice) -> String {
        let one = nodes.filter { _ in dice.chance(500) }
        for here in one {
            for there in nodes where !one.contains(there) {
                self.cut(here, to: there)
                self.cut(there, to: here)
            }
        }
        return "nodes \(one) are split off"
    }

    /// Loses up to `mostLost` messages in a thousand, delays others, and repeats some; returns what was done.
    package mutating func degrade(mostLost: Int, _ dice: inout Dice) -> String {
        self.lost = dice.between(20, mostLost)
        self.duplicated = dice.between(0, 300)
        self.longestDelay = dice.between(50.milliseconds, 2.seconds)
        return "the network loses, delays and repeats messages"
    }

    /// Loses nothing any more; some messages still come twice.
    package mutating func recover() {
        self.lost = 0
        self.duplicated = 20
        self.longestDelay = 10.milliseconds
    }
}
