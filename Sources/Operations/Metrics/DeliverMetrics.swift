/// What a service that delivers blocks counts.
///
/// - Source: Fabric v3.1, package `common/deliver`.
package struct DeliverMetrics: Sendable {
    private let metrics: Metrics
    private let opened: CounterSeries
    private let closed: CounterSeries

    package init(_ metrics: Metrics) {
        self.metrics = metrics
        self.opened = metrics.counter(.deliverStreamsOpened)
        self.closed = metrics.counter(.deliverStreamsClosed)
    }

    package func streamOpened() { self.opened.increment() }

    package func streamClosed() { self.closed.increment() }

    /// A request for blocks of a channel that is there.
    package func requestReceived(channel: String, dataType: String = "block") -> Request {
        let isFiltered = "\(dataType == "filtered_block")"
        self.metrics.counter(.deliverRequestsReceived, channel, isFiltered, dataType).increment()
        return Request(
            metrics: self.metrics,
            labels: (channel, isFiltered, dataType),
            blocks: self.metrics.counter(.deliverBlocksSent, channel, isFiltered, dataType)
        )
    }

    /// One request that is being answered.
    package struct Request: Sendable {
        fileprivate let metrics: Metrics
        fileprivate let labels: (channel: String, isFiltered: String, dataType: String)
        fileprivate let blocks: CounterSeries

        package func blockSent() { self.blocks.increment() }

        package func completed(success: Bool) {
            let (channel, isFiltered, dataType) = self.labels
            self.metrics.counter(.deliverRequestsCompleted, channel, isFiltered, dataType, "\(success)")
                .increment()
        }
    }
}
