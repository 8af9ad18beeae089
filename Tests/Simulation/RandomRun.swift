import Consensus

/// What one seed did.
package struct RunReport: Sendable {
    package var seed: UInt64
    package var nodes: Int
    package var virtualTime: Moment
    package var faults: Int
    package var commits: Int
    package var acknowledged: Int
    package var messages: Int
    package var counts: Counts
    /// What went wrong, if anything.
    package var violation: String?

    package init(
        seed: UInt64,
        nodes: Int = 0,
        virtualTime: Moment = 0,
        faults: Int = 0,
        commits: Int = 0,
        acknowledged: Int = 0,
        messages: Int = 0,
        counts: Counts = Counts(),
        violation: String? = nil
    ) {
        self.seed = seed
        self.nodes = nodes
        self.virtualTime = virtualTime
        self.faults = faults
        self.commits = commits
        self.acknowledged = acknowledged
        self.messages = messages
        self.counts = counts
        self.violation = violation
    }

    /// Whether so much happened that the seed says something: 3 nodes, 60 virtual seconds, 10 faults, 100 commits.
    package var isCounted: Bool {
        self.nodes >= 3 && self.virtualTime >= 60.seconds && self.faults >= 10 && self.commits >= 100
    }

    package var summary: String {
        "seed \(self.seed): \(self.nodes) nodes, \(self.virtualTime / 1.seconds) virtual s, \(self.faults) faults, "
            + "\(self.commits) commits, \(self.acknowledged) envelopes acknowledged, \(self.messages) messages, "
            + self.counts.description
            + (self.violation.map { ": \($0)" } ?? "")
    }
}

/// How often what matters happened.
package struct Counts: Sendable, CustomStringConvertible {
    package var crashes = 0
    /// Writes of consensus that a crash lost.
    package var lostWrites = 0
    /// Blocks that a crash took from a ledger.
    package var lostBlocks = 0
    /// Consenters that lost their ledger, what they had promised, or both.
    package var lostDisks = 0
    package var leaders = 0
    /// Nodes that lacked more than the leader's log held.
    package var catchUps = 0
    package var added = 0
    package var removed = 0

    package init() {}

    package static func += (sum: inout Counts, other: Counts) {
        sum.crashes += other.crashes
        sum.lostWrites += other.lostWrites
        sum.lostBlocks += other.lostBlocks
        sum.lostDisks += other.lostDisks
        sum.leaders += other.leaders
        sum.catchUps += other.catchUps
        sum.added += other.added
        sum.removed += other.removed
    }

    package var description: String {
        "\(self.crashes) crashes that lost \(self.lostWrites) writes and \(self.lostBlocks) blocks, "
            + "\(self.lostDisks) disks lost, "
            + "\(self.leaders) leaders, \(self.catchUps) catch-ups, \(self.added) nodes added and \(self.removed) removed"
    }
}

extension Cluster {
    /// Runs a cluster for 60 virtual seconds of random faults under load, then without faults until it has healed.
    package static func random(
        seed: UInt64,
        mutation: Mutation? = nil,
        trace: ((String) -> Void)? = nil
    ) -> RunReport {
        var dice = Dice(seed: seed &* 0x9e37_79b9 &+ 7)
        let voters = [3, 3, 3, 4, 5, 5, 7][dice.below(7)]
        let cluster = Cluster(seed: seed, voters: voters, mutation: mutation, trace: trace)
        cluster.settings.maxInflightMessages = dice.between(1, 5)
        cluster.settings.maxMessageBytes = [1, 200, 1_000, 100_000][dice.below(4)]
        cluster.settings.maxInflightBlocks = dice.between(1, 5)
        cluster.settings.releaseBlocks = dice.between(1, 40)
        // One run in four is a storm.
        if dice.chance(250) { cluster.settings.calm = 50.milliseconds...1.seconds }
        cluster.startAll()
        cluster.scheduleClient()
        cluster.scheduleFault()
        cluster.run(until: 60.seconds)
        if cluster.violation == nil { cluster.healAndCheck() }
        return cluster.report
    }

    package var report: RunReport {
        RunReport(
            seed: self.seed,
            nodes: self.members.count,
            virtualTime: self.now,
            faults: self.faults,
            commits: self.commits,
            acknowledged: self.acknowledged,
            messages: self.messages,
            counts: self.counts,
            violation: self.violation
        )
    }

    package func startAll() { for id in self.members { self.nodes[id]?.start() } }

    // MARK: - Load

    private func scheduleClient() {
        let wait = self.dice.between(40.milliseconds, 200.milliseconds)
        self.schedule(
            .run { cluster in
                guard !cluster.isHealed else { return }
                cluster.submit()
                cluster.scheduleClient()
            },
            at: self.now + wait
        )
    }

    /// A client sends an envelope to some orderer.
    private func submit() {
        self.nextEnvelope += 1
        guard let id = self.dice.pick(self.members) else { return }
        self.nodes[id]?.take(self.nextEnvelope)
    }

    // MARK: - Faults

    private func scheduleFault() {
        let wait = self.dice.between(self.settings.calm.lowerBound, self.settings.calm.upperBound)
        self.schedule(
            .run { cluster in
                guard cluster.now < 60.seconds else { return }
                cluster.injectFault()
                cluster.scheduleFault()
            },
            at: self.now + wait
        )
    }

    private func injectFault() {
        self.faults += 1
        guard let id = self.dice.pick(self.members.filter { self.nodes[$0]?.isUp == true }) else { return }
        guard let node = self.nodes[id] else { return }
        let length = self.dice.between(300.milliseconds, 6.seconds)
        switch self.dice.below(13) {
        case 0...3: self.crash(node, restartAfter: length)
        case 4: self.crashLeader(restartAfter: length)
        case 5:
            let text = self.network.isolate(id, from: self.members, &self.dice)
            self.trace(text)
            self.after(length) { $0.network.mendAll() }
        case 6:
            let text = self.network.split(self.members, &self.dice)
            self.trace(text)
            self.after(length) { $0.network.mendAll() }
        case 7:
            let text = self.network.degrade(mostLost: 300, &self.dice)
            self.trace(text)
            self.after(length) { $0.network.recover() }
        case 8:
            self.trace("disk of node \(id) is slow")
            node.diskLatency = self.dice.between(20.milliseconds, 600.milliseconds)
            self.after(length) { $0.nodes[id]?.diskLatency = 2.milliseconds }
        case 9: self.pause(node, for: length)
        case 10:
            self.trace("clock of node \(id) changes")
            node.tickLength = Self.baseTick * self.dice.between(600, 1_800) / 1_000
        case 11: self.transfer()
        default: self.changeMembers()
        }
    }

    private func after(_ length: Moment, _ action: @escaping (Cluster) -> Void) {
        self.schedule(.run(action), at: self.now + length)
    }

    /// The node dies at one of its next effects.
    private func crash(_ node: SimulatedNode, restartAfter length: Moment) {
        self.trace("node \(node.id) will crash")
        if self.dice.chance(500) {
            node.crashesInWrite = true
        } else {
            node.crashCountdown = self.dice.below(12)
        }
        let id = node.id
        self.after(length) { cluster in
            cluster.nodes[id]?.crash()
            cluster.trace("node \(id) starts")
            cluster.nodes[id]?.start()
        }
    }

    private func crashLeader(restartAfter length: Moment) {
        guard let id = self.members.first(where: { self.nodes[$0]?.isLeader == true }) else { return }
        if let node = self.nodes[id] { self.crash(node, restartAfter: length) }
    }

    private func pause(_ node: SimulatedNode, for length: Moment) {
        self.trace("node \(node.id) is stopped for a while")
        node.pausedUntil = self.now + length
        let id = node.id
        self.after(length) { $0.nodes[id]?.work() }
    }

    private func transfer() {
        guard let id = self.members.first(where: { self.nodes[$0]?.isLeader == true }) else { return }
        guard let leader = self.nodes[id] else { return }
        guard let target = self.dice.pick(leader.consenters.filter { $0 != id }) else { return }
        self.trace("node \(id) hands over to node \(target)")
        leader.give(.command(.transferLeadership(to: target)))
    }

    private func changeMembers() {
        guard let id = self.members.first(where: { self.nodes[$0]?.isLeader == true }) else { return }
        guard let leader = self.nodes[id] else { return }
        let consenters = leader.consenters
        let adds = consenters.count < 3 || (consenters.count < 6 && self.dice.chance(500))
        if adds {
            let next = (self.members.max() ?? 0) + 1
            self.trace("add node \(next)")
            leader.take(.add(next))
        } else if let gone = self.dice.pick(consenters) {
            self.trace("remove node \(gone)")
            leader.take(.remove(gone))
        }
    }

    // MARK: - The end

    private var isHealed: Bool { self.now >= 60.seconds }

    /// Ends all faults; then a new envelope must be ordered, all consenters must get it, and nothing that was
    /// acknowledged may be missing.
    package func healAndCheck(within limit: Moment = 60.seconds) {
        self.network = SimulatedNetwork()
        for id in self.members {
            guard let node = self.nodes[id] else { continue }
            node.diskLatency = 2.milliseconds
            node.pausedUntil = 0
            node.crashCountdown = nil
            node.crashesInWrite = false
            node.tickLength = Self.baseTick
            // One that joins starts when it has pulled the blocks.
            if !node.disk.ledger.isEmpty { node.start() }
            node.work()
        }
        let end = self.now + limit
        // The block of a new envelope.
        let target = self.commits + 1
        while self.now < end, self.violation == nil {
            self.run(until: self.now + 200.milliseconds)
            for id in self.members { self.nodes[id]?.nudge() }
            if self.reached(target) { break }
            self.nextEnvelope += 1
            self.nodes[self.members.first { self.nodes[$0]?.isLeader == true } ?? 0]?.take(self.nextEnvelope)
        }
        guard self.violation == nil else { return }
        guard self.reached(target) else {
            return self.invariants.violated("no progress for \(limit / 1.seconds) s after all faults ended")
        }
    }

    /// Whether all consenters have so many blocks.
    private func reached(_ blocks: Int) -> Bool {
        let newest = self.members.compactMap { self.nodes[$0] }.max { $0.height < $1.height }
        guard let newest, newest.height > blocks else { return false }
        return newest.consenters.allSatisfy { self.nodes[$0].map { $0.isUp && $0.height > blocks } ?? false }
    }
}

extension SimulatedNode {
    /// What a node does that suspects its eviction: it looks at the chain, and halts if it is no consenter any more.
    func nudge() {
        guard self.isUp, self.cluster.isEvicted(self.id) else { return }
        self.crash()
        self.isHalted = true
    }
}

extension Cluster {
    func isEvicted(_ id: NodeID) -> Bool {
        let newest = self.members.compactMap { self.nodes[$0] }.max { $0.height < $1.height }
        return newest.map { !$0.consenters.contains(id) } ?? false
    }
}
