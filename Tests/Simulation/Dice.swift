import TestSupport

/// All chance of one simulation.
package struct Dice: Sendable {
    private var generator: SplitMix64

    package init(seed: UInt64) { self.generator = SplitMix64(seed: seed) }

    package mutating func number() -> UInt64 { self.generator.next() }

    package mutating func below(_ bound: Int) -> Int {
        bound <= 1 ? 0 : Int(self.generator.next() % UInt64(bound))
    }

    package mutating func between(_ low: Int, _ high: Int) -> Int { low + self.below(high - low + 1) }

    /// True so many times in a thousand.
    package mutating func chance(_ perMille: Int) -> Bool { self.below(1000) < perMille }

    package mutating func pick<Element>(_ elements: [Element]) -> Element? {
        elements.isEmpty ? nil : elements[self.below(elements.count)]
    }
}

/// Virtual time, in microseconds.
package typealias Moment = Int

extension Int {
    package var milliseconds: Moment { self * 1_000 }
    package var seconds: Moment { self * 1_000_000 }
}
