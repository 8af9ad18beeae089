internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import SwiftProtobuf

/// Whom a peer's gossip knows at a moment, for the rest of the peer.
struct GossipView: Sendable {
    /// What a peer tells of itself on a channel.
    struct Member: Sendable {
        var height: BlockNumber
        var chaincodes: [Gossip_Chaincode]
        /// The state info message, as it was signed.
        var envelope: Gossip_Envelope
    }

    struct ChannelView: Sendable {
        /// How this peer itself appears on the channel; `nil` as long as it has told nobody.
        var own: Member?
        /// Other peers that are alive and have told of themselves.
        var others: [PKIID: Member] = [:]
        /// Whether this peer takes blocks from the ordering service for its organization.
        var isLeader: Bool
        /// Blocks from other peers that wait for those before them.
        var bufferedBlocks: Int
    }

    var own: AliveMember
    var ownIdentity: Data
    var members: [PKIID: AliveMember] = [:]
    /// The serialized identities of the members.
    var identities: [PKIID: Data] = [:]
    var channels: [ChannelID: ChannelView] = [:]

    init(_ engine: GossipEngine) {
        self.own = engine.ownMember
        self.ownIdentity = engine.local.identity
        self.members = engine.members
        for peer in self.members.keys {
            self.identities[peer] = engine.identities.known[peer]?.serialized
        }
        for (id, channel) in engine.channels {
            let blocks = channel.blocks
            var view = ChannelView(isLeader: blocks.isLeader, bufferedBlocks: blocks.bufferedBlocks)
            view.own = blocks.ownStateInfo.flatMap(Member.init)
            for (peer, member) in blocks.members {
                view.others[peer] = Member(
                    height: member.height,
                    chaincodes: member.chaincodes,
                    envelope: member.envelope
                )
            }
            self.channels[id] = view
        }
    }
}

extension GossipView.Member {
    /// What a state info message says; `nil` if it is none.
    fileprivate init?(_ envelope: Gossip_Envelope) {
        guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
            case .stateInfo(let info) = message.content
        else { return nil }
        self.init(
            height: info.properties.ledgerHeight,
            chaincodes: info.properties.chaincodes,
            envelope: envelope
        )
    }
}
