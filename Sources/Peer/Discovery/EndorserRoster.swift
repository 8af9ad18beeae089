package import Channel

/// The peers that the gateway chooses endorsers from.
package struct EndorserRoster: Sendable {
    private let ownMSPID: MSPID
    private let ownEndpoint: String
    private let members: any ChannelMembers

    /// - Parameters:
    ///   - ownMSPID: the organization of this peer.
    ///   - ownEndpoint: where this peer is reached.
    ///   - members: the peers that are alive.
    package init(ownMSPID: MSPID, ownEndpoint: String, members: any ChannelMembers) {
        self.ownMSPID = ownMSPID
        self.ownEndpoint = ownEndpoint
        self.members = members
    }

    /// All peers of a channel that could be asked, the best first: this peer, then its own organization's, then others;
    /// among these the highest ledgers, and equal ones in random order so that work is spread.
    ///
    /// Of an organization of which gossip has met nobody else, the anchor peers of the channel's configuration are
    /// listed in place of members: nothing is known of them, and they come after all members.
    package func candidates(on configuration: ChannelConfiguration) -> [EndorserCandidate] {
        var candidates: [EndorserCandidate] = []
        var own: EndorserCandidate?
        var met: Set<MSPID> = []
        for member in self.members.members(of: configuration.channelID) {
            if member.isSelf {
                own = EndorserCandidate(member)
            } else if !member.endpoint.isEmpty {
                candidates.append(EndorserCandidate(member))
                met.insert(member.mspID)
            }
        }
        for organization in configuration.application?.organizations ?? []
        where !met.contains(organization.mspID) {
            for anchor in organization.anchorPeers {
                let endpoint = "\(anchor.host):\(anchor.port)"
                guard endpoint != self.ownEndpoint else { continue }
                candidates.append(
                    EndorserCandidate(mspID: organization.mspID, endpoint: endpoint, isSelf: false)
                )
            }
        }
        let ranked = candidates.shuffled().sorted { left, right in
            let places = (left.mspID == self.ownMSPID ? 0 : 1, right.mspID == self.ownMSPID ? 0 : 1)
            guard places.0 == places.1 else { return places.0 < places.1 }
            return left.ledgerHeight > right.ledgerHeight
        }
        return [
            own ?? EndorserCandidate(mspID: self.ownMSPID, endpoint: self.ownEndpoint, isSelf: true)
        ] + ranked
    }
}
