internal import Channel
internal import FabricProtos
internal import Operations

/// Counts one envelope on its way to its answer.
///
/// Belongs to one thread, until ``checked()``.
///
/// - Source: Fabric v3.1, package `orderer/common/broadcast`.
final class BroadcastMetrics {
    private let metrics: Metrics
    private let start = ContinuousClock.now
    /// As Fabric's, for what can't be read.
    private var channel = ""
    private var type = ""

    init(_ metrics: Metrics) { self.metrics = metrics }

    /// The envelope is for a channel that is there.
    func envelope(of channel: ChannelID, type: Int32) {
        self.channel = channel.description
        self.type = Common_HeaderType(rawValue: Int(type))?.name ?? "type \(type)"
    }

    /// The envelope is not ordered.
    func refused(_ status: Common_Status) {
        self.metrics.histogram(.broadcastValidateDuration, self.channel, self.type, status.name)
            .record(ContinuousClock.now - self.start)
        self.metrics.counter(.broadcastProcessedCount, self.channel, self.type, status.name).increment()
    }

    /// The envelope may be ordered.
    ///
    /// - Returns: What is to be called with its answer.
    func checked() -> @Sendable (Common_Status) -> Void {
        let (metrics, channel, type) = (self.metrics, self.channel, self.type)
        let checked = ContinuousClock.now
        metrics.histogram(.broadcastValidateDuration, channel, type, Common_Status.success.name)
            .record(checked - self.start)
        return { status in
            metrics.histogram(.broadcastEnqueueDuration, channel, type, status.name)
                .record(ContinuousClock.now - checked)
            metrics.counter(.broadcastProcessedCount, channel, type, status.name).increment()
        }
    }
}
