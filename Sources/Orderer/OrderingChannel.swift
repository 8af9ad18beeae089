internal import Channel
internal import Consensus
internal import Cryptography
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import Operations
internal import SwiftProtobuf

/// One channel of an ordering node: what clients reach, and the thread that makes its blocks.
///
/// Envelopes are checked on the caller's thread, wait in a bounded queue, and are taken from there in batches by
/// ``ChannelThread``. Everything that the two sides share is in one monitor.
final class OrderingChannel: Sendable {
    /// How far the chain is.
    enum Health: Equatable, Sendable {
        /// There is no leader yet.
        case starting
        case serving
        /// This consenter knows of no leader at present.
        case leaderless
        /// This node is no consenter: it copies the channel from its orderers.
        case following
        /// The disk failed; the stores are opened again from time to time.
        case unavailable(String)
        /// Something that no retry can repair.
        case halted(String)
        case stopped

        /// Why nothing is ordered now.
        func failure(_ channel: ChannelID) -> String? {
            switch self {
            case .serving: nil
            case .starting: "channel \(channel) has no leader yet: try again"
            case .leaderless: "channel \(channel) has no leader at present: try again"
            case .following: "this node doesn't order channel \(channel), it follows it: send to a consenter"
            case .unavailable(let reason), .halted(let reason): "channel \(channel): \(reason)"
            case .stopped: "this node doesn't order channel \(channel) any more: send to another orderer"
            }
        }
    }

    /// An envelope that has passed every check and waits for its block.
    struct Waiting: Sendable {
        var bytes: Data
        /// Bytes of payload and signature.
        var size: Int
        var isConfig: Bool
        /// The sequence of the configuration under which it was checked.
        var sequence: UInt64
        /// What names it in the window of duplicates; config envelopes are not in it.
        var fingerprint: EnvelopeFingerprint?
        /// What names the client's update in a config envelope.
        var update: EnvelopeFingerprint?
        /// Called with the answer of a config envelope.
        var completion: DuplicateWindow.Completion?
        /// When it was queued.
        var arrival = Duration.zero
        /// The consenter whose client sent it, on a BFT channel; `nil` if it is one of this node's own.
        var origin: NodeID?
    }

    struct State {
        var configuration: ChannelConfiguration
        var health: Health = .starting
        var waiting: Deque<Waiting> = []
        var waitingBytes = 0
        var cutter: BatchCutter
        var window = DuplicateWindow()
        var isStopped = false
        /// The node is about to stop: another consenter is to lead, and nothing new is taken.
        var isLeaving = false
        /// Nothing is left to be done for that.
        var hasLeft = false
        /// Whether the stores were opened once, or can't be.
        var isOpened = false
        var standing = Standing()
        /// What the chain's thread has to give the engine.
        var inbox: [Raft.Input] = []
        /// Another consenter to which envelopes went that may be lost.
        var lostSubmits: Set<NodeID> = []
        /// Consenters whose processes answered nothing when they were asked.
        var silent: Set<NodeID> = []
        /// Blocks that this leader has proposed and that are not decided.
        var inFlight = 0
        /// Envelopes that were forwarded to the leader and are in no block yet.
        var forwarded = 0
        var forwardedBytes = 0
        /// Until when the channel's thread sleeps; `nil` while it is busy, `.some(nil)` without an end.
        var sleepsUntil: Duration??
        /// What only a BFT channel has.
        var bft = BFTQueues()

        /// Whether the queue takes one more.
        func hasRoom(for envelope: Waiting, _ limits: OrdererLimits) -> Bool {
            let count = self.waiting.count + self.forwarded
            let bytes = self.waitingBytes + self.forwardedBytes + envelope.bytes.count
            return count < limits.waitingEnvelopes && (count == 0 || bytes <= limits.waitingBytes)
        }
    }

    /// What this node is for the channel.
    struct Standing: Sendable {
        var relation = ChannelInfo.ConsensusRelation.consenter
        /// The node has not copied all blocks up to the one that it joined with.
        var isOnboarding = false
        /// What the others know this consenter by.
        var id: NodeID?
        var leader: NodeID?
        /// The consenters; `nil` on a node that isn't one.
        var membership: ClusterMembership?
        /// A consenter that the configuration no longer has, while Raft still needs it to be removed.
        var departing: ClusterMember?
        /// The consenters that the leader has heard from lately, itself included.
        var active: [NodeID] = []

        var isLeader: Bool { self.leader != nil && self.leader == self.id }
    }

    let id: ChannelID
    let settings: Settings
    let feed: BlockFeed
    let monitor: Monitor<State>
    private let writers = KnownWriters()
    /// For what BFT says, by Fabric's name.
    let bftLogger: Logger

    /// What all channels of a node have in common.
    struct Settings: Sendable {
        var signer: RenewableIdentity
        var limits: OrdererLimits
        var cutting: CuttingMode
        /// `false`: SUCCESS is answered when an envelope is queued, as Fabric does.
        var acknowledgesWhenDurable: Bool
        var checksExpiration: Bool
        var clock: @Sendable () -> Duration
        var date: @Sendable () -> Date
        var nonce: @Sendable () -> Data
        /// Chance: when elections begin, and in which order other orderers are asked.
        var random: @Sendable () -> UInt64 = { .random(in: .min ... .max) }
        var logger: Logger
        /// Called with each configuration that comes into force.
        var adopted: @Sendable (ChannelConfiguration) -> Void = { _ in }
        /// Called when a channel is no longer here.
        var removed: @Sendable (ChannelID) -> Void = { _ in }
        var metrics = Metrics()
        /// The way to other orderers.
        var network: any ClusterNetwork = NoCluster()
        /// Makes the way of a BFT channel's consenter to the others.
        var bftNetwork: @Sendable (OrderingChannel) -> any BFTNetwork = { _ in NoBFTNetwork() }
        /// The key of the node's TLS server certificate, as of now; `nil` without TLS.
        var serverKey: @Sendable () -> PublicKey? = { nil }
        /// SHA-256 of the certificate that the node connects with.
        var certificateHash: @Sendable () -> Data = { Data() }
        /// Messages that may wait for one other consenter.
        var sendBufferSize = 100
        /// A tick of Raft on this node, where that isn't the channel's.
        var tickInterval: Duration?
    }

    init(configuration: ChannelConfiguration, settings: Settings) {
        self.id = configuration.channelID
        self.settings = settings
        self.bftLogger = settings.logger.named("orderer.consensus.smartbft")
        self.feed = BlockFeed(
            maxRecentBytes: settings.limits.recentBlockBytes,
            failure: Health.starting.failure(configuration.channelID) ?? ""
        )
        self.monitor = Monitor(
            State(
                configuration: configuration,
                cutter: BatchCutter(bounds: BatchBounds(configuration), mode: settings.cutting)
            )
        )
    }

    /// The configuration in force.
    var configuration: ChannelConfiguration { self.monitor.withLock { $0.configuration } }

    var health: Health { self.monitor.withLock { $0.health } }

    var standing: Standing { self.monitor.withLock { $0.standing } }

    /// The consenters; `nil` on a node that isn't one.
    var membership: ClusterMembership? { self.monitor.withLock { $0.standing.membership } }

    /// The consenter that shows a certificate with this key; `nil` also on a node that isn't one.
    func consenter(clientKey: PublicKey) -> ClusterMember? {
        let standing = self.standing
        if standing.departing?.clientKey == clientKey { return standing.departing }
        return standing.membership?.member(clientKey: clientKey)
    }

    /// Whether clients find the channel here: not on a node that only follows it.
    var isServed: Bool { self.monitor.withLock { $0.standing.relation == .consenter } }

    // MARK: - Checking

    /// Checks an envelope that a client sent; a configuration update is turned into what is ordered.
    ///
    /// Takes about as long as checking one signature. Run it where that harms nobody.
    func check(_ received: ReceivedEnvelope, _ headers: EnvelopeHeaders) throws(Refusal) -> Waiting {
        let envelope = received.envelope
        let kind = try EnvelopeRules.kind(headers)
        let (configuration, health) = self.monitor.withLock { ($0.configuration, $0.health) }
        if let failure = health.failure(self.id) {
            self.settings.metrics.counter(.raftProposalFailures, self.id.description).increment()
            throw .unavailable(failure)
        }
        switch kind {
        case .normal:
            let bytes = if let bytes = received.bytes { bytes } else { try Self.serialized(envelope) }
            let fingerprint = EnvelopeFingerprint(bytes)
            if configuration.orderer?.consensusType == "BFT" {
                try EnvelopeRules.checkOrderedByBFT(headers)
                let sequence = configuration.sequence
                try self.checkOnce(fingerprint, headers, self.rules(configuration), under: sequence)
            } else {
                try self.rules(configuration).checkNormal(headers)
            }
            return Waiting(
                bytes: bytes,
                size: received.size,
                isConfig: false,
                sequence: configuration.sequence,
                fingerprint: fingerprint
            )
        case .configUpdate:
            return try self.waiting(forUpdate: envelope, headers, under: configuration)
        }
    }

    /// The same for an envelope that didn't come from the network.
    func check(_ envelope: Common_Envelope, _ headers: EnvelopeHeaders) throws(Refusal) -> Waiting {
        try self.check(ReceivedEnvelope(envelope), headers)
    }

    private func waiting(
        forUpdate update: Common_Envelope,
        _ headers: EnvelopeHeaders,
        under configuration: ChannelConfiguration
    ) throws(Refusal) -> Waiting {
        let standing = self.standing
        let processing = ConfigUpdateProcessing(
            rules: self.rules(configuration),
            signer: self.settings.signer.current,
            nonce: self.settings.nonce,
            active: standing.active,
            identifiers: standing.membership?.members.map(\.id) ?? []
        )
        let envelope = try processing.configEnvelope(for: update, headers)
        return Waiting(
            bytes: try Self.serialized(envelope),
            size: envelope.payload.count + envelope.signature.count,
            isConfig: true,
            sequence: configuration.sequence,
            update: EnvelopeFingerprint(try Self.serialized(update))
        )
    }

    /// Checks an envelope again because the configuration changed while it waited.
    func recheck(_ waiting: Waiting, under configuration: ChannelConfiguration) throws(Refusal) -> Waiting {
        do {
            let envelope = try Common_Envelope(serializedBytes: waiting.bytes)
            let headers = try EnvelopeHeaders(envelope)
            guard waiting.isConfig else {
                try self.rules(configuration).checkNormal(headers)
                var checked = waiting
                checked.sequence = configuration.sequence
                return checked
            }
            let config = try Common_ConfigEnvelope(serializedBytes: headers.payload.data)
            var checked = try self.waiting(
                forUpdate: config.lastUpdate,
                EnvelopeHeaders(config.lastUpdate),
                under: configuration
            )
            checked.completion = waiting.completion
            return checked
        } catch let refusal as Refusal {
            throw refusal
        } catch {
            throw .badRequest("the envelope can't be read: \(error)")
        }
    }

    private func rules(_ configuration: ChannelConfiguration) -> EnvelopeRules {
        EnvelopeRules(
            configuration: configuration,
            now: self.settings.date(),
            checksExpiration: self.settings.checksExpiration,
            writers: self.writers
        )
    }

    private static func serialized(_ envelope: Common_Envelope) throws(Refusal) -> Data {
        do {
            return try envelope.serializedBytes()
        } catch {
            throw .badRequest("the envelope can't be encoded: \(error)")
        }
    }

    // MARK: - Queueing

    /// Queues a checked envelope.
    ///
    /// - Returns: The answer, if there is one at once. Otherwise `completion` is called with it later, from the
    ///   channel's thread.
    func submit(
        _ envelope: Waiting,
        _ completion: @escaping DuplicateWindow.Completion
    ) -> Orderer_BroadcastResponse? {
        let (answer, wake): (Orderer_BroadcastResponse?, Bool) = self.monitor.withLock { state in
            if let failure = state.health.failure(self.id) {
                self.settings.metrics.counter(.raftProposalFailures, self.id.description).increment()
                return (Refusal.notOrdered(failure).response, false)
            }
            if state.isLeaving {
                let reason = "this node is being stopped: send to another orderer"
                return (Refusal.notOrdered(reason).response, false)
            }
            if let refusal = self.refusalForLackOfSpace(envelope, state) { return (refusal.response, false) }
            let acknowledged: Orderer_BroadcastResponse? =
                self.settings.acknowledgesWhenDurable ? nil : .accepted
            let completion = acknowledged == nil ? completion : nil
            var envelope = envelope
            if let fingerprint = envelope.fingerprint {
                switch state.window.claim(fingerprint, completion) {
                case .ordered: return (.accepted, false)
                case .pending: return (acknowledged, false)
                case .new: break
                }
            } else {
                envelope.completion = completion
            }
            return (acknowledged, self.enqueue(envelope, &state))
        }
        if wake { self.monitor.signal() }
        return answer
    }

    private func refusalForLackOfSpace(_ envelope: Waiting, _ state: State) -> Refusal? {
        guard !state.hasRoom(for: envelope, self.settings.limits) else { return nil }
        return .notOrdered(
            "\(state.waiting.count + state.forwarded) envelopes with \(state.waitingBytes + state.forwardedBytes) bytes wait for blocks of channel \(self.id): "
                + "try again later"
        )
    }

    /// Returns whether the channel's thread must be woken.
    func enqueue(_ envelope: Waiting, _ state: inout State) -> Bool {
        let now = self.settings.clock()
        var envelope = envelope
        envelope.arrival = now
        state.waiting.append(envelope)
        state.waitingBytes += envelope.bytes.count
        state.cutter.arrived(size: envelope.size, isConfig: envelope.isConfig, at: now)
        if state.bft.holdsRequests { state.bft.queued(envelope, isLeader: state.standing.isLeader) }
        guard case .some(let sleepsUntil) = state.sleepsUntil else { return false }
        // There the queue is not emptied by forwarding: only the first one is news, and what the leader must be given.
        if state.bft.holdsRequests, state.waiting.count == 1 || state.bft.ungiven.count == 1 { return true }
        if state.bft.holdsRequests, !state.standing.isLeader || state.inFlight > 0 { return false }
        // What comes in elsewhere than at the leader goes there at once.
        guard state.standing.isLeader else { return true }
        switch state.cutter.decision(at: now, hasInFlight: state.inFlight > 0) {
        case .cut: return true
        case .wait(until: let moment?): return sleepsUntil.map { moment < $0 } ?? true
        case .wait(until: nil): return false
        }
    }

    /// Queues a checked envelope and waits for its answer.
    func order(_ envelope: Waiting) async -> Orderer_BroadcastResponse {
        await withCheckedContinuation { continuation in
            let answer = self.submit(envelope) { continuation.resume(returning: $0) }
            if let answer { continuation.resume(returning: answer) }
        }
    }

    /// Waits until the channel's thread has opened its stores or failed to, or the task is cancelled.
    func opened() async {
        while !Task.isCancelled {
            let version = self.feed.find(0, insistsOnHealth: false).version
            if self.monitor.withLock({ $0.isOpened }) { return }
            await self.feed.change(since: version)
        }
    }

    /// Begins to leave the channel to its other consenters, if there are any, as the node is about to stop.
    func leave() {
        self.monitor.withLock { state in
            let isAlone = (state.standing.membership?.members.count ?? 1) == 1
            // Only a chain at work can do something for that.
            let isAtWork = state.health == .serving || state.health == .leaderless
            if isAlone || !isAtWork { state.hasLeft = true } else { state.isLeaving = true }
        }
        self.monitor.broadcast()
    }

    /// Whether nothing is left to be done by a node that leaves.
    var hasLeft: Bool { self.monitor.withLock { $0.hasLeft || $0.isStopped } }

    /// Orders nothing more and ends the channel's thread.
    func stop() {
        self.monitor.withLock { $0.isStopped = true }
        self.monitor.broadcast()
        self.feed.close()
    }
}

extension BatchBounds {
    /// The bounds that a channel's configuration sets.
    init(_ configuration: ChannelConfiguration) {
        let orderer = configuration.orderer
        self.init(
            maxMessageCount: max(1, orderer?.batch.maxMessageCount ?? 1),
            preferredMaxBytes: orderer?.batch.preferredMaxBytes ?? 0,
            timeout: orderer?.batchTimeout ?? .zero
        )
    }
}
