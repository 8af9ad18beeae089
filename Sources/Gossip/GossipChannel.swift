package import Channel
internal import FabricProtos

/// What gossip keeps for one channel: its rules, its blocks, its private data.
///
/// Messages reach it only from peers whose organizations are in the channel and whose certificates the channel accepts.
package struct GossipChannel: Sendable {
    package private(set) var configuration: ChannelConfiguration
    /// Who takes part, and how blocks travel.
    package private(set) var blocks: ChannelGossip
    private var privateData: PrivateDataGossip

    init(_ configuration: ChannelConfiguration, _ context: inout GossipContext) {
        self.configuration = configuration
        self.blocks = ChannelGossip(configuration, context)
        self.privateData = PrivateDataGossip(channel: configuration.channelID)
        self.configure(configuration, &context)
    }

    mutating func configure(_ configuration: ChannelConfiguration, _ context: inout GossipContext) {
        self.configuration = configuration
        self.blocks.configure(configuration, &context)
        self.privateData.configure(configuration, &context)
    }

    mutating func tick(_ context: inout GossipContext) {
        self.blocks.tick(&context)
        self.privateData.tick(members: self.heights, &context)
    }

    mutating func receive(_ message: ReceivedMessage, _ context: inout GossipContext) {
        switch message.message.content {
        case .ack, .privateData, .privateReq, .privateRes:
            self.privateData.receive(message, members: self.heights, &context)
        default: self.blocks.receive(message, &context)
        }
    }

    mutating func step(_ input: BlocksInput, _ context: inout GossipContext) {
        self.blocks.step(input, &context)
    }

    mutating func step(_ input: PrivateDataInput, _ context: inout GossipContext) {
        self.privateData.step(input, members: self.heights, &context)
    }

    mutating func setHeight(_ height: BlockNumber, _ context: inout GossipContext) {
        self.blocks.advance(to: height, &context)
    }

    mutating func setContracts(_ contracts: [Gossip_Chaincode], _ context: inout GossipContext) {
        self.blocks.setChaincodes(contracts, &context)
    }

    /// The peer leaves the channel.
    mutating func leave(_ context: inout GossipContext) {
        self.blocks.leave(&context)
    }

    /// Forgets a peer whose certificate is no longer accepted, or that has another now.
    mutating func forget(_ peer: PKIID, _ context: inout GossipContext) {
        self.blocks.forget(peer, &context)
    }

    /// The heights of the other peers that are alive and take part.
    private var heights: [PKIID: BlockNumber] { self.blocks.members.mapValues(\.height) }

    /// Whether the channel has organizations' peers: an application channel.
    package var organizations: Set<MSPID> {
        Set(self.configuration.application?.organizations.map(\.mspID) ?? [])
    }

    /// Whether a peer may speak in this channel.
    package func accepts(_ peer: PKIID, _ identities: Identities) -> Bool {
        guard let known = identities.known[peer], self.organizations.contains(known.mspID) else {
            return false
        }
        guard let identity = try? self.configuration.directory.identity(from: known.serialized) else {
            return false
        }
        return (try? self.configuration.directory.validate(identity)) != nil
    }
}
