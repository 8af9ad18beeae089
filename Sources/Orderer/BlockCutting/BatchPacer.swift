internal import Foundation

/// How long an open batch waits for more, in ``CuttingMode/adaptive``.
///
/// A block costs a write that reaches the disk, a signature here and a commit on every peer, whatever it holds. So
/// under load batches should be large; a client that is alone should not wait for others. The rule:
///
/// - The longest wait is a quarter of BatchTimeout. The goal is half of MaxMessageCount.
/// - A batch waits the longest time only when envelopes come fast enough to reach the goal in it; at a fraction *x*
///   of that rate it waits *x*² of it. One client at a time comes out at a few milliseconds.
/// - When arrivals pause, because all clients wait for this very batch, it is cut. What it held becomes the goal,
///   so that the next batch doesn't wait for the pause; now and then a larger goal is tried.
///
/// Pure; ``BatchCutter`` says what the moments are.
struct BatchPacer: Sendable {
    /// Over how long the rate of arrivals is averaged.
    static let rateWindow: Duration = .milliseconds(250)
    /// The part of BatchTimeout that a batch may wait at most.
    static let longestWaitDivisor = 4
    /// A pause this part of the wait ends it, within the limits below.
    static let pauseDivisor = 8
    static let shortestPause: Duration = .milliseconds(1)
    static let longestPause: Duration = .milliseconds(25)
    /// After this many batches that just reached the goal, a larger one is tried.
    static let batchesBeforeTrying = 4

    private var largestGoal: Int
    private var longestWait: Duration
    private var goal: Int
    private var reached = 0
    /// Arrivals per second, decaying.
    private var rate = 0.0
    private var rateAt: Duration = .zero

    init(bounds: BatchBounds) {
        self.largestGoal = max(1, (bounds.maxMessageCount + 1) / 2)
        self.longestWait = bounds.timeout / Self.longestWaitDivisor
        self.goal = self.largestGoal
    }

    mutating func rebound(_ bounds: BatchBounds) {
        let fresh = BatchPacer(bounds: bounds)
        self.largestGoal = fresh.largestGoal
        self.longestWait = fresh.longestWait
        self.goal = min(self.goal, fresh.largestGoal)
    }

    mutating func arrived(at now: Duration) {
        self.rate = self.rate(at: now) + 1 / Self.rateWindow.inSeconds
        self.rateAt = now
    }

    /// Arrivals per second as they were lately; a quiet time lets the figure fall towards 0.
    private func rate(at now: Duration) -> Double {
        self.rate * exp(-(now - self.rateAt).inSeconds / Self.rateWindow.inSeconds)
    }

    /// The moment at which a batch of `count` envelopes is to be cut if nothing more arrives.
    func deadline(count: Int, since start: Duration, lastArrival: Duration, at now: Duration) -> Duration {
        guard count < self.goal else { return now }
        let wait = self.wait(at: lastArrival)
        return min(start + wait, lastArrival + Self.pause(in: wait))
    }

    private func wait(at now: Duration) -> Duration {
        guard self.longestWait > .zero else { return .zero }
        let filled = min(1, self.rate(at: now) * self.longestWait.inSeconds / Double(self.largestGoal))
        return self.longestWait * filled.squared
    }

    private static func pause(in wait: Duration) -> Duration {
        min(max(wait / self.pauseDivisor, self.shortestPause), self.longestPause)
    }

    /// An open batch of `count` was cut; learns how many envelopes come before the clients wait for an answer.
    mutating func cut(count: Int, lastArrival: Duration, at now: Duration) {
        if count > self.goal {
            self.goal = min(self.largestGoal, count)
            self.reached = 0
        } else if count == self.goal {
            self.reached += 1
            if self.reached >= Self.batchesBeforeTrying {
                self.goal = min(self.largestGoal, self.goal + max(1, self.goal / 2))
                self.reached = 0
            }
        } else if now - lastArrival >= Self.pause(in: self.wait(at: lastArrival)) {
            self.goal = max(1, count)
            self.reached = 0
        }
    }
}

extension Duration {
    /// The same length in seconds.
    var inSeconds: Double {
        Double(self.components.seconds) + Double(self.components.attoseconds) / 1e18
    }
}

extension Double {
    fileprivate var squared: Double { self * self }
}
