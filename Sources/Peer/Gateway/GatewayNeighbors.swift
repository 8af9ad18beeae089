package import Channel
package import FabricProtos

/// The other peers of channels, over the network.
package protocol RemotePeers: Sendable {
    /// The peer of `organization` that listens at `address`; a connection is made when it is first asked.
    func peer(of organization: MSPID, at address: String, on configuration: ChannelConfiguration)
        -> EndorsingPeer
}

/// The orderers of a channel, as one service.
package protocol OrderingService: Sendable {
    /// Has `envelope` ordered.
    ///
    /// - Throws: ``GatewayFailure``: ABORTED if an orderer refuses the envelope, UNAVAILABLE if none takes it.
    func submit(_ envelope: Common_Envelope, to configuration: ChannelConfiguration) async throws
}
