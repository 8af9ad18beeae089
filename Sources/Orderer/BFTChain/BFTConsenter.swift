internal import Channel
internal import Consensus
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import Operations
internal import SwiftProtobuf

/// One of a BFT channel's consenters at work: proposes batches of the queue while it leads, sees to it that others do while
/// it doesn't, and tells everybody about the blocks that are final.
///
/// Envelopes stay in the queue of every consenter until they are in a block, or until they have waited too long; so a
/// change of the leader loses none. Belongs to the channel's thread.
final class BFTConsenter {
    /// Why it doesn't go on.
    enum End {
        case stopped
        /// It is a consenter no longer.
        case removed
    }

    let channel: OrderingChannel
    let chain: BFTChain
    let network: any BFTNetwork
    private var nextTick: Duration
    private var view: BFTView
    private var viewSince: Duration
    /// Who leads, as the queue was told.
    private var leader: NodeID?
    /// When the leader was given envelopes last.
    private var lastGiven: Duration
    /// When the last block became final, or the leader began.
    private var lastProgress: Duration
    private var lastHeard: Duration
    /// What the engine was told of waiting envelopes.
    private var toldWaiting = false
    /// How many envelopes at the front of the queue are proposed, as this leader has cut them.
    private var proposedCount: Int?
    /// The blocks that this node lacks and is getting.
    var pulling: MissingBlocks?
    /// The batches of the queue must be formed again: it changed otherwise than by new envelopes.
    private var isRecut = true

    init(channel: OrderingChannel, chain: BFTChain, network: any BFTNetwork) {
        let now = channel.settings.clock()
        self.channel = channel
        self.chain = chain
        self.network = network
        self.nextTick = now
        self.view = chain.details.view
        self.viewSince = now
        self.lastGiven = now
        self.lastProgress = now
        self.lastHeard = now
    }

    /// Goes on where the store says that this node was.
    func begin() throws {
        var progress = BFTChain.Progress()
        // The first step signs again what was promised.
        try self.chain.take([.released(through: 0)], &progress)
        try self.absorb(progress)
        self.follow()
        self.show()
    }

    /// Orders until the channel is stopped, or this node is no consenter any more.
    func serve() throws -> End {
        while true {
            let work = self.channel.monitor.wait { self.next(&$0) }
            if let end = try self.carryOut(work) { return end }
        }
    }

    // MARK: - What is next

    /// What the channel's thread does without waiting in between.
    enum Work {
        case stop
        /// Messages of others; and whether a tick is due.
        case step([BFTMessage], isTick: Bool, isWaiting: Bool)
        /// Envelopes for the leader.
        case give([OrderingChannel.Waiting], to: NodeID)
        /// The node is about to stop.
        case handOver
        case propose([OrderingChannel.Waiting])
        /// Blocks that this node lacks have come in, or don't.
        case pull
        /// Nothing else is to be done: time for the disk.
        case sync
    }

    /// Messages of one consenter that are taken at once.
    private static let share = 64

    /// What is to be done now, or how long nothing is unless something comes in.
    func next(_ state: inout OrderingChannel.State) -> Monitor<OrderingChannel.State>.Wait<Work> {
        state.sleepsUntil = nil
        if state.isStopped { return .done(.stop) }
        let now = self.channel.settings.clock()
        let isTick = self.ticks(state) && now >= self.nextTick
        let isWaiting = !state.waiting.isEmpty
        if isTick || isWaiting != self.toldWaiting || !state.bft.inbox.isEmpty {
            if isTick {
                // A thread that was held up doesn't make up for the ticks that it missed.
                let tick = self.chain.timing.tick
                self.nextTick = max(self.nextTick + tick, now + tick / 2)
            }
            return .done(
                .step(state.bft.inbox.take(Self.share), isTick: isTick, isWaiting: isWaiting)
            )
        }
        if state.isLeaving, let work = self.leave(&state) { return .done(work) }
        var moment = self.ticks(state) ? self.nextTick : nil
        if let leader = self.leader, leader != self.chain.id, !state.bft.ungiven.isEmpty {
            let due = self.lastGiven + self.chain.timing.giving
            if now >= due {
                self.lastGiven = now
                defer { state.bft.ungiven = [] }
                return .done(.give(state.bft.ungiven, to: leader))
            }
            moment = [moment, due].compactMap(\.self).min()
        }
        if let pulling {
            guard let look = pulling.nextLook(at: now) else { return .done(.pull) }
            moment = [moment, look].compactMap(\.self).min()
        }
        let mayPropose = self.chain.details.proposable != nil && !state.isLeaving
        if self.isRecut, mayPropose || state.waiting.isEmpty { self.recut(&state, now) }
        if mayPropose {
            switch state.cutter.decision(at: now) {
            case .cut(let count): return .done(.propose(self.take(count, &state, now)))
            case .wait(until: let due): moment = [moment, due].compactMap(\.self).min()
            }
        }
        if self.chain.isUnsynced { return .done(.sync) }
        state.sleepsUntil = .some(moment)
        return .again(moment.map { $0 - now })
    }

    /// Does what is next, and says whether that was the end.
    func carryOut(_ work: Work) throws -> End? {
        do {
            var progress = BFTChain.Progress()
            switch work {
            case .stop:
                try self.chain.close()
                self.abandonQueue("this node stops")
                return .stopped
            case .step(let messages, let isTick, let isWaiting):
                try self.step(messages, isTick: isTick, isWaiting: isWaiting, &progress)
            case .give(let envelopes, let leader):
                self.network.give(envelopes, to: leader)
                return nil
            case .handOver: try self.chain.take([.command(.complain(view: self.view))], &progress)
            case .propose(let batch): try self.propose(batch, &progress)
            case .pull: try self.pullOn(&progress)
            case .sync: try self.chain.sync(&progress)
            }
            try self.absorb(progress)
            guard self.chain.consenters[self.chain.id] != nil else {
                try self.chain.close()
                self.abandonQueue("this node is no consenter any more")
                self.channel.bftLogger.notice(
                    "this node is no consenter any more",
                    metadata: self.facts([:])
                )
                return .removed
            }
            self.follow()
            self.show()
            return nil
        } catch {
            self.abandonQueue("\(error)")
            throw error
        }
    }

    /// What a consenter does whose node is about to stop: a leader gives up its view when no block is under way, and the
    /// others join it at once; then it stays until its clients have their answers.
    private func leave(_ state: inout OrderingChannel.State) -> Work? {
        let details = self.chain.details
        if details.leader == self.chain.id {
            return details.proposable != nil ? .handOver : nil
        }
        state.hasLeft = !state.waiting.contains { $0.origin == nil }
        return nil
    }

    /// Alone, nobody waits for anybody; but envelopes may have to be given up.
    private func ticks(_ state: OrderingChannel.State) -> Bool {
        self.chain.consenters.count > 1 || !state.waiting.isEmpty
    }

    // MARK: - Leading

    /// Forms the batches again of all that is queued.
    private func recut(_ state: inout OrderingChannel.State, _ now: Duration) {
        self.isRecut = false
        self.proposedCount = nil
        var bounds = BatchBounds(self.chain.configuration)
        bounds.timeout = min(bounds.timeout, self.chain.timing.batch)
        state.cutter.rebound(
            bounds,
            queue: state.waiting.lazy.map { ($0.size, $0.isConfig) },
            at: now
        )
    }

    /// A copy of the batch: it stays in the queue until it is in a block.
    private func take(
        _ count: Int,
        _ state: inout OrderingChannel.State,
        _ now: Duration
    ) -> [OrderingChannel.Waiting] {
        state.cutter.took(at: now)
        let batch = Array(state.waiting.prefix(count))
        if let first = batch.first {
            self.channel.settings.metrics.histogram(.blockFillDuration, self.channel.id.description)
                .record(now - first.arrival)
        }
        return batch
    }

    /// Makes a block of a batch: check again what the configuration outran, and propose.
    private func propose(_ taken: [OrderingChannel.Waiting], _ progress: inout BFTChain.Progress) throws {
        let batch = self.recheck(taken)
        guard batch.count == taken.count, !batch.isEmpty else {
            // The others are cut anew.
            self.isRecut = true
            return
        }
        let block = self.chain.nextBlock(batch.map(\.bytes))
        if try self.chain.propose(block, &progress) {
            self.proposedCount = batch.count
        } else {
            self.isRecut = true
        }
    }

    /// Checks envelopes again that were checked under an older configuration.
    ///
    /// - Returns: Those that are still good.
    private func recheck(_ batch: [OrderingChannel.Waiting]) -> [OrderingChannel.Waiting] {
        let configuration = self.chain.configuration
        guard batch.contains(where: { $0.sequence != configuration.sequence }) else { return batch }
        var changed: [(old: OrderingChannel.Waiting, new: OrderingChannel.Waiting)] = []
        let good = batch.compactMap { waiting -> OrderingChannel.Waiting? in
            guard waiting.sequence != configuration.sequence else { return waiting }
            do throws(Refusal) {
                var checked = try self.channel.recheck(waiting, under: configuration)
                checked.origin = waiting.origin
                checked.arrival = waiting.arrival
                changed.append((waiting, checked))
                return checked
            } catch {
                self.answer([waiting], error.response)
                return nil
            }
        }
        self.channel.monitor.withLock { state in
            for (old, new) in changed { state.replace(old, by: new) }
        }
        return good
    }

    // MARK: - Stepping

    private func step(
        _ messages: [BFTMessage],
        isTick: Bool,
        isWaiting: Bool,
        _ progress: inout BFTChain.Progress
    ) throws {
        let now = self.channel.settings.clock()
        if !messages.isEmpty { self.lastHeard = now }
        var inputs: [BFT.Input] = []
        if isWaiting != self.toldWaiting {
            self.toldWaiting = isWaiting
            inputs.append(.command(.requestsWait(isWaiting)))
        }
        if isTick {
            inputs.append(.tick)
            inputs += self.care(now)
        }
        self.chain.receive(messages)
        try self.chain.take(inputs, &progress)
        guard isTick, self.chain.consenters.count > 1, now - self.lastHeard >= self.chain.timing.silence
        else { return }
        // Nobody talks to this node: it may have been removed.
        self.lastHeard = now
        self.pull(through: nil)
    }

    /// Envelopes that have waited long: given to everybody, held against the leader, given up.
    private func care(_ now: Duration) -> [BFT.Input] {
        let timing = self.chain.timing
        let isQuiet = now - self.lastProgress >= timing.quiet
        let (expired, late, stale, isLeftOut) = self.channel.monitor.withLock { state in
            (
                state.takeQueued(before: now - timing.expiry),
                state.takeUnforwarded(
                    before: now - (isQuiet ? timing.quiet : timing.forwarding),
                    atMost: Self.forwardedAtOnce
                ),
                state.queued(checkedBefore: self.chain.configuration.sequence, atMost: Self.recheckedAtOnce),
                state.isLeftOut(since: self.viewSince, at: now, timing)
            )
        }
        if !expired.isEmpty {
            self.isRecut = true
            self.answer(expired, Refusal.outcomeUnknown("no block was made of it in time").response)
        }
        if !late.isEmpty { self.network.spread(late) }
        if !stale.isEmpty { _ = self.recheck(stale) }
        return isLeftOut ? [.command(.complain(view: self.view))] : []
    }

    /// Envelopes that are given to the others again in one tick.
    private static let forwardedAtOnce = 100
    /// Envelopes that are checked again in one tick, after a change of the configuration.
    private static let recheckedAtOnce = 100

    // MARK: - What came of it

    /// Tells everybody about the blocks that became part of the chain, and catches up if this node lacks some.
    private func absorb(_ progress: BFTChain.Progress) throws {
        self.report(progress)
        for applied in progress.applied { try self.tell(applied) }
        if let behind = progress.behind { self.pull(through: behind) }
    }

    /// A block that is final and in this node's ledger: readers get it, and whoever waits for its envelopes is answered.
    func tell(_ applied: BFTChain.Applied) throws {
        self.lastProgress = self.channel.settings.clock()
        try self.publish(applied.block)
        if let configuration = applied.configuration { self.install(configuration) }
        let isOwn = self.settle(applied, proposed: self.proposedCount)
        // A leader whose own block it is has cut what is queued behind it already.
        if !isOwn { self.isRecut = true }
        self.proposedCount = nil
    }

    /// Notices who leads: another one, or another view of the same one.
    private func follow() {
        let leader = self.chain.details.leader
        guard leader != self.leader else { return }
        self.leader = leader
        self.channel.monitor.withLock { $0.follow(leader) }
    }

    private func report(_ progress: BFTChain.Progress) {
        let logger = self.channel.bftLogger
        for fault in progress.faults {
            logger.warning("a consenter is faulty", metadata: self.facts(["reason": "\(fault)"]))
        }
        for refusal in progress.refusals {
            logger.warning("a leader's block is refused", metadata: self.facts(["reason": "\(refusal)"]))
        }
        guard let view = progress.view, view != self.view else { return }
        let before = self.view
        self.view = view
        self.viewSince = self.channel.settings.clock()
        self.lastProgress = self.viewSince
        self.leader = nil
        self.isRecut = true
        logger.info(
            "BFT view changed: \(before) -> \(view) channel=\(self.channel.id) node=\(self.chain.id)",
            metadata: self.facts([
                "leader": "\(self.chain.details.leader ?? 0)", "height": "\(self.chain.height)",
            ])
        )
    }
}
