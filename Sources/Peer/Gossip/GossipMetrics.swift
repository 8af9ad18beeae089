internal import Channel
internal import Gossip
internal import Operations

/// What a peer counts about gossip.
///
/// - Source: Fabric v3.1, package `gossip/metrics`.
struct GossipMetrics: Sendable {
    let metrics: Metrics
    let sent: CounterSeries
    let received: CounterSeries
    let overflow: CounterSeries

    init(_ metrics: Metrics) {
        self.metrics = metrics
        self.sent = metrics.counter(.gossipMessagesSent)
        self.received = metrics.counter(.gossipMessagesReceived)
        self.overflow = metrics.counter(.gossipOverflowCount)
    }

    /// Measures who is known.
    func observe(_ view: GossipView) {
        self.metrics.setGauges(
            .gossipPeersKnown,
            to: view.channels.map { ([$0.key.description], Double($0.value.others.count)) }
        )
        for (channel, view) in view.channels {
            let name = channel.description
            self.metrics.gauge(.gossipLeader, name).set(view.isLeader ? Int64(1) : 0)
            self.metrics.gauge(.gossipPayloadBufferSize, name).set(Int64(view.bufferedBlocks))
            if let own = view.own {
                self.metrics.gauge(.gossipStateHeight, name).set(Int64(clamping: own.height))
            }
        }
    }
}
