internal import Operations

/// What the streams of one channel to other consenters count.
///
/// Source: Fabric v3.1, package `orderer/common/cluster`.
struct LinkMetrics: Sendable {
    let metrics: Metrics
    let channel: String

    /// The series of one stream.
    struct Stream: Sendable {
        fileprivate let length: GaugeSeries
        fileprivate let dropped: CounterSeries
        fileprivate let sendTime: HistogramSeries
        fileprivate let workers: GaugeSeries
        fileprivate let streams: GaugeSeries
    }

    /// - Parameters:
    ///   - host: `host:port` of the other consenter.
    ///   - kind: `consensus` or `transaction`.
    ///   - capacity: messages that may wait.
    /// - Returns: the series, of which streams to the same consenter share some.
    func stream(to host: String, kind: String, capacity: Int) -> Stream {
        self.metrics.gauge(.clusterQueueCapacity, host, kind, self.channel).set(Int64(capacity))
        return Stream(
            length: self.metrics.gauge(.clusterQueueLength, host, kind, self.channel),
            dropped: self.metrics.counter(.clusterDroppedCount, host, self.channel),
            sendTime: self.metrics.histogram(.clusterSendTime, host, self.channel),
            workers: self.metrics.gauge(.clusterQueueWorkers, self.channel),
            streams: self.metrics.gauge(.clusterEgressStreams, self.channel)
        )
    }
}

extension LinkMetrics.Stream {
    /// A message waits to be sent.
    func queued() { self.length.increment(by: 1) }

    /// A message is sent.
    func sent(after duration: Duration) {
        self.length.decrement(by: 1)
        self.sendTime.record(duration)
    }

    /// A message is lost.
    func lost() { self.dropped.increment() }

    /// Nothing waits any more.
    func emptied() { self.length.set(Int64(0)) }

    func began() { self.workers.increment(by: 1) }

    func ended() { self.workers.decrement(by: 1) }

    func opened() { self.streams.increment(by: 1) }

    func closed() {
        self.streams.decrement(by: 1)
        self.emptied()
    }
}
