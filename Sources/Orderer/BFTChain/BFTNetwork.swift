internal import Consensus

/// The way from one consenter of a BFT channel to the others.
///
/// What is lost is repeated: nobody has to be told of it.
protocol BFTNetwork: Sendable {
    /// Connects to these consenters but `own`, and to no others; what did not change stays connected.
    func configure(_ membership: ClusterMembership, own: NodeID)

    /// Sends a message to the consenter that it names; `false` if it is lost for sure.
    func send(_ message: BFTMessage) -> Bool

    /// Gives what clients want ordered to another consenter, which checks it itself.
    ///
    /// An envelope that it has no room for is dropped.
    func give(_ envelopes: [OrderingChannel.Waiting], to node: NodeID)

    /// Gives what clients want ordered to every other consenter: so all notice a leader that leaves it out.
    func spread(_ envelopes: [OrderingChannel.Waiting])

    /// Ends all connections.
    func close()
}

/// No other consenters.
struct NoBFTNetwork: BFTNetwork {
    func configure(_ membership: ClusterMembership, own: NodeID) {}
    func send(_ message: BFTMessage) -> Bool { false }
    func give(_ envelopes: [OrderingChannel.Waiting], to node: NodeID) {}
    func spread(_ envelopes: [OrderingChannel.Waiting]) {}
    func close() {}
}
