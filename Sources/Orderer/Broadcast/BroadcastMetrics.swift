internal import Channel
internal import FabricProtos
internal import Operations
internal import Synchronization

/// Counts envelopes on their way to their answers.
///
/// - Source: Fabric v3.1, package `orderer/common/broadcast`.
final class BroadcastMetrics: Sendable {
    private struct Key: Hashable {
        var channel: ChannelID
        var type: Int32
    }

    private let metrics: Metrics
    /// Those of the channels and types that there have been: a look-up for each envelope instead of three by texts.
    private let known = Mutex<[Key: Counts]>([:])
    /// More types than there are in the protocol come from clients that make them up.
    private static let mostKnown = 256

    init(_ metrics: Metrics) { self.metrics = metrics }

    /// The counts of envelopes of a type for a channel that is there; those of types that nobody knows are one.
    func counts(_ channel: ChannelID, type: Int32) -> Counts {
        let type = if case .UNRECOGNIZED = Common_HeaderType(rawValue: Int(type)) { Int32(-1) } else { type }
        let key = Key(channel: channel, type: type)
        if let counts = self.known.withLock({ $0[key] }) { return counts }
        let counts = Counts(self.metrics, channel: channel, type: type)
        self.known.withLock { known in
            if known.count < Self.mostKnown { known[key] = counts }
        }
        return counts
    }

    /// An envelope is not ordered; without `counts`, as in Fabric, if it can't be read or its channel isn't here.
    func refused(_ counts: Counts?, _ status: Common_Status, after duration: Duration) {
        let (channel, type) = counts.map { ($0.channel, $0.type) } ?? ("", "")
        self.metrics.histogram(.broadcastValidateDuration, channel, type, status.name).record(duration)
        self.metrics.counter(.broadcastProcessedCount, channel, type, status.name).increment()
    }

    /// What is counted of the envelopes of one type for one channel.
    final class Counts: Sendable {
        fileprivate let channel: String
        fileprivate let type: String
        private let metrics: Metrics
        private let checked: HistogramSeries
        private let succeeded: Mutex<(duration: HistogramSeries, count: CounterSeries)?>

        fileprivate init(_ metrics: Metrics, channel: ChannelID, type: Int32) {
            self.metrics = metrics
            self.channel = channel.description
            self.type = Common_HeaderType(rawValue: Int(type))?.name ?? "UNKNOWN"
            self.checked = metrics.histogram(
                .broadcastValidateDuration,
                self.channel,
                self.type,
                Common_Status.success.name
            )
            self.succeeded = Mutex(nil)
        }

        /// An envelope may be ordered.
        func accepted(after duration: Duration) { self.checked.record(duration) }

        /// An envelope that was accepted has its answer.
        func answered(_ status: Common_Status, after duration: Duration) {
            let (histogram, counter) =
                status == .success
                ? self.succeeded.withLock { known in
                    if let known { return known }
                    let series = self.series(status)
                    known = series
                    return series
                } : self.series(status)
            histogram.record(duration)
            counter.increment()
        }

        private func series(_ status: Common_Status) -> (duration: HistogramSeries, count: CounterSeries) {
            (
                self.metrics.histogram(.broadcastEnqueueDuration, self.channel, self.type, status.name),
                self.metrics.counter(.broadcastProcessedCount, self.channel, self.type, status.name)
            )
        }
    }
}
