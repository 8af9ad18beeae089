package import Gossip

/// How a peer's gossip runs: who may see it, and the bounds of its connections.
///
/// - Source: Fabric v3.1, `sampleconfig/core.yaml`, section `peer.gossip`.
package struct GossipSettings: Sendable, Equatable {
    /// `host:port` at which peers of the own organization reach this one (`endpoint`); empty takes the address that
    /// the peer listens on.
    package var endpoint = ""
    /// `host:port` at which peers of other organizations reach this one (`externalEndpoint`); empty to stay unseen by
    /// them, and by discovery.
    package var externalEndpoint = ""
    /// Timings and bounds of the protocol.
    package var options = GossipOptions()
    /// How long connecting may take (`dialTimeout`).
    package var dialTimeout: Duration = .seconds(3)
    /// How long the first answer on a connection may take (`connTimeout`).
    package var connectionTimeout: Duration = .seconds(2)
    /// Messages that may wait for one peer (`sendBuffSize`); more are dropped.
    package var sendBufferSize = 200
    /// How often the log says who has come and gone (`membershipTrackerInterval`).
    package var membershipTrackerInterval: Duration = .seconds(5)

    package init() {}
}
