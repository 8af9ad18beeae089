internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What the peers of a channel tell of themselves: heights and contracts.
///
/// A peer counts as a member of the channel as long as it is alive and its newest state info is valid: its organization
/// takes part, the channel's name is proved by the MAC, its signature satisfies the channel's Readers.
///
/// - Source: Fabric v3.1, `gossip/gossip/channel`.
struct StateInfos: Sendable {
    private(set) var members: [PKIID: ChannelMember] = [:]
    /// Those who have left the channel, and when they said so.
    private var left: [PKIID: Gossip_PeerTime] = [:]
    private(set) var own: OwnStateInfo
    /// Who has been told of this peer since it came to life.
    private var greeted: Set<PKIID> = []
    /// Who was sent a snapshot, and when.
    private var answered: [PKIID: Duration] = [:]
    /// Who was asked for one, and when.
    private var asked: [PKIID: Duration] = [:]
    private var nextRequest: Duration = .zero
    private var nextSweep: Duration = .zero

    /// How many peers are greeted in one step.
    static let greetings = 20
    /// How often those who are gone are forgotten.
    static let sweepInterval: Duration = .seconds(1)
    /// A peer is sent a snapshot no more often than this.
    static let snapshotPause: Duration = .milliseconds(500)
    /// A snapshot that comes later than this after it was asked for is not read.
    static let snapshotPatience: Duration = .seconds(10)
    /// What a peer says more often than this is not passed on; whoever missed it asks for it.
    static let forwardPause: Duration = .milliseconds(500)
    /// A snapshot with more elements than this is not read to its end.
    static let snapshotCapacity = 2_000
    /// A state info that lists more contracts than this is refused.
    static let chaincodeCapacity = 1_000

    init(wallClock: UInt64) {
        self.own = OwnStateInfo(incarnation: wallClock)
    }

    // MARK: - This peer

    mutating func setHeight(_ height: BlockNumber) { self.own.height = max(self.own.height, height) }

    mutating func setChaincodes(_ chaincodes: [Gossip_Chaincode]) { self.own.chaincodes = chaincodes }

    /// Tells that this peer leaves the channel.
    mutating func leave(_ view: ChannelView, _ context: inout GossipContext) {
        self.own.hasLeft = true
        self.publish(view, &context)
    }

    mutating func tick(_ view: ChannelView, _ context: inout GossipContext) {
        if context.now >= self.nextSweep {
            self.nextSweep = context.now + Self.sweepInterval
            self.forget(view, context)
        }
        if self.own.isDue(context) { self.publish(view, &context) }
        self.greet(view, &context)
        guard context.now >= self.nextRequest else { return }
        self.nextRequest = context.now + context.options.requestStateInfoInterval
        let identities = context.identities
        let peers = context.someMembers(context.options.pullPeerNum) {
            view.admits($0.pkiID, identities)
        }
        for peer in peers where self.asked[peer.pkiID].map({ context.now - $0 >= Self.snapshotPause }) ?? true
        {
            self.ask(peer.pkiID, view, &context)
        }
    }

    private mutating func publish(_ view: ChannelView, _ context: inout GossipContext) {
        guard let envelope = self.own.sign(view, &context) else { return }
        self.spread(envelope, of: context.local.pkiID, view, &context)
    }

    /// Makes itself known to who has just come to life: nobody waits for the next round.
    private mutating func greet(_ view: ChannelView, _ context: inout GossipContext) {
        guard let envelope = self.own.envelope else { return }
        let audience = Audience(of: context.local.pkiID, view, context)
        let strangers = context.alive.names.lazy.filter { [greeted, identities = context.identities] in
            !greeted.contains($0) && view.admits($0, identities)
        }
        for peer in Array(strangers.prefix(Self.greetings)) {
            self.greeted.insert(peer)
            if let member = context.alive[peer], audience.has(member) { context.send(envelope, to: peer) }
            self.ask(peer, view, &context)
        }
    }

    /// Asks a peer for all state infos that it has.
    private mutating func ask(_ peer: PKIID, _ view: ChannelView, _ context: inout GossipContext) {
        self.asked[peer] = context.now
        var message = Gossip_GossipMessage()
        message.tag = .chanOrOrg
        message.stateInfoPullReq.channelMac = view.id.mac(of: context.local.pkiID.bytes)
        context.send(message, to: peer)
    }

    /// Whether a snapshot of `peer` was asked for; each request is answered once.
    mutating func expectsSnapshot(of peer: PKIID, now: Duration) -> Bool {
        self.asked.removeValue(forKey: peer).map { now - $0 < Self.snapshotPatience } ?? false
    }

    /// Who may hear of a peer: its organization, and others only if it gave an address for them.
    private struct Audience {
        var view: ChannelView
        var identities: Identities
        /// The only organization that may; `nil` for all of the channel.
        var organization: MSPID?

        init(of peer: PKIID, _ view: ChannelView, _ context: GossipContext) {
            self.view = view
            self.identities = context.identities
            let isLocal = peer == context.local.pkiID
            let external = isLocal ? context.local.externalEndpoint : context.alive[peer]?.externalEndpoint
            guard external?.isEmpty ?? true else { return }
            self.organization = isLocal ? context.local.mspID : context.identities.mspID(of: peer)
        }

        func has(_ member: AliveMember) -> Bool {
            guard let organization else { return self.view.admits(member.pkiID, self.identities) }
            return self.identities.mspID(of: member.pkiID) == organization
        }
    }

    // MARK: - Others

    enum Verdict: Equatable {
        case accepted(isToBeForwarded: Bool)
        /// The author may not be a member, as far as this peer's configuration goes: the sender's may differ.
        case ineligible(String)
        /// Not newer than what is known, or of a peer that is not alive: no offence.
        case ignored
        case refused(String)
    }

    /// Judges a state info, and keeps it if it is good and news.
    mutating func take(
        _ envelope: Gossip_Envelope,
        _ info: Gossip_StateInfo,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) -> Verdict {
        guard let peer = PKIID(info.pkiID) else { return .refused("sent a state info without a PKI-ID") }
        guard info.channelMac == view.id.mac(of: peer.bytes) else {
            return .refused("sent a state info whose MAC is not of this channel")
        }
        guard peer != context.local.pkiID else {
            self.own.learn(info.timestamp, envelope, &context)
            return .ignored
        }
        guard let mspID = context.identities.mspID(of: peer) else { return .ignored }
        guard view.organizations.contains(mspID) else {
            return .ineligible("is of \(mspID), which is not in the channel")
        }
        if let known = self.members[peer]?.timestamp ?? self.left[peer] {
            guard info.timestamp.isNewer(than: known) else { return .ignored }
        }
        guard context.alive[peer] != nil || context.connections[peer] != nil else { return .ignored }
        guard info.properties.chaincodes.count <= Self.chaincodeCapacity else {
            return .refused("sent a state info with \(info.properties.chaincodes.count) contracts")
        }
        guard context.identities.hasSigned(peer, envelope, now: context.now) else {
            return .refused("sent a state info that its author has not signed")
        }
        guard view.isReader(peer, context.identities) else {
            return .ineligible("is no reader of the channel")
        }
        let last = self.members[peer]?.heardAt
        self.keep(envelope, info, of: peer, mspID, context)
        return .accepted(isToBeForwarded: last.map { context.now - $0 >= Self.forwardPause } ?? true)
    }

    private mutating func keep(
        _ envelope: Gossip_Envelope,
        _ info: Gossip_StateInfo,
        of peer: PKIID,
        _ mspID: MSPID,
        _ context: GossipContext
    ) {
        guard !info.properties.leftChannel else {
            self.members[peer] = nil
            self.left[peer] = info.timestamp
            return
        }
        self.left[peer] = nil
        self.members[peer] = ChannelMember(
            pkiID: peer,
            mspID: mspID,
            height: info.properties.ledgerHeight,
            chaincodes: info.properties.chaincodes,
            timestamp: info.timestamp,
            envelope: envelope,
            heardAt: context.now
        )
    }

    /// Tells a few peers what is news.
    ///
    /// - Parameters:
    ///   - envelope: A state info.
    ///   - origin: Whose it is.
    ///   - sender: Who told it; `nil` for this peer itself.
    ///   - view: The channel.
    ///   - context: The step.
    func spread(
        _ envelope: Gossip_Envelope,
        of origin: PKIID,
        from sender: PKIID? = nil,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) {
        let audience = Audience(of: origin, view, context)
        let peers = context.someMembers(context.options.propagatePeerNum) { member in
            member.pkiID != origin && member.pkiID != sender && audience.has(member)
        }
        for peer in peers { context.send(envelope, to: peer.pkiID) }
    }

    /// Answers a request for all state infos.
    ///
    /// - Returns: what is wrong with it, if anything is.
    mutating func answer(
        _ request: Gossip_StateInfoPullRequest,
        from sender: PKIID,
        _ view: ChannelView,
        _ context: inout GossipContext
    ) -> (kind: String, text: String)? {
        guard request.channelMac == view.id.mac(of: sender.bytes) else {
            return ("request of state infos", "asked for state infos with a MAC that is not of this channel")
        }
        // Whoever has just come to life may ask twice in a moment: no offence.
        if let last = self.answered[sender], context.now - last < Self.snapshotPause { return nil }
        self.answered[sender] = context.now
        var snapshot = Gossip_StateInfoSnapshot()
        let isOwn = context.identities.isOfOwnOrganization(sender)
        if let own = self.own.envelope, isOwn || !context.local.externalEndpoint.isEmpty {
            snapshot.elements.append(own)
        }
        for member in self.members.values.sorted(by: { $0.pkiID < $1.pkiID }) where member.pkiID != sender {
            let isUnseen = context.alive[member.pkiID]?.externalEndpoint.isEmpty ?? true
            if !isOwn, member.mspID == context.local.mspID, isUnseen { continue }
            snapshot.elements.append(member.envelope)
        }
        context.send(view.message(.chanOrOrg, .stateSnapshot(snapshot)), to: sender)
        return nil
    }

    /// Judges again who may be a member, after the configuration has changed.
    mutating func review(_ view: ChannelView, _ context: GossipContext) {
        self.members = self.members.filter { view.isReader($0.key, context.identities) }
    }

    mutating func forget(_ peer: PKIID) {
        self.members[peer] = nil
        self.left[peer] = nil
        self.greeted.remove(peer)
    }

    /// Forgets those who are no longer alive, or not heard of for long.
    private mutating func forget(_ view: ChannelView, _ context: GossipContext) {
        func isGone(_ peer: PKIID) -> Bool {
            (context.alive[peer] == nil && context.connections[peer] == nil)
                || !view.admits(peer, context.identities)
        }
        let retention = context.options.publishStateInfoInterval * context.options.stateInfoRetention
        for (peer, member) in self.members where isGone(peer) || context.now - member.heardAt > retention {
            self.members[peer] = nil
        }
        for peer in self.left.keys where isGone(peer) { self.left[peer] = nil }
        self.greeted = self.greeted.filter { context.alive[$0] != nil }
        self.answered = self.answered.filter { context.now - $0.value < Self.snapshotPause }
        self.asked = self.asked.filter { context.now - $0.value < Self.snapshotPatience }
    }
}
