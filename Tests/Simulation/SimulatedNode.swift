import Consensus

/// One orderer: the real engine, and a model of the chain that drives it.
///
/// It follows the contract in ``ConsensusEngine``: what waits is stepped together and written once, early messages leave
/// while the disk works, and everything else happens when the write is durable. A node that ``isEager`` does not wait:
/// it steps each input at once and has several writes on their way.
final class SimulatedNode {
    let id: NodeID
    unowned let cluster: Cluster
    var disk: SimulatedDisk
    private(set) var raft: Raft?
    /// Counts the lives of this node, so that what was meant for an earlier one is dropped.
    private(set) var life = 0
    let isEager: Bool
    let mutation: Mutation?

    private var inbox: [Raft.Input] = []
    private var pipeline: [Raft.Effects] = []
    private var durable: UInt64 = 0
    private var isWorking = false
    /// When the disk will be done with everything that it was given.
    private var diskBusyUntil: Moment = 0
    /// The log as it will be when all writes are done.
    private var mirror: StoredLog
    private var checkedCommit: UInt64 = 0
    private var isKnownLeader: Term = 0

    var ordering = Ordering()
    var unsyncedBlocks = 0

    var diskLatency: Moment = 2_000
    /// How long a tick takes on this node's clock.
    var tickLength: Moment
    var pausedUntil: Moment = 0
    /// Holds from the next start on.
    var maxMessageBytes: Int?
    /// Dies after so many more effects.
    var crashCountdown: Int?
    /// Dies while its next write is on its way.
    var crashesInWrite = false
    /// Was removed, and knows it.
    var isHalted = false

    init(
        id: NodeID,
        cluster: Cluster,
        disk: SimulatedDisk,
        isEager: Bool,
        tickLength: Moment,
        mutation: Mutation?
    ) {
        self.id = id
        self.cluster = cluster
        self.disk = disk
        self.mirror = disk.log
        self.isEager = isEager
        self.tickLength = tickLength
        self.mutation = mutation
    }

    var isUp: Bool { self.raft != nil }
    var height: UInt64 { UInt64(self.disk.ledger.count) }
    /// Whether effects wait for a write.
    var awaitsDisk: Bool { !self.pipeline.isEmpty }
    var term: Term { self.raft?.hardState.term ?? self.disk.log.hardState.term }
    var isLeader: Bool { self.raft?.status.isLeader == true }

    /// The consenters of the newest config block.
    var consenters: [NodeID] {
        self.disk.ledger.last { $0.block.isConfig }?.block.consenters ?? []
    }

    // MARK: - Life

    func start() {
        guard !self.isUp, !self.isHalted else { return }
        self.life += 1
        self.mirror = self.disk.log
        self.checkedCommit = self.disk.log.start.position.index
        self.durable = 0
        self.ordering = Ordering()
        self.unsyncedBlocks = self.disk.ledger.count - self.disk.syncedBlocks
        do {
            self.raft = try Raft(
                id: self.id,
                configuration: RaftConfiguration(
                    electionTicks: 10,
                    heartbeatTicks: 2,
                    maxInflightMessages: self.cluster.settings.maxInflightMessages,
                    maxMessageBytes: self.maxMessageBytes ?? self.cluster.settings.maxMessageBytes,
                    seed: self.cluster.dice.number()
                ),
                restoring: self.disk.log.state,
                delivered: self.disk.ledger.last?.position ?? 0
            )
        } catch {
            self.cluster.invariants.violated("node \(self.id) can't start: \(error.reason)")
        }
        self.cluster.scheduleTick(self)
    }

    func crash() {
        guard self.isUp else { return }
        self.raft = nil
        self.inbox = []
        self.pipeline = []
        self.crashCountdown = nil
        self.crashesInWrite = false
        self.isWorking = false
        self.diskBusyUntil = 0
        let lost = self.disk.crash(&self.cluster.dice, self.mutation)
        self.cluster.counts.crashes += 1
        self.cluster.counts.lostWrites += lost.writes
        self.cluster.counts.lostBlocks += lost.blocks
    }

    /// Called before each effect; returns whether the node still lives.
    private func lives() -> Bool {
        if let countdown = self.crashCountdown {
            guard countdown > 0 else {
                self.crash()
                return false
            }
            self.crashCountdown = countdown - 1
        }
        return self.isUp && self.cluster.invariants.violation == nil
    }

    // MARK: - The loop

    func give(_ input: Raft.Input) {
        guard self.isUp else { return }
        self.inbox.append(input)
        self.work()
    }

    func work() {
        guard !self.isWorking, self.pausedUntil <= self.cluster.now else { return }
        self.isWorking = true
        defer { self.isWorking = false }
        while self.isUp, self.isEager || self.pipeline.isEmpty {
            self.offerWork()
            guard !self.inbox.isEmpty else { return }
            var inputs = self.inbox
            self.inbox = []
            if self.isEager, inputs.count > 1 {
                self.inbox = Array(inputs.dropFirst())
                inputs = [inputs[0]]
            }
            var merged: Raft.Effects?
            for input in inputs {
                guard let effects = self.step(input) else { return }
                if merged == nil { merged = effects } else { merged?.merge(effects) }
            }
            guard let merged else { return }
            self.carryOut(merged)
        }
    }

    private func step(_ input: Raft.Input) -> Raft.Effects? {
        let input = self.mutated(input)
        guard let effects = self.raft?.step(input) else { return nil }
        if let contradiction = effects.contradiction {
            self.cluster.invariants.violated("node \(self.id) stops: \(contradiction)")
            return nil
        }
        self.check(effects)
        if let answer = effects.proposal { self.answered(answer, to: input) }
        guard self.mutation != nil else { return effects }
        return self.mutated(effects)
    }

    /// Early messages, then the write; the rest when it is durable.
    private func carryOut(_ effects: Raft.Effects) {
        for message in effects.earlyMessages {
            guard self.lives() else { return }
            self.send(message)
        }
        guard self.lives() else { return }
        self.pipeline.append(effects)
        if let write = effects.write {
            self.disk.begin(write)
            let latency = self.cluster.dice.between(self.diskLatency / 2, self.diskLatency * 2)
            self.diskBusyUntil = max(self.diskBusyUntil, self.cluster.now) + latency
            self.cluster.schedule(.written(self.id, life: self.life), at: self.diskBusyUntil)
            if self.crashesInWrite { self.cluster.scheduleCrash(self, before: self.diskBusyUntil) }
            if self.mutation == .acknowledgeBeforeSync {
                self.durable = write.number
                self.inbox.append(.stored(write.number))
            }
        }
        self.release()
    }

    /// The disk is done with the oldest write.
    func written() {
        guard let number = self.disk.finish(self.mutation) else { return }
        guard self.lives() else { return }
        if number > self.durable {
            self.durable = number
            self.inbox.append(.stored(number))
        }
        self.release()
        self.work()
    }

    /// Carries out what waited for writes that are durable now.
    private func release() {
        while let effects = self.pipeline.first, effects.write.map({ $0.number <= self.durable }) ?? true {
            self.pipeline.removeFirst()
            for decision in effects.decisions {
                guard self.lives() else { return }
                self.decided(decision)
            }
            for event in effects.events {
                guard self.lives() else { return }
                self.happened(event)
            }
            for message in effects.messages {
                guard self.lives() else { return }
                self.send(message)
            }
        }
    }

    // MARK: - What is checked

    private func check(_ effects: Raft.Effects) {
        guard let raft = self.raft else { return }
        if let write = effects.write {
            if let first = write.entries.first {
                let previous = first.position.index - 1
                var term = self.mirror.entry(at: previous)?.position.term
                if previous == self.mirror.start.position.index { term = self.mirror.start.position.term }
                self.cluster.invariants.writes(self.id, write.entries, after: term ?? 0)
            }
            self.mirror.carryOut(write)
        }
        while self.checkedCommit < raft.hardState.commit {
            self.checkedCommit += 1
            if let entry = self.mirror.entry(at: self.checkedCommit) {
                self.cluster.invariants.commits(self.id, entry)
            }
        }
        if raft.status.isLeader, self.isKnownLeader != raft.hardState.term {
            self.isKnownLeader = raft.hardState.term
            self.cluster.invariants.leads(self.id, term: raft.hardState.term)
            self.ordering = Ordering(waitsFor: raft.details.last.index)
            self.cluster.counts.leaders += 1
            self.cluster.trace("node \(self.id) leads term \(raft.hardState.term)")
        }
    }

    private func send(_ message: RaftMessage) {
        var message = message
        switch message.content {
        case .voteReply(granted: true):
            self.cluster.invariants.votes(self.id, for: message.to, term: message.term)
        case .vote: self.cluster.invariants.votes(self.id, for: self.id, term: message.term)
        case .snapshot(var snapshot):
            // What the driver of the real node does: the newest block stands for all before it.
            snapshot.data = self.disk.ledger.last?.block.bytes ?? []
            message.content = .snapshot(snapshot)
        default: break
        }
        let isPreVote: Bool
        switch message.content {
        case .preVote, .preVoteReply: isPreVote = true
        default: isPreVote = false
        }
        if !isPreVote { self.cluster.invariants.speaks(self.id, term: message.term) }
        self.cluster.send(message)
    }

    // MARK: - Mutations

    private func mutated(_ input: Raft.Input) -> Raft.Input {
        guard let mutation = self.mutation, case .received(var message) = input else { return input }
        switch (mutation, message.content) {
        case (.ignoreCandidatesLog, .vote(_, let isTransfer)):
            let last = RaftPosition(index: .max, term: .max)
            message.content = .vote(last: last, isTransfer: isTransfer)
        case (.ignoreCandidatesLog, .preVote):
            message.content = .preVote(last: RaftPosition(index: .max, term: .max))
        case (.ignorePreviousEntry, .append(var append)):
            guard let own = self.mirror.entry(at: append.previous.index)?.position else { return input }
            guard own.term <= append.entries.first?.position.term ?? 0 else { return input }
            append.previous = own
            message.content = .append(append)
        default: return input
        }
        return .received(message)
    }

    private func mutated(_ effects: Raft.Effects) -> Raft.Effects {
        var effects = effects
        switch self.mutation {
        case .smallQuorum: self.forgeReply(to: effects)
        case .commitEarlierTerms, .commitByHeartbeat:
            effects.earlyMessages = effects.earlyMessages.map { self.committingMore($0) }
        default: break
        }
        return effects
    }

    /// The first other voter always agrees, so that one real vote fewer is needed.
    private func forgeReply(to effects: Raft.Effects) {
        guard let other = self.raft?.voters.first(where: { $0 != self.id }) else { return }
        for message in effects.messages + effects.earlyMessages where message.to == other {
            var reply = RaftMessage(from: other, to: self.id, term: message.term, content: .heartbeatReply)
            switch message.content {
            case .preVote: reply.content = .preVoteReply(granted: true)
            case .vote: reply.content = .voteReply(granted: true)
            case .append(let append):
                guard let last = append.entries.last else { continue }
                reply.content = .appended(index: last.position.index)
            default: continue
            }
            self.inbox.append(.received(reply))
        }
    }

    private func committingMore(_ message: RaftMessage) -> RaftMessage {
        guard let raft = self.raft else { return message }
        var message = message
        switch (self.mutation, message.content) {
        case (.commitByHeartbeat, .heartbeat):
            message.content = .heartbeat(commit: raft.hardState.commit)
        case (.commitEarlierTerms, .heartbeat(let commit)):
            let followers = raft.details.followers
            let held = raft.voters.map { followers[$0]?.match ?? self.disk.log.lastIndex }.sorted()
            let match = followers[message.to]?.match ?? 0
            message.content = .heartbeat(commit: max(commit, min(match, held[(held.count - 1) / 2])))
        default: break
        }
        return message
    }
}

extension SimulatedNode {
    /// Puts an input behind those that wait, to be stepped in the same round.
    func queue(_ input: Raft.Input) {
        guard self.isUp else { return }
        self.inbox.append(input)
    }
}
