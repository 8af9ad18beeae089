internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip

/// Gossip's members, as discovery and the gateway see them.
struct GossipMembership: ChannelMembers {
    let view: @Sendable () -> GossipView
    /// What is told of this peer where gossip has not told anything of it yet.
    let alone: any ChannelMembers

    func members(of channel: ChannelID) -> [ChannelMember] {
        let view = self.view()
        guard let known = view.channels[channel] else { return self.alone.members(of: channel) }
        var members: [ChannelMember] = []
        if let own = known.own, !view.own.externalEndpoint.isEmpty {
            var member = Self.member(own, alive: view.own, identity: view.ownIdentity, isSelf: true)
            // What gossip tells of this peer is a little old, which others must live with, but not this peer.
            if let now = self.alone.members(of: channel).first {
                member.ledgerHeight = now.ledgerHeight
                member.chaincodes = now.chaincodes
            }
            members.append(member)
        } else {
            members += self.alone.members(of: channel)
        }
        for (peer, member) in known.others.sorted(by: { $0.key < $1.key }) {
            guard let alive = view.members[peer], !alive.externalEndpoint.isEmpty,
                let identity = view.identities[peer]
            else { continue }
            members.append(Self.member(member, alive: alive, identity: identity, isSelf: false))
        }
        return members
    }

    func localMembers() -> [LocalMember] {
        let view = self.view()
        var members: [LocalMember] = []
        if view.own.externalEndpoint.isEmpty {
            members += self.alone.localMembers()
        } else {
            members.append(Self.member(view.own, identity: view.ownIdentity, isSelf: true))
        }
        for (peer, alive) in view.members.sorted(by: { $0.key < $1.key }) {
            guard !alive.externalEndpoint.isEmpty, let identity = view.identities[peer] else { continue }
            members.append(Self.member(alive, identity: identity, isSelf: false))
        }
        return members
    }

    private static func member(
        _ member: GossipView.Member,
        alive: AliveMember,
        identity: Data,
        isSelf: Bool
    ) -> ChannelMember {
        ChannelMember(
            mspID: alive.mspID,
            identity: identity,
            endpoint: alive.externalEndpoint,
            ledgerHeight: member.height,
            chaincodes: member.chaincodes.map { .init(name: $0.name, sequence: $0.version) },
            alive: alive.envelope.withoutSecret,
            stateInfo: member.envelope,
            isSelf: isSelf
        )
    }

    private static func member(_ alive: AliveMember, identity: Data, isSelf: Bool) -> LocalMember {
        LocalMember(
            mspID: alive.mspID,
            identity: identity,
            endpoint: alive.externalEndpoint,
            alive: alive.envelope.withoutSecret,
            isSelf: isSelf
        )
    }
}
