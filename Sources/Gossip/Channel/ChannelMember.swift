package import Channel
package import FabricProtos
internal import Foundation

/// A peer that takes part in a channel, as it says itself.
package struct ChannelMember: Sendable {
    package var pkiID: PKIID
    package var mspID: MSPID
    /// How many blocks it says to have: a claim, never a bound for this peer's own work.
    package var height: BlockNumber
    /// The contracts that it can endorse; each version is the sequence of the definition as decimal text.
    package var chaincodes: [Gossip_Chaincode]
    package var timestamp: Gossip_PeerTime
    /// Its state info message, as it signed it.
    package var envelope: Gossip_Envelope
    /// When that came.
    package var heardAt: Duration

    package init(
        pkiID: PKIID,
        mspID: MSPID,
        height: BlockNumber,
        chaincodes: [Gossip_Chaincode],
        timestamp: Gossip_PeerTime,
        envelope: Gossip_Envelope,
        heardAt: Duration
    ) {
        self.pkiID = pkiID
        self.mspID = mspID
        self.height = height
        self.chaincodes = chaincodes
        self.timestamp = timestamp
        self.envelope = envelope
        self.heardAt = heardAt
    }
}

/// The channel whose messages are judged: its name, its configuration, its organizations.
struct ChannelView: Sendable {
    let configuration: ChannelConfiguration
    /// Those that run peers.
    let organizations: Set<MSPID>

    init(_ configuration: ChannelConfiguration) {
        self.configuration = configuration
        self.organizations = Set(configuration.application?.organizations.map(\.mspID) ?? [])
    }

    var id: ChannelID { self.configuration.channelID }

    /// Whether the peer's organization takes part in the channel.
    func admits(_ peer: PKIID, _ identities: Identities) -> Bool {
        identities.mspID(of: peer).map { self.organizations.contains($0) } ?? false
    }

    /// Whether the peer may read the channel.
    ///
    /// - Source: Fabric v3.1, `internal/pkg/peer/gossip`, `VerifyByChannel`.
    func isReader(_ peer: PKIID, _ identities: Identities) -> Bool {
        guard let known = identities.known[peer], self.organizations.contains(known.mspID),
            let identity = try? self.configuration.directory.identity(from: known.serialized)
        else { return false }
        return (try? self.configuration.policies.evaluate(Self.readers, identities: [identity])) != nil
    }

    private static let readers = "/Channel/Application/Readers"

    /// A message of the channel, not signed.
    func message(
        _ tag: Gossip_GossipMessage.Tag,
        nonce: UInt64 = 0,
        _ content: Gossip_GossipMessage.OneOf_Content
    ) -> Gossip_GossipMessage {
        var message = Gossip_GossipMessage()
        message.nonce = nonce
        message.channel = Data(self.id.description.utf8)
        message.tag = tag
        message.content = content
        return message
    }
}

extension GossipContext {
    /// Up to `count` peers of `candidates`, by chance; repeatably, if they come in the same order.
    mutating func choose(_ count: Int, of candidates: [PKIID]) -> [PKIID] {
        var rest = candidates
        var chosen: [PKIID] = []
        while chosen.count < count, !rest.isEmpty {
            chosen.append(rest.remove(at: self.random(below: rest.count)))
        }
        return chosen
    }

    /// Notes once what a peer did wrong in a channel.
    mutating func blame(_ peer: PKIID, in view: ChannelView, _ kind: String, _ text: String) {
        self.blame(peer, "\(view.id) \(kind)", "in channel \(view.id) \(text)")
    }

    mutating func blocks(_ view: ChannelView, _ effect: BlocksEffect) {
        self.effects.append(.blocks(view.id, effect))
    }
}
