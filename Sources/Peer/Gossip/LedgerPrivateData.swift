internal import Channel
internal import Gossip

/// Keeps private data that other peers push, and reads what they ask for, where the disk may block.
struct LedgerPrivateData: GossipPrivateData {
    let channels: ChannelRegistry
    let link: PrivateDataLink
    let readers: BlockingExecutor

    func perform(
        _ effect: PrivateDataEffect,
        on channel: ChannelID,
        answer: @escaping @Sendable (PrivateDataInput) async -> Void
    ) {
        guard let channel = self.channels[channel] else { return }
        let stores = PrivateDataStores(channel: channel, link: self.link)
        // How many of these there are at once is bounded by the engine, for each peer.
        Task(executorPreference: self.readers) {
            if let input = stores.perform(effect) { await answer(input) }
        }
    }
}
