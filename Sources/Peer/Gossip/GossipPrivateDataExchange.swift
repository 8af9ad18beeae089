internal import Channel
internal import FabricProtos
internal import Gossip

/// Brings private data to other peers and fetches it from them, through gossip.
struct GossipPrivateDataExchange: PrivateDataExchange {
    let driver: GossipDriver

    func push(_ payloads: [Gossip_PrivatePayload], on channel: ChannelID) async throws {
        if let failure = await self.driver.push(payloads, on: channel) { throw PrivateDataNotSpread(failure) }
    }

    func pull(_ wanted: [WantedPrivateData], on channel: ChannelID) async -> [PulledPrivateData] {
        await self.driver.pull(wanted, on: channel)
            ?? wanted.map { _ in
                PulledPrivateData(bytes: nil, reason: "this peer has no gossip on channel \(channel)")
            }
    }
}
