package import Channel
package import FabricProtos
package import Foundation

/// The peers that are alive, as gossip knows them: what discovery answers from and the gateway chooses from.
///
/// Nobody is named whose identity was not validated. The answering peer itself is among them, and only peers that
/// gave an endpoint for everybody are listed.
///
/// - Source: Fabric v3.1, `discovery/api.go`, support for peer discovery.
package protocol ChannelMembers: Sendable {
    /// The peers that are alive and have told of themselves on `channel` by a valid state info message.
    ///
    /// Empty for a channel that this peer has not joined.
    func members(of channel: ChannelID) -> [ChannelMember]

    /// The peers that are alive, whatever channels they have joined.
    func localMembers() -> [LocalMember]
}

/// A peer that is alive.
package struct LocalMember: Sendable {
    package var mspID: MSPID
    /// A `msp.SerializedIdentity`, as the peer sent it.
    package var identity: Data
    /// `host:port` at which everybody reaches the peer.
    package var endpoint: String
    /// The peer's alive message without its secret part, as it was signed.
    ///
    /// The answering peer's own has an empty signature, as Fabric's.
    package var alive: Gossip_Envelope
    /// Whether it is the answering peer.
    package var isSelf: Bool

    package init(
        mspID: MSPID,
        identity: Data,
        endpoint: String,
        alive: Gossip_Envelope,
        isSelf: Bool
    ) {
        self.mspID = mspID
        self.identity = identity
        self.endpoint = endpoint
        self.alive = alive
        self.isSelf = isSelf
    }
}

/// A peer that is alive and takes part in a channel.
package struct ChannelMember: Sendable {
    /// A contract that a peer can run: its definition is committed, its organization approved it, its package is
    /// installed.
    package struct Chaincode: Hashable, Sendable {
        package var name: String
        /// The sequence of the definition as decimal text: what gossip calls the version.
        package var sequence: String

        package init(name: String, sequence: String) {
            self.name = name
            self.sequence = sequence
        }
    }

    package var mspID: MSPID
    /// A `msp.SerializedIdentity`, as the peer sent it.
    package var identity: Data
    /// `host:port` at which everybody reaches the peer.
    package var endpoint: String
    /// How many blocks the peer has.
    package var ledgerHeight: UInt64
    package var chaincodes: [Chaincode]
    /// The peer's alive message without its secret part, as it was signed.
    ///
    /// The answering peer's own has an empty signature, as Fabric's.
    package var alive: Gossip_Envelope
    /// The peer's state info message of the channel, as it was signed.
    package var stateInfo: Gossip_Envelope
    /// Whether it is the answering peer.
    package var isSelf: Bool

    package init(
        mspID: MSPID,
        identity: Data,
        endpoint: String,
        ledgerHeight: UInt64,
        chaincodes: [Chaincode],
        alive: Gossip_Envelope,
        stateInfo: Gossip_Envelope,
        isSelf: Bool
    ) {
        self.mspID = mspID
        self.identity = identity
        self.endpoint = endpoint
        self.ledgerHeight = ledgerHeight
        self.chaincodes = chaincodes
        self.alive = alive
        self.stateInfo = stateInfo
        self.isSelf = isSelf
    }
}
