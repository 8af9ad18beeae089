internal import Channel
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import Logging
internal import Operations
internal import SwiftProtobuf

/// The thread of one channel: takes batches from its queue, has them ordered, and tells everybody.
///
/// The whole path of a block on an orderer is ``order(_:_:)``. A failure of the disk ends that chain; the stores are
/// then closed and opened again, as after a crash, until they work.
struct ChannelThread: Sendable {
    /// The two stores of a channel.
    struct Stores {
        var log: any KeyValueStore
        var consensus: any KeyValueStore
    }

    let channel: OrderingChannel
    /// The channel's first block, for an empty ledger.
    let genesis: Common_Block?
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
                let chain = try self.open()
                delay = self.settings.limits.reopenDelay
                try self.serve(chain)
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
    func check() throws { _ = try self.makeChain() }

    private func makeChain() throws -> RaftChain {
        let stores = try self.openStores()
        return try RaftChain(
            channelID: self.channel.id,
            genesis: self.genesis,
            log: BlockLog(store: stores.log),
            consensus: stores.consensus,
            signer: self.settings.signer,
            nonce: self.settings.nonce,
            persisting: self.settings.metrics.histogram(.raftDataPersistDuration, self.channel.id.description)
        )
    }

    private func open() throws -> RaftChain {
        let chain = try self.makeChain()
        self.channel.feed.opened(chain.log)
        let recovered = try chain.start()
        for applied in recovered { try self.publish(applied.block) }
        let window = try self.window(from: chain.log)
        let configuration = chain.configuration
        self.channel.monitor.withLock { state in
            state.configuration = configuration
            state.window.forgetOrdered()
            for fingerprint in window { state.window.remember(fingerprint) }
            state.cutter.rebound(BatchBounds(configuration), queue: [], at: self.settings.clock())
            if !state.isStopped { state.health = .serving }
        }
        self.settings.adopted(configuration)
        self.channel.feed.report(failure: nil)
        self.settings.metrics.counter(.raftLeaderChanges, self.channel.id.description).increment()
        self.settings.logger.info(
            "Raft leader changed: 0 -> 1 channel=\(self.channel.id) node=1",
            metadata: self.facts(["height": "\(chain.log.height)", "recovered": "\(recovered.count)"])
        )
        return chain
    }

    /// The fingerprints of the newest envelopes in the ledger, oldest first.
    private func window(from log: BlockLog) throws -> [EnvelopeFingerprint] {
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

    // MARK: - Ordering

    private func serve(_ chain: RaftChain) throws {
        while let batch = self.nextBatch() {
            var unsettled = batch
            do {
                try self.order(&unsettled, chain)
            } catch {
                // What became of these is known only once the stores have been opened again.
                self.answer(unsettled, Refusal.outcomeUnknown("\(error)").response)
                throw error
            }
        }
        try chain.close()
    }

    /// Takes a batch from the queue as soon as one is due; `nil` once the channel is stopped.
    private func nextBatch() -> [OrderingChannel.Waiting]? {
        self.channel.monitor.wait {
            state -> Monitor<OrderingChannel.State>.Wait<[OrderingChannel.Waiting]?> in
            state.sleepsUntil = nil
            if state.isStopped { return .done(nil) }
            let now = self.settings.clock()
            switch state.cutter.decision(at: now) {
            case .cut(let count):
                state.cutter.took(at: now)
                let batch = Array(state.waiting.prefix(count))
                state.waiting.removeFirst(min(count, state.waiting.count))
                state.waitingBytes -= batch.reduce(0) { $0 + $1.bytes.count }
                if let first = batch.first { self.filling.record(now - first.arrival) }
                return .done(batch)
            case .wait(until: let moment):
                state.sleepsUntil = .some(moment)
                return .again(moment.map { $0 - now })
            }
        }
    }

    /// Makes a block of a batch: check again what the configuration outran, propose, persist, answer, append,
    /// publish.
    ///
    /// A configuration is answered last, so that whoever gets SUCCESS finds it in force. What was answered is taken out
    /// of `batch`, so that after an error the rest can be answered.
    private func order(_ batch: inout [OrderingChannel.Waiting], _ chain: RaftChain) throws {
        self.recheck(&batch, chain.configuration)
        guard !batch.isEmpty else { return }
        let metrics = self.settings.metrics
        let isConfig = batch.contains(where: \.isConfig)
        metrics.counter(isConfig ? .raftConfigProposals : .raftNormalProposals, self.channel.id.description)
            .increment(by: Int64(batch.count))
        let block = chain.nextBlock(batch.map(\.bytes))
        var waiting = batch
        defer { batch = waiting }
        let applied = try chain.order(block) {
            guard !isConfig else { return }
            self.settle(waiting)
            waiting = []
        }
        for applied in applied {
            try self.publish(applied.block)
            if let configuration = applied.configuration { self.install(configuration) }
        }
        guard isConfig else { return }
        self.settle(waiting)
        waiting = []
    }

    private func recheck(_ batch: inout [OrderingChannel.Waiting], _ configuration: ChannelConfiguration) {
        guard batch.contains(where: { $0.sequence != configuration.sequence }) else { return }
        var checked: [OrderingChannel.Waiting] = []
        for waiting in batch {
            guard waiting.sequence != configuration.sequence else {
                checked.append(waiting)
                continue
            }
            do throws(Refusal) {
                checked.append(try self.channel.recheck(waiting, under: configuration))
            } catch {
                self.answer([waiting], error.response)
            }
        }
        batch = checked
    }

    /// The envelopes are in a block that is durable.
    private func settle(_ batch: [OrderingChannel.Waiting]) {
        var completions: [DuplicateWindow.Completion] = []
        completions.reserveCapacity(batch.count)
        self.channel.monitor.withLock { state in
            for waiting in batch {
                if let fingerprint = waiting.fingerprint { completions += state.window.settle(fingerprint) }
                if let completion = waiting.completion { completions.append(completion) }
            }
        }
        for completion in completions { completion(.accepted) }
    }

    /// The envelopes are not ordered, or it is not known whether they are.
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

    private func publish(_ block: Common_Block) throws {
        self.channel.feed.append(try DeliverableBlock(block))
        self.settings.logger.info(
            "wrote block",
            metadata: self.facts([
                "block": "\(block.header.number)", "transactions": "\(block.data.data.count)",
            ])
        )
    }

    private func install(_ configuration: ChannelConfiguration) {
        self.settings.adopted(configuration)
        self.channel.monitor.withLock { state in
            state.configuration = configuration
            state.cutter.rebound(
                BatchBounds(configuration),
                queue: state.waiting.lazy.map { ($0.size, $0.isConfig) },
                at: self.settings.clock()
            )
        }
    }

    // MARK: - Failing and ending

    /// Nothing is ordered until further notice; who waits is told.
    private func fail(_ health: OrderingChannel.Health) {
        let reason = health.failure(self.channel.id) ?? ""
        let waiting = self.channel.monitor.withLock { state in
            state.health = state.isStopped ? .stopped : health
            let waiting = Array(state.waiting)
            state.waiting = []
            state.waitingBytes = 0
            state.cutter.rebound(state.cutter.bounds, queue: [], at: self.settings.clock())
            return waiting
        }
        self.channel.feed.report(failure: reason)
        self.answer(waiting, Refusal.notOrdered(reason).response)
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

    private var settings: OrderingChannel.Settings { self.channel.settings }

    private var filling: HistogramSeries {
        self.settings.metrics.histogram(.blockFillDuration, self.channel.id.description)
    }

    private func facts(_ facts: Logger.Metadata) -> Logger.Metadata {
        facts.merging(["channel": "\(self.channel.id)"]) { fact, _ in fact }
    }
}
