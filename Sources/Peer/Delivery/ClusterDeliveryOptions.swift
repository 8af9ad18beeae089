package import Channel

/// How a peer takes the blocks of BFT channels, where single orderers may lie.
///
/// - Source: Fabric v3, `core.yaml`, `peer.deliveryclient`.
package struct ClusterDeliveryOptions: Equatable, Sendable {
    /// Which orderers are heard (`policy`).
    package enum Policy: String, Sendable {
        /// One at a time, as on other channels.
        case simple
        /// All: one gives blocks, the others headers, so that one that withholds blocks is found out.
        case cluster
    }

    package var policy: Policy
    package var timeouts: BFTDeliveryTimeouts

    package init(policy: Policy = .cluster, timeouts: BFTDeliveryTimeouts = BFTDeliveryTimeouts()) {
        self.policy = policy
        self.timeouts = timeouts
    }

    /// Whether all orderers are heard on a channel with this configuration.
    func isWanted(on configuration: ChannelConfiguration) -> Bool {
        self.policy == .cluster && configuration.orderer?.consensusType == "BFT"
    }
}
