internal import Channel
internal import FabricProtos
internal import Gossip

/// Does what gossip wants done about blocks: reads them for other peers, commits those that came, follows the leader.
protocol GossipBlocks: Sendable {
    /// Returns at once; what takes long happens in a task of its own.
    ///
    /// - Parameters:
    ///   - effect: What is to be done.
    ///   - channel: The channel.
    ///   - answer: Tells gossip what came of it.
    func perform(
        _ effect: BlocksEffect,
        on channel: ChannelID,
        answer: @escaping @Sendable (BlocksInput) async -> Void
    )
}

/// Does what gossip wants done about private data: keeps what was pushed here, and reads what others ask for.
protocol GossipPrivateData: Sendable {
    /// Returns at once; what takes long happens in a task of its own.
    ///
    /// - Parameters:
    ///   - effect: What is to be done.
    ///   - channel: The channel.
    ///   - answer: Tells gossip what came of it.
    func perform(
        _ effect: PrivateDataEffect,
        on channel: ChannelID,
        answer: @escaping @Sendable (PrivateDataInput) async -> Void
    )
}
