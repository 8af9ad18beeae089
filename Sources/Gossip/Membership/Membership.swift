internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Who is alive, who was, and what this peer says about itself.
///
/// Each peer says every few seconds that it is alive; those who hear it tell others. Who isn't heard of is dead after a
/// while, is asked again now and then, and is forgotten at last.
///
/// - Source: Fabric v3.1, package `gossip/discovery`.
struct Membership: Sendable {
    /// What is known of a peer.
    struct Record: Sendable {
        var member: AliveMember
        var time: Moment
        var lastSeen: Duration
        /// When it is taken for dead unless it is heard of.
        var expires: Duration
        var isAlive = true
    }

    /// The start of a peer, and its messages since.
    struct Moment: Comparable, Sendable {
        var incarnation: UInt64
        var sequence: UInt64

        init(_ time: Gossip_PeerTime) {
            self.incarnation = time.incNum
            self.sequence = time.seqNum
        }

        static func < (left: Self, right: Self) -> Bool {
            (left.incarnation, left.sequence) < (right.incarnation, right.sequence)
        }
    }

    var records: [PKIID: Record] = [:]
    /// What was last heard of those who are forgotten, so that old messages don't bring them back.
    var forgotten = ForgottenPeers()
    private var requests: [PKIID: Allowance] = [:]
    private(set) var incarnation: UInt64
    private var sequence: UInt64 = 0
    private var started: Duration
    /// How often the incarnation was raised above one that others told.
    private var raises = 0
    private var own: (envelope: Gossip_Envelope, made: Duration)?
    private var nextAlive: Duration
    private var nextSynchronization: Duration
    private var nextCheck: Duration
    private var nextReconnection: Duration

    /// An incarnation is the time of a start.
    ///
    /// One that lies further than this in the future is refused, in nanoseconds: an hour.
    static let farthestFuture: UInt64 = 3_600_000_000_000
    /// How many membership requests a peer may make at once, and in a second: an answer names everybody.
    static let requestsAtOnce = 10
    static let requestsPerSecond = 1
    /// How many peers an answer may name.
    static let largestAnswer = 10_000
    /// How often a process tries to overtake a later incarnation under its own name.
    static let mostRaises = 3
    /// The longest address.
    static let longestEndpoint = 300

    init(now: Duration, wallClock: UInt64) {
        self.incarnation = wallClock
        self.started = now
        self.nextAlive = now
        self.nextSynchronization = now
        self.nextCheck = now
        self.nextReconnection = now
    }

    var deadCount: Int { self.records.values.count { !$0.isAlive } }

    // MARK: - This peer

    /// Begins a new incarnation: this peer has another name.
    mutating func begin(_ context: inout GossipContext) {
        self.incarnation = max(self.incarnation &+ 1, context.wallClock)
        self.sequence = 0
        self.started = context.now
        self.own = nil
        self.nextAlive = context.now
    }

    func ownMember(_ context: GossipContext) -> AliveMember {
        var message = self.aliveMessage(context)
        message.aliveMsg.timestamp.seqNum = self.sequence
        let local = context.local
        return AliveMember(
            pkiID: local.pkiID,
            mspID: local.mspID,
            externalEndpoint: local.externalEndpoint,
            internalEndpoint: local.internalEndpoint,
            envelope: (try? Gossip_Envelope(unsigned: message)) ?? Gossip_Envelope()
        )
    }

    private func aliveMessage(_ context: GossipContext) -> Gossip_GossipMessage {
        .with {
            $0.tag = .empty
            $0.aliveMsg.membership.endpoint = context.local.externalEndpoint
            $0.aliveMsg.membership.pkiID = context.local.pkiID.bytes
            $0.aliveMsg.timestamp.incNum = self.incarnation
            $0.aliveMsg.timestamp.seqNum = self.sequence
        }
    }

    /// Says that this peer is alive, with the next number; `nil` if it cannot sign.
    private mutating func makeAlive(_ context: inout GossipContext) -> Gossip_Envelope? {
        self.sequence += 1
        var message = self.aliveMessage(context)
        if context.now - self.started < context.options.publishCertPeriod {
            message.aliveMsg.identity = context.local.identity
        }
        do {
            var envelope = try Gossip_Envelope(message, signedBy: context.local.sign)
            let secret = Gossip_Secret.with { $0.internalEndpoint = context.local.internalEndpoint }
            if !context.local.internalEndpoint.isEmpty {
                envelope.secretEnvelope.payload = try secret.serializedData()
                envelope.secretEnvelope.signature = try context.local.sign(envelope.secretEnvelope.payload)
            }
            self.own = (envelope, context.now)
            return envelope
        } catch {
            context.blame(
                context.local.pkiID,
                "signing",
                "is this peer, and cannot sign that it is alive: \(error)"
            )
            return nil
        }
    }

    /// The newest that was made, or a new one: several requests may carry the same.
    private mutating func recentAlive(_ context: inout GossipContext) -> Gossip_Envelope? {
        if let own, context.now - own.made < context.options.aliveInterval { return own.envelope }
        return self.makeAlive(&context)
    }

    // MARK: - Requests

    /// Asks a peer, whose name is known, whom it knows.
    mutating func request(from peer: PKIID, endpoint: String?, _ context: inout GossipContext) {
        guard let alive = self.recentAlive(&context) else { return }
        let isOwn = context.identities.isOfOwnOrganization(peer)
        let request = Gossip_GossipMessage.with {
            $0.tag = .empty
            $0.nonce = context.random.next()
            $0.memReq.selfInformation = isOwn ? alive : alive.withoutSecret
        }
        guard let envelope = try? Gossip_Envelope(unsigned: request) else { return }
        context.effects.append(.send(envelope, to: peer, endpoint: endpoint))
    }

    /// Who asks tells of itself, and is told of others; as far as they may know each other.
    mutating func answer(_ message: ReceivedMessage, _ context: inout GossipContext) {
        let request = message.message.memReq
        let information = request.selfInformation
        guard let alive = Self.alive(in: information), PKIID(alive.membership.pkiID) == message.sender else {
            return context.blame(message.sender, "self information", "asks who is there under another's name")
        }
        let full = Allowance(
            atOnce: Self.requestsAtOnce,
            perSecond: Self.requestsPerSecond,
            now: context.now
        )
        guard self.requests[message.sender, default: full].take(now: context.now) else {
            return context.blame(message.sender, "requests", "asks too often who is there")
        }
        let verdict = self.accept(information, from: message.sender, &context)
        guard verdict != .refused else { return }
        guard let organization = context.identities.mspID(of: message.sender) else { return }
        let disclosure = Disclosure(
            to: organization,
            hasExternalEndpoint: !alive.membership.endpoint.isEmpty,
            own: context.local.mspID
        )
        let own = self.ownMember(context)
        guard disclosure.shows(own), let envelope = self.recentAlive(&context) else {
            return context.effects.append(
                .disconnect(
                    message.sender,
                    reason: "it is of another organization, and one of both has no external endpoint"
                )
            )
        }
        var response = Gossip_MembershipResponse()
        for peer in self.records.keys.sorted() where peer != message.sender {
            guard let record = self.records[peer], disclosure.shows(record.member) else { continue }
            let shown = disclosure.envelope(of: record.member.envelope)
            if record.isAlive { response.alive.append(shown) } else { response.dead.append(shown) }
        }
        response.alive.append(disclosure.envelope(of: envelope))
        let answer = Gossip_GossipMessage.with {
            $0.tag = .empty
            $0.nonce = message.message.nonce
            $0.memRes = response
        }
        guard let envelope = try? Gossip_Envelope(unsigned: answer) else { return }
        let endpoint = self.records[message.sender]?.member.endpoint
        context.effects.append(.send(envelope, to: message.sender, endpoint: endpoint))
    }

    // MARK: - Time

    /// What time brings; peers at the addresses `kept` are never forgotten.
    mutating func tick(keeping kept: Set<String>, _ context: inout GossipContext) {
        if context.now >= self.nextCheck {
            // Ten times in the time in which a peer expires.
            self.nextCheck = context.now + context.options.aliveExpiration / 10
            self.expire(keeping: kept, &context)
        }
        if context.now >= self.nextAlive {
            self.nextAlive = context.now + context.options.aliveInterval
            if !context.alive.names.isEmpty, let envelope = self.makeAlive(&context) {
                self.spread(envelope, of: self.ownMember(context), except: nil, &context)
            }
        }
        if context.now >= self.nextSynchronization {
            self.nextSynchronization = context.now + context.options.pullInterval
            for member in context.someMembers(context.options.pullPeerNum) {
                self.request(from: member.pkiID, endpoint: member.endpoint, &context)
            }
        }
        if context.now >= self.nextReconnection {
            self.nextReconnection = context.now + context.options.reconnectInterval
            for peer in self.records.keys.sorted() {
                guard let record = self.records[peer], !record.isAlive, let endpoint = record.member.endpoint
                else { continue }
                self.request(from: peer, endpoint: endpoint, &context)
            }
        }
    }

    private mutating func expire(keeping kept: Set<String>, _ context: inout GossipContext) {
        let forgetting = context.options.aliveExpiration * context.options.expirationFactor
        for peer in self.records.keys.sorted() {
            guard let record = self.records[peer] else { continue }
            if record.isAlive {
                guard context.now >= record.expires else { continue }
                self.records[peer]?.isAlive = false
                context.alive[peer] = nil
                context.note(.info, "peer \(peer) of \(record.member.mspID) is dead: nothing was heard of it")
                context.connections[peer] = nil
                context.effects.append(.disconnect(peer, reason: "nothing was heard of it"))
            } else if context.now - record.lastSeen >= forgetting {
                let endpoints = [record.member.externalEndpoint, record.member.internalEndpoint ?? ""]
                guard !endpoints.contains(where: kept.contains) else { continue }
                self.forget(peer, &context)
                context.note(.debug, "peer \(peer) of \(record.member.mspID) is forgotten")
            }
        }
        self.requests = self.requests.filter { context.connections[$0.key] != nil }
    }

    /// The connection to a peer is gone: unless others hear of it, it is dead after two intervals.
    mutating func suspect(_ peer: PKIID, _ context: inout GossipContext) {
        guard let record = self.records[peer], record.isAlive else { return }
        self.records[peer]?.expires = min(record.expires, context.now + context.options.aliveInterval * 2)
    }

    mutating func forget(_ peer: PKIID, _ context: inout GossipContext) {
        if let record = self.records.removeValue(forKey: peer) { self.forgotten.add(peer, record.time) }
        self.requests[peer] = nil
        context.alive[peer] = nil
    }

    // MARK: - Another process under this name

    /// Somebody who has this peer's key said that it is alive: this peer's earlier life, or another process with the same
    /// certificate.
    ///
    /// Messages of a later start would have this peer's own taken for old ones, so it starts later still. Two processes
    /// would overtake each other for ever, so only a few times.
    mutating func meet(
        _ alive: Gossip_AliveMessage,
        internalEndpoint: String?,
        _ context: inout GossipContext
    ) {
        let time = Moment(alive.timestamp)
        let elsewhere =
            alive.membership.endpoint != context.local.externalEndpoint
            || internalEndpoint.map { $0 != context.local.internalEndpoint } ?? false
        let isLater = time.incarnation > self.incarnation
        guard elsewhere || isLater || (time.incarnation == self.incarnation && time.sequence > self.sequence)
        else { return }
        if elsewhere, time.incarnation >= self.incarnation {
            context.blame(
                context.local.pkiID,
                "twin",
                "is this peer, and another process uses its certificate at \"\(alive.membership.endpoint)\": "
                    + "give each peer its own"
            )
        }
        guard isLater || time.incarnation == self.incarnation else { return }
        guard self.raises < Self.mostRaises, time.incarnation < .max else {
            return context.blame(
                context.local.pkiID,
                "twins",
                "is this peer, and others hear a later start under its certificate: another process uses it, or the "
                    + "clock was set back; it is taken for dead until that ends"
            )
        }
        self.raises += 1
        self.incarnation = time.incarnation + 1
        self.sequence = 0
        self.own = nil
        self.nextAlive = context.now
        context.note(
            .warning,
            "others know a later start of this peer than this one; it counts from there now"
        )
    }
}

/// The times at which forgotten peers were last heard of; the oldest entries make room.
struct ForgottenPeers: Sendable {
    private var young: [PKIID: Membership.Moment] = [:]
    private var old: [PKIID: Membership.Moment] = [:]

    static let capacity = 10_000

    var count: Int { self.young.count + self.old.count }

    subscript(peer: PKIID) -> Membership.Moment? { self.young[peer] ?? self.old[peer] }

    mutating func add(_ peer: PKIID, _ time: Membership.Moment) {
        if self.young.count >= Self.capacity / 2 {
            self.old = self.young
            self.young = [:]
        }
        self.young[peer] = max(time, self[peer] ?? time)
    }
}
