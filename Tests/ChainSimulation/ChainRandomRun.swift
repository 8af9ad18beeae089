import Channel
import Consensus
import FabricProtos
package import Simulation

@testable import Orderer

extension ChainCluster {
    private var calmAfterwards: Moment { self.settings.isBFT ? 180.seconds : 120.seconds }

    /// Runs an ordering service under random faults and load, for 60 virtual seconds or `load`, then without faults until
    /// everything that was sent is ordered, and every consenter and reader has it.
    ///
    /// Of BFT consenters up to f lie, also after the other faults have ended.
    package static func random(
        seed: UInt64,
        isBFT: Bool = false,
        mutation: ChainMutation? = nil,
        load: Moment = 60.seconds,
        trace: ((String) -> Void)? = nil
    ) -> RunReport {
        var dice = Dice(seed: seed &* 0x9e37_79b9 &+ 13)
        let voters = (isBFT ? [4, 4, 4, 5, 6, 7, 7] : [3, 3, 3, 4, 5, 5, 7])[dice.below(7)]
        var settings = ChainSettings()
        settings.isBFT = isBFT
        settings.load = load
        settings.maxInflightBlocks = dice.between(1, 5)
        settings.maxMessageCount = dice.between(1, 10)
        settings.keptEntryBytes = [1, 5_000, 20_000, 100_000][dice.below(4)]
        settings.unsyncedBlockBytes = [1, 3_000, 10_000, 40_000][dice.below(4)]
        settings.batchTimeout = dice.between(20, 500).milliseconds
        // In two runs of three clients send no more than it takes to have a hundred blocks whatever happens.
        if dice.chance(667) { settings.pause = 100.milliseconds...400.milliseconds }
        // One run in four is a storm.
        if dice.chance(250) { settings.calm = 50.milliseconds...1.seconds }
        var liars = isBFT ? self.liars(among: voters, &dice) : []
        // In one run of three a consenter may lose its disk that else would lie.
        if seed % 3 == 0, let one = liars.min() { liars.remove(one) }
        do {
            let cluster = try ChainCluster(
                seed: seed,
                voters: voters,
                liars: liars,
                settings: settings,
                mutation: mutation,
                trace: trace
            )
            for machine in cluster.members { cluster.nodes[machine]?.start() }
            cluster.scheduleClient()
            cluster.scheduleReaders()
            cluster.scheduleFault()
            if !liars.isEmpty {
                cluster.trace("machines \(liars.sorted()) lie")
                cluster.scheduleLies()
            }
            cluster.run(until: cluster.settings.load)
            if cluster.violation == nil { cluster.healAndCheck() }
            return cluster.report
        } catch {
            return RunReport(seed: seed, violation: "no cluster: \(error)")
        }
    }

    /// Mostly as many as there may be.
    private static func liars(among count: Int, _ dice: inout Dice) -> Set<UInt64> {
        let machines = (1...UInt64(count)).map { $0 }
        let most = BFTVoters(machines).faults
        var liars: Set<UInt64> = []
        let number = dice.chance(800) ? most : dice.below(most + 1)
        while liars.count < number { liars.insert(dice.pick(machines) ?? 1) }
        return liars
    }

    private var report: RunReport {
        var counts = self.counts
        counts.leaders = self.settings.isBFT ? Int(clamping: self.promises.view) : self.invariants.leaderCount
        return RunReport(
            seed: self.seed,
            nodes: self.members.count,
            virtualTime: self.now,
            faults: self.faults,
            commits: self.commits,
            acknowledged: self.acknowledged,
            messages: self.messages,
            counts: counts,
            violation: self.violation
        )
    }

    // MARK: - Load

    private func scheduleClient() {
        let pause = self.settings.pause
        self.after(self.dice.between(pause.lowerBound, pause.upperBound)) { cluster in
            guard cluster.now < cluster.settings.load else { return }
            cluster.submitNew()
            cluster.scheduleClient()
        }
    }

    private func scheduleReaders() {
        self.after(self.dice.between(100.milliseconds, 400.milliseconds)) { cluster in
            for index in cluster.readers.indices {
                var reader = cluster.readers[index]
                do {
                    try reader.read(cluster)
                } catch {
                    cluster.invariants.violated("a peer can't read: \(error)")
                }
                cluster.readers[index] = reader
            }
            for index in cluster.deliveries.indices {
                var delivery = cluster.deliveries[index]
                do {
                    try delivery.read(cluster)
                } catch {
                    cluster.invariants.violated("a peer can't read: \(error)")
                }
                cluster.deliveries[index] = delivery
            }
            cluster.scheduleReaders()
        }
    }

    private func scheduleLies() {
        self.after(self.dice.between(50.milliseconds, 600.milliseconds)) { cluster in
            cluster.adversary.act(in: cluster)
            cluster.scheduleLies()
        }
    }

    // MARK: - Faults

    private func scheduleFault() {
        self.after(self.dice.between(self.settings.calm.lowerBound, self.settings.calm.upperBound)) {
            cluster in
            guard cluster.now < cluster.settings.load else { return }
            cluster.injectFault()
            cluster.scheduleFault()
        }
    }

    private func injectFault() {
        guard let machine = self.dice.pick(self.members.filter { self.nodes[$0]?.isUp == true }),
            let node = self.nodes[machine]
        else { return }
        self.faults += 1
        let length = self.dice.between(300.milliseconds, 6.seconds)
        switch self.dice.below(16) {
        case 0...3: self.crash(node, restartAfter: length)
        case 4:
            let leader = self.members.compactMap { self.nodes[$0] }.first(where: \.isLeader)
            self.crash(leader ?? node, restartAfter: length)
        case 5:
            let text = self.network.isolate(machine, from: self.members, &self.dice)
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
            self.trace("disk of machine \(machine) is slow")
            node.syncLatency = self.dice.between(20.milliseconds, 600.milliseconds)
            self.after(length) { _ in node.syncLatency = 2.milliseconds }
        case 9:
            self.trace("machine \(machine) is stopped for a while")
            node.pausedUntil = self.now + length
        case 10:
            self.trace("clock of machine \(machine) changes")
            node.setRate(self.dice.between(600, 1_800))
        case 11:
            self.trace("disk of machine \(machine) is full")
            node.isDiskFull = true
            self.after(length) { _ in node.isDiskFull = false }
        case 12 where !self.settings.isBFT:
            self.trace("machine \(machine) serves forged blocks")
            node.forges = true
            self.after(length) { _ in node.forges = false }
        case 13: self.losePower(restartWithin: length)
        default: self.changeConsenters(through: node)
        }
    }

    /// The process dies at one of its next effects.
    private func crash(_ node: ChainNode, restartAfter length: Moment) {
        if self.lossDice.chance(self.settings.isBFT ? 500 : 150), self.mayLoseDisk(node),
            let loss = self.lossDice.pick(ChainDisk.Loss.allCases)
        {
            node.lose(loss)
            return self.after(length) { cluster in
                cluster.trace("machine \(node.machine) starts")
                node.start()
            }
        }
        self.trace("machine \(node.machine) will crash")
        node.losesPower = self.dice.chance(600)
        node.crashCountdown = self.dice.below(15)
        self.after(length) { cluster in
            node.crash()
            cluster.trace("machine \(node.machine) starts")
            node.start()
        }
    }

    /// Whether the others can do without what this consenter has: of Raft's at most a minority may have lost something,
    /// of BFT's at most f may have or lie.
    private func mayLoseDisk(_ node: ChainNode) -> Bool {
        guard self.consenters.contains(node.machine) else { return false }
        // A consenter that is about to come is one more that has nothing, and one that is about to go one fewer that has.
        let changing = self.mayChange ? 1 : 0
        guard !self.settings.isBFT else {
            let broken = self.consenters.count { self.isLiar($0) || self.nodes[$0]?.isWhole != true }
            return node.orders && !self.isLiar(node.machine)
                && broken + changing < BFTVoters(self.consenters).faults
        }
        guard node.consenter != nil else { return false }
        let others = self.consenters.filter { $0 != node.machine }.compactMap { self.nodes[$0] }
        guard others.count + 1 == self.consenters.count, others.count >= 2,
            others.allSatisfy({ $0.consenter.map { $0.chain.unfinishedChange == nil } ?? true })
        else { return false }
        let broken = others.count { !$0.isWhole }
        return broken + changing < others.count / 2
    }

    /// All machines lose power at once.
    private func losePower(restartWithin length: Moment) {
        self.trace("all machines lose power")
        for node in self.members.compactMap({ self.nodes[$0] }) where node.isUp {
            node.losesPower = true
            node.crash()
            self.after(self.dice.between(50.milliseconds, length)) { _ in node.start() }
        }
    }

    /// An administrator adds or removes a consenter, or changes the bounds of blocks.
    private func changeConsenters(through node: ChainNode) {
        guard let configuration = self.invariants.configuration else { return }
        let consenters = self.consenters
        let edit: ConfigurationEdit
        if consenters.count < 7, self.dice.chance(consenters.count < 3 ? 900 : 400) {
            // Rarely one that was removed is wanted back.
            let known = self.members.filter { !consenters.contains($0) }
            var next = (self.members.max() ?? 0) + 1
            if let old = self.dice.pick(known), self.dice.chance(300) || next > ChainIdentities.machines {
                next = old
            }
            guard next <= ChainIdentities.machines, self.mayOrder(consenters + [next]) else { return }
            self.trace("add machine \(next)")
            edit = self.identities.addition(of: next, isBFT: self.settings.isBFT)
        } else if self.dice.chance(600), consenters.count > 1, let gone = self.dice.pick(consenters),
            self.mayOrder(consenters.filter { $0 != gone })
        {
            self.trace("remove machine \(gone)")
            edit = .removeConsenter(ChainIdentities.address(of: gone))
        } else {
            var change = ConfigurationEdit.BatchChange()
            change.maxMessageCount = UInt32(self.dice.between(1, 10))
            edit = .setBatch(change)
        }
        do {
            self.clients.last += 1
            let update = try self.identities.update(configuration, edit, number: self.clients.last)
            self.submit(update: update, to: node)
        } catch {
            self.trace("no such update: \(error)")
        }
    }

    /// Whether these are enough that the liars among them do no harm, and those that have lost what they promised.
    private func mayOrder(_ consenters: [UInt64]) -> Bool {
        guard self.settings.isBFT else {
            // A leader that has heard lately from one that lost its disk since lets others be added, which are forgetful, too.
            let lacking = consenters.count { self.nodes[$0]?.lacksPromises == true }
            let new = consenters.count { self.nodes[$0] == nil }
            return lacking == 0 || lacking + new <= (consenters.count - 1) / 2
        }
        return consenters.count >= 4
            && consenters.count { self.isLiar($0) || self.nodes[$0]?.lacksPromises == true }
                <= BFTVoters(consenters).faults
    }

    // MARK: - The end

    /// Ends all faults but the liars; then everything that was sent must be ordered, all consenters and readers must have it, and
    /// nothing that was acknowledged may be missing.
    private func healAndCheck() {
        self.trace("all faults end")
        self.network = SimulatedNetwork()
        for node in self.members.compactMap({ self.nodes[$0] }) {
            node.syncLatency = 2.milliseconds
            node.pausedUntil = 0
            node.crashCountdown = nil
            node.isDiskFull = false
            node.forges = false
            node.setRate(1_000)
            node.start()
            node.wake(at: self.now)
        }
        self.submitNew()
        let end = self.now + self.calmAfterwards
        while self.now < end, self.violation == nil, !self.hasHealed {
            self.run(until: self.now + 200.milliseconds)
            // Who lost what it promised orders again some blocks later.
            if self.settings.isBFT, self.consenters.contains(where: { self.nodes[$0]?.lacksPromises == true })
            {
                self.submitNew()
            }
        }
        guard self.violation == nil else { return }
        self.invariants.checkAcknowledged()
        guard self.hasHealed else {
            let heights = self.members.compactMap { self.nodes[$0] }.map { "\($0.machine): \($0.height)" }
            return self.invariants.violated(
                "no progress for \(self.calmAfterwards / 1.seconds) s after all faults ended: "
                    + "\(self.clients.outstanding.count) envelopes wait, consenters \(self.consenters), heights "
                    + "\(heights.joined(separator: ", ")), readers \(self.readers.map(\.height)) "
                    + "\(self.deliveries.map(\.height))"
            )
        }
    }

    private var hasHealed: Bool {
        let height = BlockNumber(self.invariants.blocks.count)
        return self.clients.outstanding.isEmpty
            && self.consenters.allSatisfy {
                self.isLiar($0) || (self.nodes[$0]?.orders == true && self.nodes[$0]?.height == height)
            }
            && self.readers.allSatisfy { $0.height == height }
            && self.deliveries.allSatisfy { $0.height == height }
    }
}
