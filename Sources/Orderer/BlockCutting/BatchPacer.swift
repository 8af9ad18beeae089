internal import Foundation

/// How long an open batch waits for more, in ``CuttingMode/adaptive``.
///
/// A block costs a write that reaches the disk, a signature here and a commit on every peer, whatever it holds. So
/// under load batches should be large; a client that is alone should not wait for others. The rule:
///
/// - The longest wait is a quarter of BatchTimeout. The goal is half of MaxMessageCount.
/// - A batch waits the longest time only when envelopes come fast enough to reach the goal in it; at a fraction *x*
///   of that rate it waits *x*² of it. One client at a time comes out at a few milliseconds.
/// - When as many have come as the last block answered, and then arrivals pause, all clients wait for this very
///   batch: it is cut, and the goal comes down towards what it held.
/// - From time to time a larger goal is tried. It is kept if it orders about as many envelopes a second as the one
///   before, which it does when clients are kept busy while a batch fills. While it is tried, a pause ends a batch only when
///   it is longer than the time from one batch to the next was: so clients that come in several waves, each with the block
///   that answered it, come together.
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
    /// Over how many batches a goal is measured, at least; also how many pass before another is tried.
    static let leastPatience = 8
    /// How many batches pass at most, after larger goals were tried in vain, before one is tried again.
    static let mostPatience = 128
    /// A larger goal is kept if it orders at least this part of what the smaller one did.
    static let tolerance = 0.9

    /// What was ordered under one goal.
    private struct Measurement {
        var since: Duration = .zero
        var batches = 0
        var envelopes = 0

        func perSecond(at now: Duration) -> Double {
            Double(self.envelopes) / max((now - self.since).inSeconds, 1e-9)
        }

        /// From one batch to the next.
        func interval(at now: Duration) -> Duration { (now - self.since) / max(1, self.batches) }
    }

    private var largestGoal: Int
    private var longestWait: Duration
    private var goal: Int
    private var measurement = Measurement()
    /// While a larger goal is tried: the one before, how many envelopes a second it ordered, and how long after one another
    /// its batches came.
    private var fallback: (goal: Int, perSecond: Double, interval: Duration)?
    private var patience = Self.leastPatience
    /// Envelopes that the last batch held, and that have come since.
    private var answered = 0
    private var returned = 0
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
        self.returned += 1
    }

    /// Arrivals per second as they were lately; a quiet time lets the figure fall towards 0.
    private func rate(at now: Duration) -> Double {
        self.rate * exp(-(now - self.rateAt).inSeconds / Self.rateWindow.inSeconds)
    }

    /// The moment at which a batch of `count` envelopes is to be cut if nothing more arrives.
    func deadline(count: Int, since start: Duration, lastArrival: Duration, at now: Duration) -> Duration {
        guard count < self.goal else { return now }
        let wait = self.wait(at: lastArrival)
        return self.returned < self.answered
            ? start + wait : min(start + wait, lastArrival + self.pause(in: wait))
    }

    private func wait(at now: Duration) -> Duration {
        guard self.longestWait > .zero else { return .zero }
        let filled = min(1, self.rate(at: now) * self.longestWait.inSeconds / Double(self.largestGoal))
        return self.longestWait * filled.squared
    }

    private func pause(in wait: Duration) -> Duration {
        let pause = min(max(wait / Self.pauseDivisor, Self.shortestPause), Self.longestPause)
        return max(pause, self.fallback?.interval ?? .zero)
    }

    /// A batch of `count` was taken that could not grow any more.
    mutating func took(count: Int) {
        self.answered = count
        self.returned = 0
        self.measurement.batches += 1
        self.measurement.envelopes += count
    }

    /// An open batch of `count` was cut; learns which goal serves the clients.
    mutating func cut(count: Int, lastArrival: Duration, at now: Duration) {
        let hasPaused =
            count < self.goal && self.returned >= self.answered
            && now - lastArrival >= self.pause(in: self.wait(at: lastArrival))
        self.took(count: count)
        if count > self.goal {
            self.patience = Self.leastPatience
            self.pursue(min(self.largestGoal, count), at: now)
        } else if hasPaused {
            self.retreat(to: max(1, count, self.goal * 3 / 4), at: now)
        } else if let fallback, self.measurement.batches >= Self.leastPatience {
            guard self.measurement.perSecond(at: now) >= fallback.perSecond * Self.tolerance else {
                return self.retreat(to: fallback.goal, at: now)
            }
            self.patience = Self.leastPatience
            self.pursue(self.goal, at: now)
        } else if self.fallback == nil, self.goal < self.largestGoal,
            self.measurement.batches >= self.patience
        {
            let before = self.measurement
            let goal = self.goal
            self.pursue(min(self.largestGoal, goal + max(1, goal / 2)), at: now)
            self.fallback = (goal, before.perSecond(at: now), before.interval(at: now))
        }
    }

    /// Gives a goal up that was tried, or a goal that clients are too few for.
    private mutating func retreat(to goal: Int, at now: Duration) {
        if self.fallback != nil { self.patience = min(self.patience * 2, Self.mostPatience) }
        self.pursue(self.fallback?.goal ?? goal, at: now)
    }

    private mutating func pursue(_ goal: Int, at now: Duration) {
        self.goal = goal
        self.fallback = nil
        self.measurement = Measurement(since: now)
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
