internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Logging
internal import Operations
internal import Synchronization

/// Runs a peer's ``GossipEngine``: gives it time, messages and news, one after the other, and does what it wants done.
///
/// Everything here happens on one thread of its own.
actor GossipDriver {
    /// What the driver asks of the rest of the peer; all of it returns at once.
    struct Surroundings: Sendable {
        /// Connects to an address in the background, and calls ``GossipDriver/unreachable(_:reason:)`` if that fails.
        var dial: @Sendable (_ endpoint: String) -> Void
        var blocks: any GossipBlocks
        var privateData: (any GossipPrivateData)?
        /// Told which peers are known, whenever that may have changed.
        var publish: @Sendable (GossipView) -> Void
    }

    /// An address that is being connected to, and what is to be sent there.
    private struct Dial {
        var waiting: [(peer: PKIID, envelope: Gossip_Envelope)] = []
    }

    private struct Entry {
        var link: GossipLink
        var since: ContinuousClock.Instant
    }

    /// Addresses that are connected to at a time; what would need more is lost.
    static let dialLimit = 64
    /// How long an address that couldn't be reached is left alone, unless gossip asks for it by itself.
    static let pauseAfterFailure: Duration = .seconds(1)

    nonisolated let thread = GossipThread()
    nonisolated var unownedExecutor: UnownedSerialExecutor { self.thread.asUnownedSerialExecutor() }

    private var engine: GossipEngine
    private let surroundings: Surroundings
    private let settings: GossipSettings
    private let metrics: GossipMetrics
    private let logger: Logger
    private let start = ContinuousClock.now
    private var links: [PKIID: Entry] = [:]
    private var dials: [String: Dial] = [:]
    private var failures: [String: ContinuousClock.Instant] = [:]
    private var requests = PrivateDataRequests()
    private var hasChanged = true
    private var isClosed = false

    init(
        engine: GossipEngine,
        settings: GossipSettings,
        surroundings: Surroundings,
        metrics: GossipMetrics,
        logger: Logger
    ) {
        self.engine = engine
        self.settings = settings
        self.surroundings = surroundings
        self.metrics = metrics
        self.logger = logger
    }

    // MARK: - Steps

    /// Takes a step.
    func take(_ input: GossipInput) {
        guard !self.isClosed else { return }
        let effects = self.engine.step(
            input,
            now: ContinuousClock.now - self.start,
            wallClock: UInt64(max(0, Date().timeIntervalSince1970 * 1_000_000_000))
        )
        // A tick that has no effect has changed nothing that others would see.
        if case .tick = input, effects.isEmpty {} else { self.hasChanged = true }
        for effect in effects { self.perform(effect) }
    }

    /// Lets time pass, and tells the rest of the peer whom gossip knows.
    func tick() {
        self.take(.tick)
        let now = ContinuousClock.now
        self.failures = self.failures.filter { now - $0.value < Self.pauseAfterFailure }
        guard self.hasChanged else { return }
        self.hasChanged = false
        self.surroundings.publish(GossipView(self.engine))
    }

    private func perform(_ effect: GossipEffect) {
        switch effect {
        case .send(let envelope, let peer, let endpoint): self.send(envelope, to: peer, endpoint)
        case .dial(let endpoint): self.dial(endpoint, waiting: nil)
        case .disconnect(let peer, let reason): self.disconnect(peer, reason)
        case .note(let note): self.write(note)
        case .blocks(let channel, let effect):
            self.surroundings.blocks.perform(effect, on: channel) { [weak self] in
                await self?.take(.blocks(channel, $0))
            }
        case .privateData(let channel, let effect):
            guard !self.requests.finish(effect) else { return }
            self.surroundings.privateData?.perform(effect, on: channel) { [weak self] in
                await self?.take(.privateData(channel, $0))
            }
        }
    }

    private func write(_ note: GossipNote) {
        switch note.level {
        case .debug: self.logger.debug("\(note.text)")
        case .info: self.logger.info("\(note.text)")
        case .warning: self.logger.warning("\(note.text)")
        }
    }

    // MARK: - Messages

    private func send(_ envelope: Gossip_Envelope, to peer: PKIID, _ endpoint: String?) {
        if let link = self.links[peer]?.link {
            if !link.send(envelope) { self.metrics.overflow.increment() }
            return
        }
        guard let endpoint, !endpoint.isEmpty, self.failures[endpoint] == nil else { return }
        self.dial(endpoint, waiting: (peer, envelope))
    }

    private func dial(_ endpoint: String, waiting: (PKIID, Gossip_Envelope)?) {
        guard !self.isClosed else { return }
        if self.dials[endpoint] == nil {
            guard self.dials.count < Self.dialLimit else {
                if waiting == nil {
                    self.take(
                        .unreachable(endpoint: endpoint, reason: "too many addresses are dialled at once")
                    )
                }
                return
            }
            self.dials[endpoint] = Dial()
            self.surroundings.dial(endpoint)
        }
        guard let waiting else { return }
        guard self.dials[endpoint]?.waiting.count ?? 0 < self.settings.sendBufferSize else {
            return self.metrics.overflow.increment()
        }
        self.dials[endpoint]?.waiting.append(waiting)
    }

    /// A message came in through a link; returns once it is dealt with, so that a flood waits in the network.
    func received(_ envelope: Gossip_Envelope, through link: GossipLink, from peer: PKIID) {
        guard self.links[peer]?.link === link else { return }
        self.metrics.received.increment()
        self.take(.received(envelope, from: peer))
    }

    // MARK: - Connections

    /// Who this peer says that it is, on a connection.
    ///
    /// - Parameter tlsHash: SHA-256 of the certificate that it shows there; empty without TLS.
    /// - Returns: The first message.
    /// - Throws: What signing throws.
    func introduction(tlsHash: Data) throws -> Gossip_Envelope {
        try Handshake.greeting(of: self.engine.local, tlsCertificateHash: tlsHash)
    }

    /// Looks at what the other side of a new stream says of itself.
    ///
    /// - Parameters:
    ///   - introduction: The first message.
    ///   - tlsHash: SHA-256 of the certificate that the other side has shown; `nil` without TLS.
    ///   - link: The stream.
    /// - Returns: Who is there; `nil` if the stream only was to show who this peer is, or isn't needed.
    /// - Throws: `Handshake.Refusal` if the other side isn't who it says, or may not be here.
    func establish(_ introduction: Gossip_Envelope, tlsHash: Data?, link: GossipLink) throws -> PKIID? {
        guard !self.isClosed else { throw GossipRefusal("this peer is shutting down") }
        let acquaintance = try Handshake.check(
            introduction,
            tlsCertificateHash: tlsHash,
            usesTLS: tlsHash != nil,
            endpoint: link.endpoint,
            identities: self.engine.identities
        )
        if acquaintance.isProbe { return nil }
        let connection = acquaintance.connection
        guard connection.peer != self.engine.local.pkiID else {
            // An address of a list that turns out to be the own one is not tried again.
            if link.isDialled { self.take(.connected(connection)) }
            throw GossipRefusal("the peer has reached itself")
        }
        try self.checkExpected(connection)
        let isWanted = self.register(link, as: connection.peer)
        if isWanted {
            self.logger.info(
                "connected",
                metadata: [
                    "peer": "\(connection.peer)", "address": "\(link.endpoint ?? link.remoteAddress)",
                    "dialled": "\(link.isDialled)",
                ]
            )
        }
        self.take(.connected(connection))
        if let endpoint = link.endpoint { self.flush(endpoint) }
        return isWanted ? connection.peer : nil
    }

    /// At an address at which one peer was expected another one of its organization may be, which has a new certificate.
    private func checkExpected(_ connection: GossipConnection) throws {
        guard let endpoint = connection.endpoint, let dial = self.dials[endpoint] else { return }
        let own = (try? self.engine.identities.judge(connection.identity))?.1.mspID
        for (expected, _) in dial.waiting where expected != connection.peer {
            guard let organization = self.engine.identities.mspID(of: expected), let own,
                !Handshake.mayReplace(organization, by: own)
            else { continue }
            throw GossipRefusal(
                "at \(endpoint) there should be peer \(expected) of \(organization), but there is \(connection.peer)"
            )
        }
    }

    private func register(_ link: GossipLink, as peer: PKIID) -> Bool {
        let now = ContinuousClock.now
        if let present = self.links[peer] {
            let replaces = GossipConnectionRule.replaces(
                isDialled: link.isDialled,
                wasDialled: present.link.isDialled,
                age: now - present.since,
                isSmaller: self.engine.local.pkiID < peer
            )
            guard replaces else { return false }
            present.link.close("the same peer has connected again")
        }
        self.links[peer] = Entry(link: link, since: now)
        return true
    }

    /// Sends what waited for an address.
    private func flush(_ endpoint: String) {
        guard let dial = self.dials.removeValue(forKey: endpoint) else { return }
        for (peer, envelope) in dial.waiting {
            guard let link = self.links[peer]?.link else { continue }
            if !link.send(envelope) { self.metrics.overflow.increment() }
        }
    }

    /// A stream has ended.
    func ended(_ link: GossipLink, of peer: PKIID, reason: String) {
        guard self.links[peer]?.link === link else { return }
        self.links[peer] = nil
        self.logger.info(
            "disconnected",
            metadata: ["peer": "\(peer)", "reason": "\(link.closure ?? reason)"]
        )
        self.take(.disconnected(peer))
    }

    /// Nobody acceptable is at an address.
    func unreachable(_ endpoint: String, reason: String) {
        guard self.dials.removeValue(forKey: endpoint) != nil else { return }
        self.failures[endpoint] = .now
        self.logger.debug("unreachable", metadata: ["address": "\(endpoint)", "reason": "\(reason)"])
        self.take(.unreachable(endpoint: endpoint, reason: reason))
    }

    private func disconnect(_ peer: PKIID, _ reason: String) {
        guard let entry = self.links.removeValue(forKey: peer) else { return }
        self.logger.warning("closed a connection", metadata: ["peer": "\(peer)", "reason": "\(reason)"])
        entry.link.close(reason)
        self.take(.disconnected(peer))
    }

    /// Ends all connections; there will be no others.
    func close() {
        self.isClosed = true
        for entry in self.links.values { entry.link.close("this peer is shutting down") }
        self.links = [:]
        self.dials = [:]
        self.requests.failAll()
    }

    // MARK: - Private data

    /// Has private writes brought to other peers; returns once enough have them.
    ///
    /// - Returns: why not enough have them; `nil` if they do.
    func push(_ payloads: [Gossip_PrivatePayload], on channel: ChannelID) async -> String? {
        guard !self.isClosed, self.engine.channels[channel] != nil else {
            // What no other peer needs to have is endorsed without gossip; others fetch it.
            guard payloads.contains(where: \.isRequiredElsewhere) else { return nil }
            return self.isClosed
                ? "this peer is shutting down" : "gossip of channel \(channel) has not begun yet"
        }
        return await withCheckedContinuation { continuation in
            let request = self.requests.add(push: continuation)
            self.take(.privateData(channel, .push(payloads, request: request)))
        }
    }

    /// Asks other peers for private data.
    ///
    /// - Returns: what has become of each, in the same order; `nil` if nobody can be asked.
    func pull(_ wanted: [WantedPrivateData], on channel: ChannelID) async -> [PulledPrivateData]? {
        guard !self.isClosed, self.engine.channels[channel] != nil else { return nil }
        return await withCheckedContinuation { continuation in
            let request = self.requests.add(pull: continuation)
            self.take(.privateData(channel, .pull(wanted, request: request)))
        }
    }
}

/// A stream that this peer doesn't go on with.
struct GossipRefusal: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}
