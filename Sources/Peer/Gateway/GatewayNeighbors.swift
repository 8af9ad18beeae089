package import Channel
package import FabricProtos

/// The other organizations' peers, found through the channel's configuration.
package protocol RemotePeers: Sendable {
    /// The peers known for each organization of the channel; connections are made when they are used.
    func peers(on configuration: ChannelConfiguration) -> [MSPID: [EndorsingPeer]]
}

/// The orderers of a channel, as one service.
package protocol OrderingService: Sendable {
    /// Has `envelope` ordered.
    ///
    /// - Throws: ``GatewayFailure``: ABORTED if an orderer refuses the envelope, UNAVAILABLE if none takes it.
    func submit(_ envelope: Common_Envelope, to configuration: ChannelConfiguration) async throws
}
