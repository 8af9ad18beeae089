internal import CoreMetrics
internal import Synchronization

/// A count that only grows; counting is one relaxed atomic addition.
package final class CounterSeries: CounterHandler {
    private let count = Atomic<Int64>(0)

    package func increment(by amount: Int64 = 1) { self.count.wrappingAdd(amount, ordering: .relaxed) }

    package func reset() { self.count.store(0, ordering: .relaxed) }

    package var value: Double { Double(self.count.load(ordering: .relaxed)) }
}

/// A value that goes up and down.
package final class GaugeSeries: MeterHandler, FloatingPointCounterHandler {
    private let bits = AtomicDouble()

    package func set(_ value: Int64) { self.bits.set(Double(value)) }

    package func set(_ value: Double) { self.bits.set(value) }

    package func increment(by amount: Double) { self.bits.add(amount) }

    package func decrement(by amount: Double) { self.bits.add(-amount) }

    package func reset() { self.bits.set(0) }

    package var value: Double { self.bits.value }
}

/// How many values fell under each of some bounds, and their sum.
package final class HistogramSeries: RecorderHandler, TimerHandler {
    private let bounds: [Double]
    /// One more than bounds: the last takes what is above all of them.
    private let counts: AtomicCounts
    private let sum = AtomicDouble()
    /// `nil` where nobody takes them.
    private let samples: Samples?

    init(bounds: [Double], keepsSamples: Bool = false) {
        self.bounds = bounds
        self.counts = AtomicCounts(bounds.count + 1)
        self.samples = keepsSamples ? Samples() : nil
    }

    package func record(_ value: Int64) { self.record(Double(value)) }

    package func record(_ value: Double) {
        self.counts.increment(self.bounds.firstIndex { value <= $0 } ?? self.bounds.count)
        self.sum.add(value)
        self.samples?.add(value)
    }

    package func recordNanoseconds(_ duration: Int64) { self.record(Double(duration) / 1_000_000_000) }

    package func record(_ duration: Duration) {
        let parts = duration.components
        self.record(Double(parts.seconds) + Double(parts.attoseconds) / 1e18)
    }

    /// How many values were at most each bound, how many there were, and their sum.
    package var snapshot: (cumulative: [(bound: Double, count: Int)], count: Int, sum: Double) {
        var total = 0
        var cumulative: [(Double, Int)] = []
        for (index, bound) in self.bounds.enumerated() {
            total += self.counts.value(index)
            cumulative.append((bound, total))
        }
        return (cumulative, total + self.counts.value(self.bounds.count), self.sum.value)
    }
}

extension HistogramSeries {
    /// The values since the last call, and how many they stand for: more than there are, when there were too many to
    /// keep.
    func takeSamples() -> (values: [Double], count: Int) { self.samples?.take() ?? ([], 0) }
}

/// The newest values of a series: all of them, or a random choice of as many as are kept.
private final class Samples: Sendable {
    /// How many values are kept between two calls of ``take()``.
    private static let limit = 1000

    private let state = Mutex((values: [Double](), count: 0))

    /// - Source: Vitter, "Random sampling with a reservoir", 1985, algorithm R.
    func add(_ value: Double) {
        self.state.withLock { state in
            state.count += 1
            guard state.values.count >= Self.limit else { return state.values.append(value) }
            let place = Int.random(in: 0..<state.count)
            if state.values.indices.contains(place) { state.values[place] = value }
        }
    }

    func take() -> (values: [Double], count: Int) {
        self.state.withLock { state in
            defer { state = ([], 0) }
            return state
        }
    }
}

/// A floating point number that many threads add to.
private final class AtomicDouble: Sendable {
    private let bits = Atomic<UInt64>(0)

    var value: Double { Double(bitPattern: self.bits.load(ordering: .relaxed)) }

    func set(_ value: Double) { self.bits.store(value.bitPattern, ordering: .relaxed) }

    func add(_ amount: Double) {
        var old = self.bits.load(ordering: .relaxed)
        while true {
            let new = (Double(bitPattern: old) + amount).bitPattern
            let (exchanged, found) = self.bits.weakCompareExchange(
                expected: old,
                desired: new,
                ordering: .relaxed
            )
            if exchanged { return }
            old = found
        }
    }
}

/// A fixed number of counts.
private final class AtomicCounts: @unchecked Sendable {
    // Why `@unchecked`: the pointer never changes, and each element is atomic.
    private let elements: UnsafeMutableBufferPointer<Atomic<Int>>

    init(_ count: Int) {
        self.elements = .allocate(capacity: count)
        for index in self.elements.indices { self.elements.initializeElement(at: index, to: Atomic(0)) }
    }

    deinit {
        self.elements.deinitialize()
        self.elements.deallocate()
    }

    func increment(_ index: Int) { self.elements[index].wrappingAdd(1, ordering: .relaxed) }

    func value(_ index: Int) -> Int { self.elements[index].load(ordering: .relaxed) }
}
