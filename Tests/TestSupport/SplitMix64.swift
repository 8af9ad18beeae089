import Foundation

/// A small generator of random numbers that gives the same numbers for the same seed.
///
/// Tests take their seeds from ``seeds(_:)``.
///
/// Source: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014.
package struct SplitMix64: RandomNumberGenerator, Sendable {
    private var state: UInt64

    package init(seed: UInt64) { self.state = seed }

    package mutating func next() -> UInt64 {
        self.state &+= 0x9e37_79b9_7f4a_7c15
        var bits = self.state
        bits = (bits ^ (bits >> 30)) &* 0xbf58_476d_1ce4_e5b9
        bits = (bits ^ (bits >> 27)) &* 0x94d0_49bb_1331_11eb
        return bits ^ (bits >> 31)
    }
}

/// The seeds that a test runs with: the first `count`, or only the one that the environment names.
///
/// A test that fails prints its arguments: `WEFT_SEED=7 swift test --filter NAME` runs it with that seed alone.
package func seeds(_ count: UInt64) -> [UInt64] {
    if let seed = ProcessInfo.processInfo.environment["WEFT_SEED"].flatMap({ UInt64($0) }) { return [seed] }
    return Array(0..<count)
}
