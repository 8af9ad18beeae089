internal import Channel
internal import Consensus
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import Logging
internal import Operations
internal import RPC
internal import SwiftProtobuf

/// The thread of one channel: opens its stores, and works on it as a consenter or as a follower, whatever the newest
/// configuration makes of this node.
///
/// A failure of the disk ends that work; the stores are then closed and opened again, as after a crash, until they work.
struct ChannelThread: Sendable {
    /// The two stores of a channel.
    struct Stores {
        var log: any KeyValueStore
        var consensus: any KeyValueStore
    }

    let channel: OrderingChannel
    /// The block that the node joined the channel with: its first one, or a later config block.
    let join: Common_Block
    let openStores: @Sendable () throws -> Stores
    /// The end of the thread, once it was started.
    let end = ThreadEnd()

    /// Begins to work on a thread of its own.
    func start() {
        let thread = Thread {
            self.run()
            self.end.reached()
        }
        thread.name = "chain-\(self.channel.id)"
        thread.start()
    }

    /// Works until the channel is stopped.
    private func run() {
        var delay = self.settings.limits.reopenDelay
        while true {
            do {
                try self.work { delay = self.settings.limits.reopenDelay }
                self.close()
                return
            } catch let halted as ChainHalted {
                self.fail(.halted(halted.description))
                self.settings.logger.critical("chain halted", metadata: self.facts(["error": "\(halted)"]))
                self.waitForStop()
                self.close()
                return
            } catch {
                self.channel.feed.released()
                self.fail(.unavailable("\(error)"))
                self.settings.logger.error(
                    "ledger unavailable; will be opened again",
                    metadata: self.facts(["error": "\(error)", "delay": "\(delay)"])
                )
                guard self.sleep(delay) else { return self.close() }
                delay = min(delay * 2, self.settings.limits.reopenDelay * 30)
            }
        }
    }

    // MARK: - Opening

    /// Opens the stores and closes them again, so that one that can't be used is known before the node serves.
    ///
    /// Begins nothing: whether this node founds the channel, or lost its disk, is found out when it works.
    func check() throws {
        let stores = try self.openStores()
        let log = try BlockLog(store: stores.log)
        guard self.orders(log) else { return }
        if let configuration = self.newestConfiguration(log) { _ = try ChannelConsenters(configuration) }
        let isBFT = self.isBFT(log)
        guard try !self.hasLoss(log, stores.consensus, isBFT: isBFT) else { return }
        if isBFT {
            _ = try self.makeBFTChain(log, stores.consensus) { _ in }
        } else {
            _ = try self.makeChain(log, stores.consensus) { _ in }
        }
    }

    /// Opens the stores and works until the channel is stopped; `opened` is called once it can begin.
    private func work(opened: () -> Void) throws {
        let stores = try self.openStores()
        let log = try BlockLog(store: stores.log)
        while true {
            if self.orders(log) {
                if let loss = try self.loss(log, stores.consensus, isBFT: self.isBFT(log)) {
                    try self.makeGood(loss, log, stores.consensus, opened)
                    if self.channel.monitor.withLock({ $0.isStopped }) { return }
                    continue
                }
                do {
                    if try self.order(log, stores.consensus, opened) { return }
                } catch is NotConsenter {
                    self.settings.logger.notice(
                        "this node is not among the channel's consenters",
                        metadata: self.facts([:])
                    )
                    try self.follow(log, opened)
                }
            } else {
                try self.follow(log, opened)
            }
            if self.channel.monitor.withLock({ $0.isStopped }) { return }
        }
    }

    /// Whether the node has all blocks up to the one that it joined with, so that it can order.
    func orders(_ log: BlockLog) -> Bool {
        if log.height == 0, self.join.header.number > 0 { return false }
        guard log.height == 0 || log.height > self.join.header.number else { return false }
        // What can't be read is told by the attempt to order.
        guard let configuration = self.newestConfiguration(log),
            let consenters = try? ChannelConsenters(configuration)
        else { return true }
        return consenters.contains(serverKey: self.settings.serverKey(), self.settings.signer.current)
    }

    /// The newest configuration, if it can be read.
    func newestConfiguration(_ log: BlockLog) -> ChannelConfiguration? {
        log.height == 0
            ? try? ChannelConfiguration(configBlock: self.join)
            : try? NewestBlocks(log, of: self.channel.id).configuration
    }

    private func isBFT(_ log: BlockLog) -> Bool {
        self.newestConfiguration(log)?.orderer?.consensusType == "BFT"
    }

    private func follow(_ log: BlockLog, _ opened: () -> Void) throws {
        let follower = try self.follower(log)
        // What is still queued here is for others to order.
        self.fail(.following)
        opened()
        _ = try follower.follow()
    }

    /// A follower whose channel clients and readers see.
    func follower(_ log: BlockLog, loss: LostStore? = nil) throws -> Follower {
        let follower = try Follower(channel: self.channel, log: log, join: self.join, loss: loss)
        self.channel.monitor.withLock { state in
            state.standing = OrderingChannel.Standing(
                relation: .follower,
                isOnboarding: follower.isOnboarding
            )
            state.isOpened = true
            if state.health != .stopped { state.health = .following }
        }
        self.channel.feed.opened(log)
        self.settings.logger.info(
            "following the channel",
            metadata: self.facts(["height": "\(log.height)", "join": "\(self.join.header.number)"])
        )
        return follower
    }

    /// Orders by the protocol that the newest configuration names; returns whether the channel was stopped.
    ///
    /// What is queued by then is ordered by the next protocol, if this node is one of its consenters.
    private func order(_ log: BlockLog, _ consensus: any KeyValueStore, _ opened: () -> Void) throws -> Bool {
        if self.isBFT(log) { return try self.orderBFT(log, consensus, opened) == .stopped }
        return try self.orderRaft(log, consensus, opened) == .stopped
    }

    private func orderRaft(
        _ log: BlockLog,
        _ consensus: any KeyValueStore,
        _ opened: () -> Void
    ) throws -> Consenter.End {
        let channel = self.channel
        let links = ClusterLinks(
            network: self.settings.network,
            capacity: self.settings.sendBufferSize,
            submitCapacity: self.settings.limits.waitingEnvelopes,
            metrics: LinkMetrics(metrics: self.settings.metrics, channel: channel.id.description),
            lost: { node, isSubmits in channel.lost(to: node, isSubmits: isSubmits) },
            silent: { node in channel.silent(node) }
        )
        defer { links.close() }
        let consenter = try self.consenter(log, consensus, links)
        opened()
        return try consenter.serve()
    }

    /// A consenter that has begun to work.
    func consenter(
        _ log: BlockLog,
        _ consensus: any KeyValueStore,
        _ links: any ConsenterLinks
    ) throws -> Consenter {
        let outbox = Outbox(channel: self.channel, links: links)
        let chain = try self.makeChain(log, consensus) { outbox.send($0) }
        let consenter = Consenter(channel: self.channel, chain: chain, links: links)
        outbox.consenter = consenter
        try self.begin(consenter)
        return consenter
    }

    private func makeChain(
        _ log: BlockLog,
        _ consensus: any KeyValueStore,
        send: @escaping (RaftMessage) -> Void
    ) throws -> RaftChain {
        var parts = RaftChain.Parts(
            channelID: self.channel.id,
            genesis: self.join.header.number == 0 ? self.join : nil,
            log: log,
            consensus: consensus,
            serverKey: self.settings.serverKey(),
            signer: self.settings.signer,
            nonce: self.settings.nonce
        )
        parts.seed = self.settings.random()
        parts.unsyncedBytes = self.settings.limits.unsyncedBlockBytes
        parts.persisting = self.settings.metrics.histogram(
            .raftDataPersistDuration,
            self.channel.id.description
        )
        parts.send = send
        return try RaftChain(parts)
    }

    /// Shows the channel to clients and readers, and the consenter to the others.
    private func begin(_ consenter: Consenter) throws {
        let chain = consenter.chain
        self.channel.feed.opened(chain.log)
        let recovered = try chain.start()
        for applied in recovered.applied { try consenter.publish(applied.block) }
        let window = try self.window(from: chain.log)
        let configuration = chain.configuration
        let membership = chain.membership
        self.channel.monitor.withLock { state in
            state.configuration = configuration
            state.window.forgetOrdered()
            for fingerprint in window { state.window.remember(fingerprint) }
            state.cutter.rebound(BatchBounds(configuration), queue: [], at: self.settings.clock())
            state.standing = OrderingChannel.Standing(id: chain.id, membership: membership)
            state.inbox = []
            state.silent = []
            state.inFlight = 0
            state.forwarded = 0
            state.forwardedBytes = 0
            if state.health == .following { state.health = .starting }
        }
        self.settings.adopted(configuration)
        consenter.links.configure(membership, own: chain.id)
        try consenter.begin()
        self.channel.monitor.withLock { $0.isOpened = true }
        self.channel.feed.opened(chain.log)
        self.settings.logger.info(
            "ordering the channel",
            metadata: self.facts([
                "height": "\(chain.log.height)", "recovered": "\(recovered.applied.count)",
                "node": "\(chain.id)", "consenters": "\(membership.members.count)",
            ])
        )
    }

    /// The fingerprints of the newest envelopes in the ledger, oldest first.
    func window(from log: BlockLog) throws -> [EnvelopeFingerprint] {
        var blocks: [[EnvelopeFingerprint]] = []
        var count = 0
        var number = log.height
        while number > 0, count < DuplicateWindow.capacity {
            number -= 1
            guard let block = try log.block(number) else { break }
            let fingerprints = block.data.data.map { EnvelopeFingerprint($0) }
            count += fingerprints.count
            blocks.append(fingerprints)
        }
        return blocks.reversed().flatMap(\.self)
    }

    // MARK: - Failing and ending

    /// Nothing is ordered until further notice; who waits is told.
    func fail(_ health: OrderingChannel.Health) {
        let reason = health.failure(self.channel.id) ?? ""
        let waiting = self.channel.monitor.withLock { state in
            state.health = state.isStopped ? .stopped : health
            state.standing.leader = nil
            state.isOpened = true
            let waiting = Array(state.waiting)
            state.waiting = []
            state.waitingBytes = 0
            state.bft = BFTQueues()
            state.cutter.rebound(state.cutter.bounds, queue: [], at: self.settings.clock())
            return waiting
        }
        self.channel.feed.report(failure: reason)
        self.answer(waiting, Refusal.notOrdered(reason).response)
    }

    private func answer(_ batch: [OrderingChannel.Waiting], _ response: Orderer_BroadcastResponse) {
        var completions: [DuplicateWindow.Completion] = []
        self.channel.monitor.withLock { state in
            for waiting in batch {
                if let fingerprint = waiting.fingerprint { completions += state.window.abandon(fingerprint) }
                if let completion = waiting.completion { completions.append(completion) }
            }
        }
        for completion in completions { completion(response) }
    }

    private func close() {
        self.fail(.stopped)
        self.channel.feed.released()
    }

    /// Returns `false` if the channel was stopped meanwhile.
    private func sleep(_ delay: Duration) -> Bool {
        let end = self.settings.clock() + delay
        return self.channel.monitor.wait { state -> Monitor<OrderingChannel.State>.Wait<Bool> in
            if state.isStopped { return .done(false) }
            let now = self.settings.clock()
            return now >= end ? .done(true) : .again(end - now)
        }
    }

    private func waitForStop() {
        self.channel.monitor.wait { state -> Monitor<OrderingChannel.State>.Wait<Void> in
            state.isStopped ? .done(()) : .again(nil)
        }
    }

    var settings: OrderingChannel.Settings { self.channel.settings }

    private func facts(_ facts: Logger.Metadata) -> Logger.Metadata {
        facts.merging(["channel": "\(self.channel.id)"]) { fact, _ in fact }
    }
}
