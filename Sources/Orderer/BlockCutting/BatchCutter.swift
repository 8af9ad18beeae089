internal import DequeModule

/// When batches are cut.
package enum CuttingMode: Sendable, Equatable {
    /// As soon as it pays: at once when the channel is idle, later under load. BatchTimeout, MaxMessageCount and
    /// PreferredMaxBytes are upper bounds.
    case adaptive
    /// As Fabric does it: only a bound of the configuration cuts a batch.
    case fabric
}

/// The bounds of a batch.
struct BatchBounds: Sendable, Equatable {
    var maxMessageCount: Int
    var preferredMaxBytes: Int
    /// How long the first envelope of a batch waits for more.
    var timeout: Duration
}

/// Decides where the queue of a channel is cut into batches, and when.
///
/// Pure: it is told what arrives and when, and never sees the envelopes. Moments are durations since any fixed
/// instant, and never go back.
///
/// Batches are closed as Fabric closes them: by count, by bytes, before and after a config envelope, which stays
/// alone, and around an envelope larger than PreferredMaxBytes. What differs between the modes is how long a batch
/// that is still open waits.
///
/// Source: Fabric v3.1, package `orderer/common/blockcutter` and the timer of `orderer/consensus/etcdraft`.
struct BatchCutter: Sendable {
    enum Decision: Equatable, Sendable {
        /// Cut this many envelopes from the front of the queue now.
        case cut(Int)
        /// Nothing is due before this moment, or before something arrives.
        case wait(until: Duration?)
    }

    private(set) var bounds: BatchBounds
    let mode: CuttingMode
    /// How many envelopes each closed batch has.
    private var closed: Deque<Int> = []
    /// The batch that may still grow.
    private var openCount = 0
    private var openBytes = 0
    /// When the timer of the open batch was started.
    private var timerStart: Duration?
    private var lastArrival: Duration = .zero
    private var pacer: BatchPacer

    init(bounds: BatchBounds, mode: CuttingMode) {
        self.bounds = bounds
        self.mode = mode
        self.pacer = BatchPacer(bounds: bounds)
    }

    /// An envelope whose payload and signature have `size` bytes joined the end of the queue.
    mutating func arrived(size: Int, isConfig: Bool, at now: Duration) {
        self.lastArrival = now
        self.pacer.arrived(at: now)
        self.place(size: size, isConfig: isConfig, at: now)
    }

    private mutating func place(size: Int, isConfig: Bool, at now: Duration) {
        if isConfig || size > self.bounds.preferredMaxBytes {
            self.close()
            self.closed.append(1)
        } else {
            if self.openBytes + size > self.bounds.preferredMaxBytes { self.close() }
            self.openCount += 1
            self.openBytes += size
            if self.openCount >= self.bounds.maxMessageCount { self.close() }
        }
        // Fabric's timer runs while anything is pending, and is not started again by what replaces it.
        if self.openCount == 0 {
            self.timerStart = nil
        } else if self.timerStart == nil {
            self.timerStart = now
        }
    }

    private mutating func close() {
        guard self.openCount > 0 else { return }
        self.closed.append(self.openCount)
        self.openCount = 0
        self.openBytes = 0
    }

    /// What to do now.
    ///
    /// While proposals are in flight, a batch that may still grow waits for them, at most until its time is up.
    func decision(at now: Duration, hasInFlight: Bool = false) -> Decision {
        if let first = self.closed.first { return .cut(first) }
        guard self.openCount > 0, let timerStart = self.timerStart else { return .wait(until: nil) }
        var deadline = timerStart + self.bounds.timeout
        if self.mode == .adaptive, !hasInFlight {
            deadline = min(
                deadline,
                self.pacer.deadline(
                    count: self.openCount,
                    since: timerStart,
                    lastArrival: self.lastArrival,
                    at: now
                )
            )
        }
        return deadline <= now ? .cut(self.openCount) : .wait(until: deadline)
    }

    /// The batch that ``decision(at:)`` told to cut was taken from the queue.
    mutating func took(at now: Duration) {
        if let count = self.closed.popFirst() { return self.pacer.took(count: count) }
        self.pacer.cut(count: self.openCount, lastArrival: self.lastArrival, at: now)
        self.openCount = 0
        self.openBytes = 0
        self.timerStart = nil
    }

    /// The bounds changed: the batches of what still waits, in `queue`, are formed again.
    mutating func rebound(
        _ bounds: BatchBounds,
        queue: some Sequence<(size: Int, isConfig: Bool)>,
        at now: Duration
    ) {
        self.bounds = bounds
        self.pacer.rebound(bounds)
        self.closed = []
        self.openCount = 0
        self.openBytes = 0
        self.timerStart = nil
        for envelope in queue { self.place(size: envelope.size, isConfig: envelope.isConfig, at: now) }
    }
}
