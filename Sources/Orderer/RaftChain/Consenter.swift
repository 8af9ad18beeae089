internal import Channel
internal import Consensus
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import Operations
internal import SwiftProtobuf

/// One of a channel's consenters at work: takes batches from the queue and proposes them while it leads, forwards them
/// to the leader while it doesn't, and tells everybody about the blocks that are decided.
///
/// The whole path of a block is ``order(_:)`` and ``absorb(_:)``. Belongs to the channel's thread.
final class Consenter {
    /// Why it doesn't go on.
    enum End {
        case stopped
        /// It is a consenter no longer.
        case removed
        /// The channel is one of BFT consenters from here on.
        case migrated
    }

    /// A batch that was proposed.
    struct InFlight {
        var position: UInt64
        var batch: [OrderingChannel.Waiting]
    }

    /// How long a consenter may know of no leader before it looks at the other orderers' newest blocks, and tells its
    /// readers that it can't go on.
    static let suspicion = Duration.seconds(10)
    /// How often Fabric's orderers try to hand over leadership.
    static let transferAttempts = 5

    let channel: OrderingChannel
    let chain: RaftChain
    let links: any ConsenterLinks
    /// Whether this node asks for votes at once, which ends when somebody leads.
    private var campaignsFirst: Bool
    /// The tick in which it asked last.
    private var campaignTick: Int?
    private var inFlight: Deque<InFlight> = []
    /// Where the newest block stands that was proposed here and is decided.
    private var ownDecision: UInt64 = 0
    /// A configuration that was proposed here and is decided, but not in force yet.
    private var decidedConfig: [OrderingChannel.Waiting]?
    var forwarded = ForwardedEnvelopes()
    /// Some of them were checked under an earlier configuration.
    var hasStaleForwarded = false
    /// Where the log ended when this node was elected; it makes blocks once everything through that is applied.
    private(set) var electedAt: UInt64?
    private var electedTerm: Term = 0
    var electedTick = 0
    var isCaughtUp = false
    private(set) var leader: NodeID?
    var nextTick: Duration
    var ticks = 0
    /// When this leader saw that the channel migrates.
    var migratedTick: Int?
    var suspicion: LeaderSuspicion
    var quorum: QuorumSuspicion
    var leaderlessSince: Duration
    /// An update that removes this leader, or its certificate: it waits for another leader.
    var transferring: (update: OrderingChannel.Waiting, attempts: Int)?
    var active: [NodeID] = []
    var toldActive = 0
    /// Envelopes wait for a leader that takes no more at present.
    var isHeldBack = false
    /// Blocks that no message of the others brings.
    var pulling: Pulling?
    /// The node is about to stop: this leader makes no blocks any more.
    var isHandingOver = false

    init(channel: OrderingChannel, chain: RaftChain, links: any ConsenterLinks) {
        self.channel = channel
        self.chain = chain
        self.links = links
        self.nextTick = channel.settings.clock()
        self.leaderlessSince = channel.settings.clock()
        self.suspicion = LeaderSuspicion(at: channel.settings.clock())
        self.quorum = QuorumSuspicion(at: channel.settings.clock())
        self.campaignsFirst =
            chain.isFounding
            && FirstCampaign.isOurs(
                id: chain.id,
                of: chain.membership.members.count,
                channel: channel.id
            )
    }

    /// Notices who leads as of now.
    func begin() throws {
        self.leaderlessSince = self.channel.settings.clock()
        self.tellWhoIsMissing()
        try self.follow()
    }

    /// Orders until the channel is stopped, or this node is no consenter any more.
    func serve() throws -> End {
        while true {
            let work = self.channel.monitor.wait { self.next(&$0) }
            if let end = try self.carryOut(work) { return end }
        }
    }

    /// Does what is next, and says whether that was the end.
    func carryOut(_ work: Work) throws -> End? {
        do {
            switch work {
            case .stop:
                try self.chain.close()
                self.answerAll("this node stops ordering the channel")
                return .stopped
            case .inputs(let inputs): try self.step(inputs)
            case .batch(let batch): try self.order(batch)
            case .forward(let envelopes, let leader): self.forward(envelopes, to: leader)
            case .ask(let nodes):
                let patience = LeaderSuspicion.patience(heartbeat: self.heartbeatInterval)
                for node in nodes { self.links.ask(node, patience: patience) }
            case .pull: try self.pullOn()
            case .handOver: try self.handOver()
            }
            if self.hasMigrated {
                try self.chain.close()
                self.answerAll("the channel's consensus type changes")
                return .migrated
            }
            guard self.chain.membership.member(self.chain.id) != nil || self.isNeededStill else {
                try self.chain.close()
                self.answerAll("this node is no consenter any more")
                return .removed
            }
            return nil
        } catch {
            // What became of these is known only once the stores have been opened again.
            self.answerAll("\(error)")
            throw error
        }
    }

    /// A consenter that is removed goes on until Raft has removed it, so that the others get what they need for that.
    private var isNeededStill: Bool {
        self.chain.unfinishedChange == .remove(self.chain.id)
            && (self.leader != nil
                || self.channel.settings.clock() - self.leaderlessSince < Self.suspicion)
    }

    // MARK: - What is next

    /// What the channel's thread does without waiting in between.
    enum Work {
        case stop
        case inputs([Raft.Input])
        case batch([OrderingChannel.Waiting])
        case forward([OrderingChannel.Waiting], to: NodeID)
        /// These say nothing: are their processes there?
        case ask([NodeID])
        /// Blocks that this node lacks have come in, or don't.
        case pull
        /// The node is about to stop.
        case handOver
    }

    /// What is to be done now, or how long nothing is unless something comes in.
    func next(_ state: inout OrderingChannel.State) -> Monitor<OrderingChannel.State>.Wait<Work> {
        state.sleepsUntil = nil
        if state.isStopped { return .done(.stop) }
        let now = self.channel.settings.clock()
        if let inputs = self.inputs(&state, now) { return .done(.inputs(inputs)) }
        if self.suspicion.isNew {
            self.suspicion.isNew = false
            self.nextTick = now
        }
        if let work = self.leave(&state) { return .done(work) }
        var moment = self.ticking ? self.nextTick : nil
        if let pulling {
            guard let look = pulling.blocks.nextLook(at: now) else { return .done(.pull) }
            moment = [moment, look].compactMap(\.self).min()
        }
        if let leader = self.leader, leader != self.chain.id {
            let question = self.suspicion.nextQuestion(heartbeat: self.heartbeatInterval)
            if now >= question {
                self.suspicion.ask(at: now)
                return .done(.ask([leader]))
            }
            moment = [moment, question].compactMap(\.self).min()
        } else if self.leader == self.chain.id, let question = self.nextQuestion {
            if now >= question {
                let nodes = self.quorum.ask(others: self.others, heartbeat: self.heartbeatInterval, at: now)
                return .done(.ask(nodes))
            }
            moment = [moment, question].compactMap(\.self).min()
        }
        if self.isReady {
            switch state.cutter.decision(at: now, hasInFlight: !self.inFlight.isEmpty) {
            case .cut(let count): return .done(.batch(self.take(count, &state, now)))
            case .wait(until: let due):
                moment = [moment, due].compactMap(\.self).min()
            }
        } else if let leader = self.leader, leader != self.chain.id, !self.isHeldBack,
            !state.waiting.isEmpty
        {
            return .done(.forward(self.takeAll(&state, now), to: leader))
        }
        state.sleepsUntil = .some(moment)
        state.inFlight = self.inFlight.count
        return .again(moment.map { $0 - now })
    }

    /// What the engine must be told now.
    private func inputs(_ state: inout OrderingChannel.State, _ now: Duration) -> [Raft.Input]? {
        let isDue = self.ticking && now >= self.nextTick
        let silent = state.silent
        state.silent = []
        self.unanswered(silent, at: now)
        guard isDue || !state.inbox.isEmpty || !state.lostSubmits.isEmpty else { return nil }
        var inputs = state.inbox
        state.inbox = []
        if let leader, leader != self.chain.id { self.suspicion.heard(inputs, leader: leader, at: now) }
        if self.leader == self.chain.id { self.quorum.heard(inputs, at: now) }
        if isDue {
            inputs.append(.tick)
            // A thread that was held up doesn't make up for the ticks that it missed.
            let usual = self.tickInterval
            let interval =
                self.leader == self.chain.id
                ? self.quorum.tickInterval(usual, at: now) : self.suspicion.tickInterval(usual, at: now)
            self.nextTick = max(self.nextTick + interval, now + interval / 2)
            self.ticks += 1
        }
        return inputs
    }

    private var tickInterval: Duration {
        self.channel.settings.tickInterval ?? self.chain.consenters.options.tickInterval
    }

    var heartbeatInterval: Duration {
        self.tickInterval * self.chain.consenters.options.heartbeatTick
    }

    /// Time matters only among several.
    private var ticking: Bool {
        self.chain.membership.members.count > 1 || self.chain.unfinishedChange != nil
    }

    private func take(
        _ count: Int,
        _ state: inout OrderingChannel.State,
        _ now: Duration
    ) -> [OrderingChannel.Waiting] {
        state.cutter.took(at: now)
        let batch = Array(state.waiting.prefix(count))
        state.waiting.removeFirst(min(count, state.waiting.count))
        state.waitingBytes -= batch.reduce(0) { $0 + $1.bytes.count }
        if let first = batch.first {
            self.channel.settings.metrics.histogram(.blockFillDuration, self.channel.id.description)
                .record(now - first.arrival)
        }
        return batch
    }

    private func takeAll(_ state: inout OrderingChannel.State, _ now: Duration) -> [OrderingChannel.Waiting] {
        let waiting = Array(state.waiting)
        state.forwarded += waiting.count
        state.forwardedBytes += state.waitingBytes
        state.waiting = []
        state.waitingBytes = 0
        state.cutter.rebound(state.cutter.bounds, queue: [], at: now)
        return waiting
    }

    // MARK: - Leading

    /// Whether this node leads and may propose a block now.
    private var isReady: Bool {
        guard self.electedAt != nil, self.transferring == nil, self.chain.unfinishedChange == nil,
            !self.isHandingOver, !self.chain.isMigrated
        else { return false }
        let hasConfig = self.inFlight.contains { $0.batch.contains(where: \.isConfig) }
        return !hasConfig && self.chain.inFlight < self.chain.consenters.options.maxInflightBlocks
            && self.isCaughtUp
    }

    /// Whether blocks that were proposed here are not decided yet.
    var hasInFlight: Bool { !self.inFlight.isEmpty }

    /// Makes a block of a batch: check again what the configuration outran, and propose.
    private func order(_ taken: [OrderingChannel.Waiting]) throws {
        let batch = self.recheck(taken)
        guard let first = batch.first else { return }
        if first.isConfig, self.mustAbdicate(for: first) {
            self.transferring = (first, 0)
            return try self.abdicate()
        }
        let settings = self.channel.settings
        settings.metrics
            .counter(
                first.isConfig ? .raftConfigProposals : .raftNormalProposals,
                self.channel.id.description
            )
            .increment(by: Int64(batch.count))
        let block = self.chain.nextBlock(batch.map(\.bytes))
        var isProposed = false
        let progress = try self.chain.propose(
            block,
            accepted: { position in
                isProposed = true
                self.inFlight.append(InFlight(position: position, batch: batch))
            },
            decided: { self.decided($0) }
        )
        if !isProposed {
            settings.metrics.counter(.raftProposalFailures, self.channel.id.description)
                .increment(by: Int64(batch.count))
            self.answer(batch, Refusal.notOrdered("this node leads no longer").response)
        }
        try self.absorb(progress)
        try self.follow()
    }

    /// Feeds the engine, and acts on what it says.
    private func step(_ inputs: [Raft.Input]) throws {
        var inputs = inputs
        if self.campaignsFirst, self.leader == nil, self.campaignTick != self.ticks,
            self.ticks % max(1, 2 * self.chain.consenters.options.heartbeatTick) == 0
        {
            self.campaignTick = self.ticks
            inputs.append(.command(.campaign))
        }
        try self.absorb(self.chain.take(inputs) { self.decided($0) })
        try self.follow()
        try self.proposeChange()
        if self.transferring != nil { try self.abdicate() }
        self.checkForwarded()
        try self.suspectEviction()
    }

    /// A block that this leader proposed is final and durable on a quorum: its clients are told.
    ///
    /// A configuration is answered later, so that whoever gets SUCCESS finds it in force.
    func decided(_ position: UInt64) {
        while let first = self.inFlight.first, first.position < position { self.inFlight.removeFirst() }
        guard let first = self.inFlight.first, first.position == position else { return }
        self.inFlight.removeFirst()
        self.ownDecision = position
        if first.batch.contains(where: \.isConfig) {
            self.decidedConfig = first.batch
        } else {
            self.settle(first.batch)
        }
    }

    /// Tells everybody about the blocks that became part of the chain, and catches up if this node lacks some.
    func absorb(_ progress: RaftChain.Progress) throws {
        if progress.isRecollected {
            self.channel.settings.logger.notice(
                "this consenter knows again what it may have promised the others, and votes",
                metadata: self.facts(["term": "\(self.chain.details.term)"])
            )
        }
        for reason in progress.refused {
            self.channel.settings.logger.warning(
                "a consenter's message makes no sense",
                metadata: self.facts(["reason": "\(reason)"])
            )
        }
        for applied in progress.applied {
            try self.publish(applied.block)
            if let configuration = applied.configuration { self.install(configuration) }
            // An update may have gone to another leader, which gave it back.
            if applied.position != self.ownDecision || applied.configuration != nil {
                self.settle(block: applied)
            }
            if applied.configuration != nil, let batch = self.decidedConfig {
                self.decidedConfig = nil
                self.settle(batch)
            }
            if applied.configuration != nil {
                self.hasStaleForwarded = true
                self.recheckForwarded()
            }
        }
        if !progress.applied.isEmpty {
            self.channel.settings.metrics.gauge(.raftSnapshotBlockNumber, self.channel.id.description)
                .set(Int64(clamping: self.chain.snapshotNumber))
        }
        if let snapshot = progress.catchUp { try self.catchUp(through: snapshot) }
    }

    private func recheck(_ batch: [OrderingChannel.Waiting]) -> [OrderingChannel.Waiting] {
        let configuration = self.chain.configuration
        guard batch.contains(where: { $0.sequence != configuration.sequence }) else { return batch }
        return batch.compactMap { waiting in
            guard waiting.sequence != configuration.sequence else { return waiting }
            do throws(Refusal) {
                return try self.channel.recheck(waiting, under: configuration)
            } catch {
                self.answer([waiting], error.response)
                return nil
            }
        }
    }

    /// Whoever waits for an answer of this chain gets one; what is queued is not this chain's yet.
    private func answerAll(_ reason: String) {
        var unknown = self.inFlight.flatMap(\.batch) + self.forwarded.takeAll() + (self.decidedConfig ?? [])
        if let transferring { unknown.append(transferring.update) }
        self.inFlight = []
        self.decidedConfig = nil
        self.transferring = nil
        self.answer(unknown, Refusal.outcomeUnknown(reason).response)
    }

    // MARK: - Who leads

    /// Notices that leadership changed, and tells those whom it concerns.
    func follow() throws {
        let details = self.chain.details
        let isLeader = details.role == .leader
        if self.electedAt != nil, !isLeader || details.term != self.electedTerm {
            self.electedAt = nil
            self.isCaughtUp = false
            self.giveUpProposals()
        }
        if isLeader, self.electedAt == nil {
            self.chain.forgetProposals()
            self.electedAt = details.last.index
            self.electedTerm = details.term
            self.electedTick = self.ticks
        }
        if let electedAt, !self.isCaughtUp, details.applied >= electedAt {
            self.isCaughtUp = true
            self.dropOrdered()
        }
        if isLeader { self.noteActive(details.activeNodes) }
        if self.chain.unfinishedChange == nil || details.unheard != nil {
            self.links.configure(self.chain.membership, own: self.chain.id)
            self.channel.monitor.withLock { $0.standing.departing = nil }
        }
        guard details.leader != self.leader else { return }
        let before = self.leader
        self.leader = details.leader
        if details.leader != nil {
            if self.pulling?.snapshot == nil { self.pulling = nil }
            self.suspicion = LeaderSuspicion(at: self.channel.settings.clock())
            self.quorum = QuorumSuspicion(at: self.channel.settings.clock())
            self.campaignsFirst = false
        }
        self.isHeldBack = false
        // A leader that hands over passes updates on: those are waited for.
        self.answer(self.forwarded.takeNormal(), Refusal.outcomeUnknown("the leader changed").response)
        self.leaderlessSince = self.channel.settings.clock()
        self.tell(leader: details.leader)
        self.channel.settings.metrics.counter(.raftLeaderChanges, self.channel.id.description).increment()
        self.channel.settings.logger.info(
            "Raft leader changed: \(before ?? 0) -> \(details.leader ?? 0) channel=\(self.channel.id) node=\(self.chain.id)",
            metadata: ["term": "\(details.term)", "height": "\(self.chain.log.height)"]
        )
        if case .some(let transferring) = self.transferring, let leader = details.leader,
            leader != self.chain.id
        {
            self.transferring = nil
            self.channel.monitor.withLock { state in
                state.forwarded += 1
                state.forwardedBytes += transferring.update.bytes.count
            }
            self.forward([transferring.update], to: leader)
        }
    }

    /// What was proposed may still be decided, by the next leader.
    private func giveUpProposals() {
        let batches = self.inFlight.flatMap(\.batch)
        self.inFlight = []
        self.chain.forgetProposals()
        self.answer(batches, Refusal.outcomeUnknown("this node leads no longer").response)
    }

    /// Shows clients and readers who leads; without a leader those who wait are told.
    private func tell(leader: NodeID?) {
        let waiting: [OrderingChannel.Waiting] = self.channel.monitor.withLock { state in
            state.standing.leader = leader
            if state.health != .stopped { state.health = leader == nil ? .leaderless : .serving }
            guard leader == nil else { return [] }
            state.standing.active = []
            let waiting = Array(state.waiting)
            state.waiting = []
            state.waitingBytes = 0
            state.cutter.rebound(state.cutter.bounds, queue: [], at: self.channel.settings.clock())
            return waiting
        }
        if leader != nil { self.channel.feed.report(failure: nil) }
        let reason = "channel \(self.channel.id) has no leader at present"
        self.answer(waiting, Refusal.notOrdered(reason).response)
    }
}
