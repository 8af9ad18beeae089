import Consensus

extension BFTCluster {
    private static let loadEnds: Moment = 60.seconds

    /// Runs a cluster of 4, 6 or 7 nodes, up to f of them Byzantine, for 60 virtual seconds of random faults under
    /// load, then without other faults than the Byzantine nodes until everything that was submitted is ordered.
    package static func random(
        seed: UInt64,
        mutation: BFTMutation? = nil,
        trace: ((String) -> Void)? = nil
    ) -> RunReport {
        var dice = Dice(seed: seed &* 0x9e37_79b9 &+ 11)
        let voters = [4, 4, 6, 7][dice.below(4)]
        let faulty = (voters - 1) / 3
        let byzantine = dice.chance(250) ? dice.below(faulty + 1) : faulty
        let cluster = BFTCluster(
            seed: seed,
            voters: voters,
            byzantine: byzantine,
            mutation: mutation,
            trace: trace
        )
        cluster.trace("\(voters) nodes, of whom \(cluster.adversary.liars.sorted()) are Byzantine")
        for id in cluster.members { cluster.nodes[id]?.start() }
        cluster.scheduleClient()
        cluster.scheduleFault()
        if byzantine > 0 { cluster.scheduleAdversary() }
        cluster.run(until: Self.loadEnds)
        if cluster.violation == nil { cluster.healAndCheck() }
        return cluster.report
    }

    var report: RunReport {
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

    // MARK: - Load

    private func scheduleClient() {
        self.after(self.dice.between(40.milliseconds, 200.milliseconds)) { cluster in
            guard cluster.now < Self.loadEnds else { return }
            cluster.submit(cluster.newEnvelope())
            cluster.scheduleClient()
        }
    }

    func scheduleAdversary() {
        self.after(self.dice.between(10.milliseconds, 80.milliseconds)) { cluster in
            cluster.adversary.act(in: cluster)
            cluster.scheduleAdversary()
        }
    }

    // MARK: - Faults

    private func scheduleFault() {
        self.after(self.dice.between(500.milliseconds, 4.seconds)) { cluster in
            guard cluster.now < Self.loadEnds else { return }
            cluster.injectFault()
            cluster.scheduleFault()
        }
    }

    private func injectFault() {
        self.faults += 1
        guard let id = self.dice.pick(self.members.filter { self.nodes[$0]?.isUp == true }) else { return }
        guard let node = self.nodes[id] else { return }
        let length = self.dice.between(300.milliseconds, 5.seconds)
        switch self.dice.below(12) {
        case 0...3: self.crash(node, restartAfter: length)
        case 4: self.crashAll(restartWithin: length)
        case 5:
            let text = self.network.isolate(id, from: self.members, &self.dice)
            self.trace(text)
            self.after(length) { $0.network.mendAll() }
        case 6:
            // The Byzantine nodes reach both.
            let text = self.network.split(self.honest, &self.dice)
            self.trace(text)
            self.after(length) { $0.network.mendAll() }
        case 7:
            let text = self.network.degrade(mostLost: 400, &self.dice)
            self.trace(text)
            self.after(length) { $0.network.recover() }
        case 8:
            self.trace("disk of node \(id) is slow")
            node.diskLatency = self.dice.between(20.milliseconds, 600.milliseconds)
            self.after(length) { $0.nodes[id]?.diskLatency = 2.milliseconds }
        case 9:
            self.trace("node \(id) is stopped for a while")
            node.pausedUntil = self.now + length
            self.after(length) { $0.nodes[id]?.work() }
        case 10: node.tickLength = Self.baseTick * self.dice.between(600, 1_800) / 1_000
        default: self.changeVoters()
        }
    }

    /// The node dies at one of its next effects.
    private func crash(_ node: SimulatedBFTNode, restartAfter length: Moment) {
        node.crashCountdown = self.dice.below(12)
        let id = node.id
        self.after(length) { cluster in
            cluster.nodes[id]?.crash()
            cluster.trace("node \(id) starts")
            cluster.nodes[id]?.start()
        }
    }

    private func crashAll(restartWithin length: Moment) {
        self.trace("all nodes crash")
        for id in self.members where self.nodes[id]?.isUp == true {
            self.nodes[id]?.crash()
            self.after(self.dice.between(50.milliseconds, length)) { $0.nodes[id]?.start() }
        }
    }

    /// One node is added, or an honest one removed; as many as f must still be enough for the liars.
    private func changeVoters() {
        let waits = self.outstanding.contains { self.configurations[$0] != nil }
        var consenters = self.consenters
        guard !waits else { return }
        if consenters.count < 8, self.dice.chance(500) {
            consenters.append((self.members.max() ?? 0) + 1)
        } else if let gone = self.dice.pick(consenters.filter { !self.isByzantine($0) }) {
            consenters.removeAll { $0 == gone }
        }
        guard BFTVoters(consenters).faults >= self.adversary.liars.count, consenters.count >= 4 else {
            return
        }
        if consenters.count < self.consenters.count { self.counts.removed += 1 }
        self.trace("consenters shall be \(consenters)")
        self.submit(self.newEnvelope(consenters: consenters))
    }

    // MARK: - The end

    /// Ends all faults but the Byzantine nodes; then everything that was submitted must be ordered, all consenters
    /// must get it, and nothing that was acknowledged may be missing.
    func healAndCheck(within limit: Moment = 180.seconds) {
        self.trace("all faults end")
        self.network = SimulatedNetwork()
        for id in self.members {
            guard let node = self.nodes[id] else { continue }
            node.diskLatency = 2.milliseconds
            node.pausedUntil = 0
            node.crashCountdown = nil
            node.tickLength = Self.baseTick
            node.start()
            node.work()
        }
        self.submit(self.newEnvelope())
        let end = self.now + limit
        while self.now < end, self.violation == nil, !self.hasHealed {
            self.run(until: self.now + 200.milliseconds)
        }
        guard self.violation == nil else { return }
        guard self.hasHealed else {
            return self.invariants.violated(
                "no progress for \(limit / 1.seconds) s after all faults ended: \(self.outstanding.count) envelopes wait"
            )
        }
        for id in self.consenters where !self.isByzantine(id) {
            if let node = self.nodes[id] { self.invariants.checkAcknowledged(in: node.disk.ledger) }
        }
    }

    private var hasHealed: Bool {
        self.outstanding.isEmpty
            && self.consenters.allSatisfy { id in
                self.isByzantine(id)
                    || self.nodes[id].map { Int($0.tip.block.number) == self.commits } ?? false
            }
    }
}
