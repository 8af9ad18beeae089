package import Channel
internal import Cryptography
internal import FabricProtos
package import Foundation

/// A peer's gossip: who is there, what they know, and who should be told what.
///
/// Pure: time, chance, connections, storage and signing are handed in. Each input is a step, whose effects the driver
/// carries out in their order.
///
/// - Source: Fabric v3.1, package `gossip`.
package struct GossipEngine: Sendable {
    private var context: GossipContext
    private var membership: Membership
    private var introductions: Introductions
    private var identityPull = IdentityPull()
    package private(set) var channels: [ChannelID: GossipChannel] = [:]
    private var allowances: [PKIID: Allowance] = [:]
    private var nextReview: Duration

    /// How many messages a peer may send at once, and in each second: in a network of 500 peers there are 300 a second,
    /// from all peers together.
    package static let messagesAtOnce = 2_000
    package static let messagesPerSecond = 500
    /// How often certificates are looked through for those that expired or that nobody needs.
    private static let reviewInterval: Duration = .seconds(10)

    /// Begins; `now` is monotonic time since the process started, and `wallClock`, in nanoseconds since 1970, becomes the
    /// incarnation of this process.
    package init(
        local: LocalPeer,
        identities: Identities,
        options: GossipOptions,
        random: any RandomNumberGenerator & Sendable,
        now: Duration,
        wallClock: UInt64
    ) {
        self.context = GossipContext(
            now: now,
            wallClock: wallClock,
            local: local,
            options: options,
            random: random,
            identities: identities,
            members: [:],
            connections: [:]
        )
        self.context.identities.wallClock = wallClock
        self.context.identities.perOrganization = options.identitiesPerOrganization
        self.membership = Membership(now: now, wallClock: wallClock)
        self.introductions = Introductions(options: options, local: local, now: now)
        self.nextReview = now + Self.reviewInterval
        self.learnOwn()
    }

    // MARK: - What others ask

    package var local: LocalPeer { self.context.local }
    package var options: GossipOptions { self.context.options }
    /// Whom this peer knows by certificate.
    package var identities: Identities { self.context.identities }
    /// Who is alive.
    package var members: [PKIID: AliveMember] { self.context.members }
    package var connections: [PKIID: GossipConnection] { self.context.connections }
    /// How many peers are known of whom nothing was heard for a while.
    package var deadCount: Int { self.membership.deadCount }

    /// This peer as its members see it; the envelope is not signed, as Fabric's discovery has it.
    package var ownMember: AliveMember { self.membership.ownMember(self.context) }

    // MARK: - Steps

    package mutating func step(_ input: GossipInput, now: Duration, wallClock: UInt64) -> [GossipEffect] {
        self.context.now = now
        self.context.wallClock = wallClock
        self.context.identities.wallClock = wallClock
        self.take(input)
        defer { self.context.effects = [] }
        return self.context.effects
    }

    private mutating func take(_ input: GossipInput) {
        switch input {
        case .tick: self.tick()
        case .connected(let connection): self.connect(connection)
        case .disconnected(let peer):
            self.context.connections[peer] = nil
            self.allowances[peer] = nil
            self.membership.suspect(peer, &self.context)
        case .unreachable(let endpoint, let reason):
            self.introductions.fail(endpoint, reason, &self.context)
        case .received(let envelope, let sender): self.receive(envelope, from: sender)
        case .configured(let configuration): self.configure(configuration)
        case .left(let channel): self.leave(channel)
        case .renewed(let local): self.renew(local)
        case .contracts(let channel, let contracts):
            self.channels[channel]?.setContracts(contracts, &self.context)
        case .height(let channel, let height): self.channels[channel]?.setHeight(height, &self.context)
        case .blocks(let channel, let input): self.channels[channel]?.step(input, &self.context)
        case .privateData(let channel, let input): self.channels[channel]?.step(input, &self.context)
        }
    }

    private mutating func tick() {
        self.introductions.tick(&self.membership, &self.context)
        self.membership.tick(keeping: self.introductions.endpoints, &self.context)
        self.identityPull.tick(&self.context)
        for channel in self.channels.keys.sorted() { self.channels[channel]?.tick(&self.context) }
        guard self.context.now >= self.nextReview else { return }
        self.nextReview = self.context.now + Self.reviewInterval
        for peer in self.context.identities.expired() {
            if peer == self.context.local.pkiID {
                self.context.blame(
                    peer,
                    "own expiry",
                    "is this peer, and its certificate has expired: renew it"
                )
            } else {
                self.forget(peer, reason: "its certificate has expired")
            }
        }
        let used = Set(self.context.connections.keys).union(self.context.members.keys)
            .union([self.context.local.pkiID])
        self.context.identities.forget(
            unusedSince: self.context.now - Identities.unusedPeriod,
            except: used
        )
    }

    // MARK: - Connections

    private mutating func connect(_ connection: GossipConnection) {
        let peer = connection.peer
        do {
            guard try self.context.identities.learn(connection.identity, now: self.context.now) == peer else {
                self.context.effects.append(.disconnect(peer, reason: "its name is not that of its identity"))
                return
            }
        } catch {
            self.context.effects.append(.disconnect(peer, reason: "\(error)"))
            return
        }
        guard peer != self.context.local.pkiID else {
            self.context.effects.append(.disconnect(peer, reason: "it is this peer itself"))
            if let endpoint = connection.endpoint { self.introductions.remove(endpoint) }
            return
        }
        guard self.hasRoom(for: peer) else {
            self.context.effects.append(
                .disconnect(peer, reason: "its organization has too many connections")
            )
            let most = self.options.connectionsPerOrganization
            self.context.blame(peer, "connections", "is refused: its organization has \(most) connections")
            return
        }
        if let endpoint = connection.endpoint { self.replace(at: endpoint, by: peer) }
        self.context.connections[peer] = connection
        self.introductions.connected(connection, &self.membership, &self.context)
    }

    private func hasRoom(for peer: PKIID) -> Bool {
        let connections = self.context.connections
        let most = self.options.connectionsPerOrganization
        guard connections[peer] == nil, connections.count >= most else { return true }
        let organization = self.context.identities.mspID(of: peer)
        return connections.keys.count { self.context.identities.mspID(of: $0) == organization } < most
    }

    /// Where another peer of the same organization was, there is now this one: it has a new certificate.
    private mutating func replace(at endpoint: String, by peer: PKIID) {
        let organization = self.context.identities.mspID(of: peer)
        let earlier = self.context.members.values.filter {
            $0.pkiID != peer && $0.endpoint == endpoint && $0.mspID == organization
        }
        for member in earlier.map(\.pkiID).sorted() where self.context.connections[member] == nil {
            self.forget(member, reason: "peer \(peer) is at its address now")
        }
    }

    /// Forgets everything about a peer.
    private mutating func forget(_ peer: PKIID, reason: String) {
        self.context.note(.info, "forgets peer \(peer): \(reason)")
        self.context.identities.forget(peer)
        self.membership.forget(peer, &self.context)
        self.allowances[peer] = nil
        for channel in self.channels.keys.sorted() { self.channels[channel]?.forget(peer, &self.context) }
        if self.context.connections.removeValue(forKey: peer) != nil {
            self.context.effects.append(.disconnect(peer, reason: reason))
        }
    }

    // MARK: - Channels

    private mutating func configure(_ configuration: ChannelConfiguration) {
        let refused = self.context.identities.configure(configuration)
        if self.channels[configuration.channelID] == nil {
            self.channels[configuration.channelID] = GossipChannel(configuration, &self.context)
        } else {
            self.channels[configuration.channelID]?.configure(configuration, &self.context)
        }
        self.forget(refused)
        self.introductions.configure(configuration, &self.context)
    }

    private mutating func leave(_ channel: ChannelID) {
        self.channels[channel]?.leave(&self.context)
        self.channels[channel] = nil
        self.introductions.leave(channel)
        self.forget(self.context.identities.leave(channel))
    }

    private mutating func forget(_ refused: [PKIID]) {
        for peer in refused where peer != self.context.local.pkiID {
            self.forget(peer, reason: "no organization vouches for its certificate any longer")
        }
        self.learnOwn()
    }

    /// Connections end, since each has shown the old certificate; they are made again as they are needed.
    private mutating func renew(_ local: LocalPeer) {
        guard local.pkiID != self.context.local.pkiID else {
            self.context.local = local
            return
        }
        self.context.identities.forget(self.context.local.pkiID)
        self.context.local = local
        self.learnOwn()
        self.membership.begin(&self.context)
        self.identityPull.begin()
        for peer in self.context.connections.keys.sorted() {
            self.context.effects.append(.disconnect(peer, reason: "this peer has a new certificate"))
        }
        self.context.connections = [:]
        self.introductions.begin(&self.context)
    }

    private mutating func learnOwn() {
        do {
            try self.context.identities.learn(self.context.local.identity, now: self.context.now)
        } catch {
            self.context.blame(
                self.context.local.pkiID,
                "own identity",
                "is this peer, and its own organization does not vouch for it: \(error); peers will refuse it"
            )
        }
    }
}

// MARK: - Messages

extension GossipEngine {
    private mutating func receive(_ envelope: Gossip_Envelope, from sender: PKIID) {
        guard self.context.connections[sender] != nil else { return }
        let message: ReceivedMessage
        do {
            message = try ReceivedMessage(envelope, from: sender)
        } catch {
            guard self.allows(sender) else { return }
            return self.context.blame(sender, "garbage", "sends what is no gossip message")
        }
        guard message.isBoundedElsewhere || self.allows(sender) else { return }
        guard message.message.hasLegalTag else {
            return self.context.blame(sender, "tag", "sends a message whose tag does not fit what it carries")
        }
        self.context.identities.use(sender, now: self.context.now)
        self.dispatch(message)
    }

    /// Whether a peer may send one message more now.
    private mutating func allows(_ sender: PKIID) -> Bool {
        let full = Allowance(
            atOnce: Self.messagesAtOnce,
            perSecond: Self.messagesPerSecond,
            now: self.context.now
        )
        if self.allowances[sender, default: full].take(now: self.context.now) { return true }
        self.context.blame(sender, "flood", "sends too many messages; they are dropped")
        return false
    }

    private mutating func dispatch(_ message: ReceivedMessage) {
        switch message.message.content {
        case .aliveMsg, .memReq, .memRes:
            self.membership.receive(message, &self.context)
            if case .memRes = message.message.content { self.introductions.answered(by: message.sender) }
        case .hello(let pull) where pull.msgType != .blockMsg:
            self.identityPull.receive(message, &self.context)
        case .dataDig(let pull) where pull.msgType != .blockMsg:
            self.identityPull.receive(message, &self.context)
        case .dataReq(let pull) where pull.msgType != .blockMsg:
            self.identityPull.receive(message, &self.context)
        case .dataUpdate(let pull) where pull.msgType != .blockMsg:
            self.identityPull.receive(message, &self.context)
        case .stateInfo(let info):
            self.give(message, to: self.channel(mac: info.channelMac, of: info.pkiID))
        case .stateInfoPullReq(let request):
            self.give(message, to: self.channel(mac: request.channelMac, of: message.sender.bytes))
        case .ack:
            for channel in self.channels.keys.sorted() {
                self.channels[channel]?.receive(message, &self.context)
            }
        case .hello, .dataDig, .dataReq, .dataUpdate, .dataMsg, .stateSnapshot, .stateRequest, .stateResponse,
            .leadershipMsg, .privateReq, .privateRes, .privateData:
            self.give(message, to: try? ChannelID(String(decoding: message.message.channel, as: UTF8.self)))
        case .conn, .peerIdentity, .empty, nil: break
        }
    }

    /// Only for those who are in the channel, and from those.
    ///
    /// That a peer speaks of a channel which this one is not in is no offence: it may have left a moment ago.
    private mutating func give(_ message: ReceivedMessage, to channelID: ChannelID?) {
        guard let channelID, let channel = self.channels[channelID] else { return }
        guard channel.accepts(message.sender, self.context.identities) else {
            return self.context.blame(
                message.sender,
                "channel \(channelID)",
                "speaks in channel \(channelID), which it is not a member of; its messages are dropped"
            )
        }
        self.channels[channelID]?.receive(message, &self.context)
    }

    /// The channel that a message means which must not name it.
    private func channel(mac: Data, of peer: Data) -> ChannelID? {
        self.channels.keys.first { $0.mac(of: peer) == mac }
    }
}

extension ReceivedMessage {
    /// Messages that carry blocks, private data and what belongs to these come as fast as transactions do; what reads and
    /// stores them has bounds of its own.
    fileprivate var isBoundedElsewhere: Bool {
        switch self.message.content {
        case .dataMsg, .stateRequest, .stateResponse, .privateData, .privateReq, .privateRes, .ack: true
        default: false
        }
    }
}

extension ChannelID {
    /// What stands for the channel in messages that strangers may see: only who knows its name can tell it.
    ///
    /// - Parameter peer: The name of the peer that the message is about.
    /// - Returns: 32 bytes.
    /// - Source: Fabric v3.1, `gossip/gossip/channel`, `GenerateMAC`.
    package func mac(of peer: Data) -> Data { Digest.sha256(peer + Data(self.description.utf8)) }
}
