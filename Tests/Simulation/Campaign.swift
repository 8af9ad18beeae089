import Dispatch
import Foundation
import Synchronization

/// Many seeds, on all cores, until one breaks an invariant; tells totals now and then, and at the end.
package struct Campaign {
    /// Runs a seed; the closure hears what happens.
    package typealias Run = @Sendable (UInt64, ((String) -> Void)?) -> RunReport

    /// The run in which something was violated.
    package let violation: RunReport?

    /// Runs `seeds` seeds from `first` on; without a number, until the process is stopped.
    package init(seeds: Int?, first: UInt64, telling interval: Int = 1_000, _ run: @escaping Run) {
        let totals = Mutex(Totals())
        let start = ContinuousClock.now
        let limit = seeds.map { first &+ UInt64($0) } ?? .max
        let next = Mutex(first)
        DispatchQueue.concurrentPerform(iterations: ProcessInfo.processInfo.activeProcessorCount) { _ in
            while true {
                let seed = next.withLock { next -> UInt64? in
                    guard next < limit else { return nil }
                    next += 1
                    return next - 1
                }
                guard let seed else { return }
                let report = run(seed, nil)
                let goesOn = totals.withLock { totals -> Bool in
                    totals.add(report)
                    if totals.seeds % interval == 0 { totals.tell(since: start) }
                    return totals.violation == nil
                }
                if !goesOn { return }
            }
        }
        self.violation = totals.withLock { totals in
            totals.tell(since: start)
            if let violation = totals.violation { say("violated: \(violation.summary)") }
            return totals.violation
        }
    }
}

/// Prints at once, also into a file: a run may be stopped at any moment.
package func say(_ text: some CustomStringConvertible) {
    FileHandle.standardOutput.write(Data("\(text)\n".utf8))
}

/// What all seeds did together.
package struct Totals {
    package private(set) var seeds = 0
    private var counting = 0
    private var virtualSeconds = 0
    private var faults = 0
    private var commits = 0
    private var acknowledged = 0
    private var messages = 0
    private var counts = Counts()
    package private(set) var violation: RunReport?

    package init() {}

    package mutating func add(_ report: RunReport) {
        self.seeds += 1
        if report.isCounted {
            self.counting += 1
            self.virtualSeconds += report.virtualTime / 1.seconds
            self.faults += report.faults
            self.commits += report.commits
            self.acknowledged += report.acknowledged
            self.messages += report.messages
            self.counts += report.counts
        }
        if report.violation != nil, self.violation == nil { self.violation = report }
    }

    package func tell(since start: ContinuousClock.Instant) {
        let elapsed = ContinuousClock.now - start
        let seconds = Double(elapsed.components.seconds) + Double(elapsed.components.attoseconds) / 1e18
        say(
            "\(self.seeds) seeds, \(self.counting) of them count: \(Self.brief(Double(self.virtualSeconds) / 3_600)) virtual hours, "
                + "\(self.faults) faults, \(self.commits) commits, \(self.acknowledged) envelopes acknowledged, "
                + "\(self.messages) messages, \(self.counts); \(Self.brief(Double(self.seeds) / max(seconds, 0.001))) seeds per second"
        )
    }
    /// Whole numbers, or one digit more where there are few.
    private static func brief(_ number: Double) -> String {
        number < 20 ? "\((number * 10).rounded() / 10)" : "\(Int(number))"
    }
}
