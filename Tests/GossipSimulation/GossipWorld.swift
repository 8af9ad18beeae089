package import Channel
package import FabricProtos
import Foundation
package import Gossip
package import Simulation
import Synchronization
import TestSupport

/// Peers that gossip with each other under virtual time: a network that makes connections with real handshakes, and moves
/// envelopes between engines.
///
/// Tests set ``onEffect`` to do what a peer's driver would do about blocks and private data, and ``lossPerMille``,
/// ``isCut`` and ``stop(_:)`` to disturb.
package final class GossipWorld {
    /// Which peer.
    package typealias Number = Int

    /// What is on the way, or due.
    private enum Event {
        case tick(Number, life: Int)
        case arrival(Gossip_Envelope, from: PKIID, at: Number, life: Int)
        case connected(GossipConnection, at: Number, life: Int)
        case unreachable(String, at: Number, life: Int)
        case lost(PKIID, at: Number, life: Int)
        case action((GossipWorld) -> Void)
    }

    package struct Peer {
        package var engine: GossipEngine
        package var local: LocalPeer
        package var organization: Int
        package var isUp = true
        /// How often it was started: what was meant for an earlier life doesn't reach this one.
        package var life = 0
        /// What its operator was told.
        package var notes: [GossipNote] = []
        package var sentMessages = 0
        package var sentBytes = 0
    }

    package let identities: GossipIdentities
    package private(set) var peers: [Peer] = []
    package private(set) var now: Moment = 0
    package var dice: Dice
    package var options: GossipOptions
    /// How many messages of a thousand are lost.
    package var lossPerMille = 0
    /// How long a message takes.
    package var delay: ClosedRange<Moment> = 500...5_000
    /// Whether two peers cannot reach each other now.
    package var isCut: (Number, Number) -> Bool = { _, _ in false }
    /// What is done about the effects that a network doesn't carry out.
    package var onEffect: (GossipWorld, Number, GossipEffect) -> Void = { _, _, _ in }
    /// Sees, and may change or withhold, every envelope before it leaves.
    package var onSend: (GossipWorld, Number, Gossip_Envelope, PKIID) -> Gossip_Envelope? = {
        _,
        _,
        envelope,
        _ in envelope
    }
    /// Sees every envelope that arrives.
    package var onArrival: (GossipWorld, Gossip_Envelope, PKIID, Number) -> Void = { _, _, _, _ in }
    /// May change what arrives.
    package var altersArrival: ((GossipWorld, Gossip_Envelope, PKIID, Number) -> Gossip_Envelope)?
    /// Sees what has become of an envelope that arrived.
    package var afterArrival: (GossipWorld, Gossip_Envelope, Number) -> Void = { _, _, _ in }
    package private(set) var messages = 0
    private var queue = EventQueue<Event>()
    private var numbers: [PKIID: Number] = [:]
    private let tick: Moment
    private let verified: VerifiedSignatures

    /// 2023, in nanoseconds: when virtual time begins.
    package static let epoch: UInt64 = 1_700_000_000_000_000_000

    /// Starts all peers; the `hidden` ones have no external endpoint.
    ///
    /// With `bootstrap` each peer's list names the first peer of its organization. With `trustsSignatures` nobody looks at
    /// signatures of gossip's messages: to see that a test notices.
    package init(
        _ identities: GossipIdentities,
        seed: UInt64 = 1,
        options: GossipOptions = GossipOptions(),
        hidden: Set<Number> = [],
        bootstrap: Bool = true,
        tick: Moment = 250.milliseconds,
        trustsSignatures: Bool = false
    ) throws {
        self.identities = identities
        self.dice = Dice(seed: seed)
        self.options = options
        self.tick = tick
        self.verified = VerifiedSignatures(trusts: trustsSignatures)
        for (organization, members) in identities.organizations.enumerated() {
            for peer in members.peers.indices {
                let number = self.peers.count
                let local = try identities.local(peer, of: organization, isHidden: hidden.contains(number))
                var own = options
                if bootstrap { own.bootstrap = ["internal-\(GossipIdentities.host(0, organization)):7051"] }
                let engine = try self.engine(of: local, organization, own)
                self.peers.append(Peer(engine: engine, local: local, organization: organization))
                self.numbers[local.pkiID] = number
                self.queue.add(.tick(number, life: 0), at: self.dice.between(0, tick))
            }
        }
    }

    private func engine(
        of local: LocalPeer,
        _ organization: Int,
        _ options: GossipOptions
    ) throws -> GossipEngine {
        let verified = self.verified
        return GossipEngine(
            local: local,
            identities: Identities(
                ownOrganization: local.mspID,
                local: try self.identities.local(organization),
                verifies: { verified.holds($0, $1, $2) }
            ),
            options: options,
            random: SplitMix64(seed: self.dice.number()),
            now: .microseconds(self.now),
            wallClock: self.wallClock
        )
    }

    // MARK: - Time

    package var wallClock: UInt64 { Self.epoch + UInt64(self.now) * 1_000 }

    package func run(until end: Moment) {
        while let next = self.queue.nextMoment, next <= end, let (moment, event) = self.queue.next() {
            self.now = max(self.now, moment)
            self.happen(event)
        }
        self.now = max(self.now, end)
    }

    package func run(for length: Moment) { self.run(until: self.now + length) }

    package func after(_ length: Moment, _ action: @escaping (GossipWorld) -> Void) {
        self.queue.add(.action(action), at: self.now + length)
    }

    private func happen(_ event: Event) {
        switch event {
        case .tick(let number, let life):
            guard self.peers[number].life == life, self.peers[number].isUp else { return }
            self.give(.tick, to: number)
            self.queue.add(.tick(number, life: life), at: self.now + self.tick)
        case .arrival(let envelope, let sender, let number, let life):
            guard self.peers[number].life == life, self.peers[number].isUp else { return }
            self.onArrival(self, envelope, sender, number)
            let taken = self.altersArrival?(self, envelope, sender, number) ?? envelope
            self.give(.received(taken, from: sender), to: number)
            self.afterArrival(self, envelope, number)
        case .connected(let connection, let number, let life):
            guard self.peers[number].life == life else { return }
            self.give(.connected(connection), to: number)
        case .unreachable(let endpoint, let number, let life):
            guard self.peers[number].life == life else { return }
            self.give(.unreachable(endpoint: endpoint, reason: "nobody answers"), to: number)
        case .lost(let peer, let number, let life):
            guard self.peers[number].life == life else { return }
            self.give(.disconnected(peer), to: number)
        case .action(let action): action(self)
        }
    }

    // MARK: - Peers

    package func number(of peer: PKIID) -> Number? { self.numbers[peer] }

    package func number(at endpoint: String) -> Number? {
        self.peers.firstIndex {
            $0.isUp && ($0.local.internalEndpoint == endpoint || $0.local.externalEndpoint == endpoint)
        }
    }

    /// Hands an input to a peer, and does what comes of it.
    package func give(_ input: GossipInput, to number: Number) {
        guard self.peers[number].isUp else { return }
        let now = Duration.microseconds(self.now)
        let effects = self.peers[number].engine.step(input, now: now, wallClock: self.wallClock)
        for effect in effects { self.perform(effect, of: number) }
    }

    package func configureAll(_ configuration: ChannelConfiguration) {
        for number in self.peers.indices { self.give(.configured(configuration), to: number) }
    }

    /// The process ends; its connections with it.
    package func stop(_ number: Number) {
        guard self.peers[number].isUp else { return }
        self.peers[number].isUp = false
        let name = self.peers[number].local.pkiID
        for other in self.peers.indices where self.peers[other].engine.connections[name] != nil {
            self.lose(name, at: other)
        }
    }

    /// The process starts anew, with nothing in memory, and is told of these channels.
    package func start(_ number: Number, channels: [ChannelConfiguration] = []) throws {
        guard !self.peers[number].isUp else { return }
        var options = self.peers[number].engine.options
        options.bootstrap = self.peers[number].engine.options.bootstrap
        let peer = self.peers[number]
        self.peers[number].engine = try self.engine(of: peer.local, peer.organization, options)
        self.peers[number].life += 1
        self.peers[number].isUp = true
        for channel in channels { self.give(.configured(channel), to: number) }
        self.queue.add(.tick(number, life: self.peers[number].life), at: self.now)
    }

    // MARK: - Network

    private func perform(_ effect: GossipEffect, of number: Number) {
        switch effect {
        case .send(let envelope, let peer, let endpoint):
            self.send(envelope, to: peer, endpoint, from: number)
        case .dial(let endpoint): self.dial(endpoint, from: number)
        case .disconnect(let peer, _): self.disconnect(peer, from: number)
        case .note(let note):
            if note.level != .debug { self.peers[number].notes.append(note) }
            self.onEffect(self, number, effect)
        default: self.onEffect(self, number, effect)
        }
    }

    private func send(_ envelope: Gossip_Envelope, to peer: PKIID, _ endpoint: String?, from number: Number) {
        guard let envelope = self.onSend(self, number, envelope, peer) else { return }
        if self.peers[number].engine.connections[peer] == nil {
            // As a driver does: connect first.
            guard let endpoint, self.number(at: endpoint) == self.numbers[peer],
                self.connect(number, endpoint) == peer
            else { return }
        }
        guard let target = self.numbers[peer] else { return }
        self.post(envelope, from: number, to: target)
    }

    /// Puts an envelope on the way between two who are connected.
    package func post(_ envelope: Gossip_Envelope, from number: Number, to target: Number) {
        self.messages += 1
        self.peers[number].sentMessages += 1
        self.peers[number].sentBytes +=
            envelope.payload.count + envelope.signature.count + envelope.secretEnvelope.payload.count
            + envelope.secretEnvelope.signature.count
        guard !self.isCut(number, target), !self.dice.chance(self.lossPerMille) else { return }
        self.queue.add(
            .arrival(
                envelope,
                from: self.peers[number].local.pkiID,
                at: target,
                life: self.peers[target].life
            ),
            at: self.now + self.dice.between(self.delay.lowerBound, self.delay.upperBound)
        )
    }

    private func dial(_ endpoint: String, from number: Number) {
        guard self.connect(number, endpoint) == nil else { return }
        self.queue.add(
            .unreachable(endpoint, at: number, life: self.peers[number].life),
            at: self.now + 3.seconds
        )
    }

    /// Makes a connection with a handshake; both sides hear of it at once.
    private func connect(_ number: Number, _ endpoint: String) -> PKIID? {
        guard let target = self.number(at: endpoint), target != number, !self.isCut(number, target) else {
            return nil
        }
        do {
            let there = try self.proof(of: target, to: number, endpoint: endpoint)
            let here = try self.proof(of: number, to: target, endpoint: nil)
            self.give(.connected(here), to: target)
            self.give(.connected(there), to: number)
            return there.peer
        } catch {
            return nil
        }
    }

    private func proof(of number: Number, to judge: Number, endpoint: String?) throws -> GossipConnection {
        let hash = Data(repeating: UInt8(truncatingIfNeeded: number), count: 32)
        let greeting = try Handshake.greeting(of: self.peers[number].local, tlsCertificateHash: hash)
        return try Handshake.check(
            greeting,
            tlsCertificateHash: hash,
            usesTLS: true,
            endpoint: endpoint,
            identities: self.peers[judge].engine.identities
        ).connection
    }

    private func disconnect(_ peer: PKIID, from number: Number) {
        guard let target = self.numbers[peer] else { return }
        let own = self.peers[number].local.pkiID
        if self.peers[target].engine.connections[own] != nil { self.lose(own, at: target) }
        if self.peers[number].engine.connections[peer] != nil { self.lose(peer, at: number) }
    }

    private func lose(_ peer: PKIID, at number: Number) {
        self.queue.add(.lost(peer, at: number, life: self.peers[number].life), at: self.now)
    }

    /// Breaks every connection between peers that cannot reach each other now.
    package func breakCutConnections() {
        for number in self.peers.indices {
            for peer in self.peers[number].engine.connections.keys.sorted() {
                if let other = self.numbers[peer], self.isCut(number, other) { self.lose(peer, at: number) }
            }
        }
    }
}

/// Remembers which signatures hold, since hundreds of peers look at the same ones.
private final class VerifiedSignatures: Sendable {
    private struct Question: Hashable {
        var identity: IdentityIdentifier
        var signature: Data
        var payload: Data

        func hash(into hasher: inout Hasher) { hasher.combine(self.signature) }
    }

    private let known = Mutex<[Question: Bool]>([:])
    private let trusts: Bool
    private static let capacity = 50_000

    init(trusts: Bool) { self.trusts = trusts }

    func holds(_ identity: Identity, _ signature: Data, _ payload: Data) -> Bool {
        guard !self.trusts else { return true }
        let question = Question(identity: identity.identifier, signature: signature, payload: payload)
        if let verdict = self.known.withLock({ $0[question] }) { return verdict }
        let verdict = (try? identity.verify(signature, of: payload)) != nil
        self.known.withLock { known in
            if known.count >= Self.capacity { known = [:] }
            known[question] = verdict
        }
        return verdict
    }
}
