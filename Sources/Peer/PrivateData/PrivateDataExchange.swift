package import Channel
package import FabricProtos
package import Gossip

/// How private data reaches other peers, and comes from them: gossip, as the endorser and the commit see it.
package protocol PrivateDataExchange: Sendable {
    /// Hands private writes that this peer has endorsed to other members of their collections.
    ///
    /// Returns once as many peers as each collection requires have acknowledged them.
    ///
    /// - Throws: ``PrivateDataNotSpread`` if too few can be reached, or acknowledge in time.
    func push(_ payloads: [Gossip_PrivatePayload], on channel: ChannelID) async throws

    /// Asks other peers for private data that is missing here, each thing from several peers one after the other.
    ///
    /// - Returns: what has become of each, in the same order; all without data if the channel has no gossip.
    func pull(_ wanted: [WantedPrivateData], on channel: ChannelID) async -> [PulledPrivateData]
}

/// Private data that was endorsed has not reached as many other peers as its collection requires.
package struct PrivateDataNotSpread: Error, Sendable, CustomStringConvertible {
    package var description: String

    package init(_ description: String) {
        self.description = description
    }
}

extension Gossip_PrivatePayload {
    /// Whether its collection wants other peers to have it before it is endorsed.
    var isRequiredElsewhere: Bool {
        self.collectionConfigs.config.contains { $0.staticCollectionConfig.requiredPeerCount > 0 }
    }
}
