import Channel
import Consensus
import FabricProtos
import Foundation
import KeyValueStore
import Ledger
import Logging
import Simulation

@testable import Orderer

/// One orderer of a simulated cluster: the real channel, with its consenter or follower, on a virtual machine.
final class ChainNode: @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.

    /// What one life of the process has.
    struct Process {
        var channel: OrderingChannel
        var thread: ChannelThread
        var channels: OrderingChannels
        var service: ClusterService
        var log: BlockLog?
        var consenter: Consenter?
        var bft: BFTConsenter?
        var follower: Follower?
        /// What the follower copies for, if its consenter lost something.
        var loss: LostStore?
        /// How a follower gets the blocks of a BFT channel.
        var puller: ClusterPuller?
    }

    let machine: UInt64
    unowned let cluster: ChainCluster
    let disk = ChainDisk()
    /// The block that it joined the channel with.
    let join: Common_Block
    private var joinConfiguration: ChannelConfiguration?
    private(set) var process: Process?
    /// Counts the lives of the process, so that what was meant for an earlier one is dropped.
    private(set) var life = 0
    /// The process died while it worked, and what it still does has no effect.
    private var isDying = false
    /// Dies at one of its next effects.
    var crashCountdown: Int?
    /// The life that ended with the loss of a disk: what was sent to it, and by it, is lost as well.
    var lostLife = 0
    /// How many blocks it had then.
    var lostHeight: BlockNumber = 0
    /// Whether it has all that it ever had, and knew what it had promised when it last worked.
    var isWhole = false
    /// Whether it lost what it had promised, and has not begun to order again.
    var lacksPromises = false
    /// Whether a crash takes what was not synced; a process that is killed loses nothing.
    var losesPower = true
    var isDiskFull = false
    var syncLatency: Moment = 2.milliseconds
    var pausedUntil: Moment = 0
    /// Serves blocks that nobody has signed to whoever pulls from it.
    var forges = false
    /// Serves headers, and not the blocks.
    var withholds = false

    /// How long the present piece of work has taken already.
    private(set) var elapsed: Moment = 0
    private var busyUntil: Moment = 0
    private var wakesAt: Moment?
    /// Microseconds of its clock in a thousand of virtual time.
    private var rate = 1_000
    private var clockStart: (virtual: Moment, own: Int) = (0, 0)
    /// How many of its blocks the invariants have seen.
    private var checked: BlockNumber = 0

    init(machine: UInt64, cluster: ChainCluster, join: Common_Block) {
        self.machine = machine
        self.cluster = cluster
        self.join = join
        self.disk.forgetsSync = cluster.mutation == .acknowledgeBeforeSync
        self.disk.forgetsLoss = cluster.mutation == .forgetLoss
        self.disk.fate = { [unowned self] isSync in self.fate(isSync) }
        self.disk.wroteConsensus = { [unowned self] in self.wrote($0, isDurable: $1) }
    }

    var isUp: Bool { self.process != nil }
    /// Whether what it does has an effect.
    var lives: Bool { self.isUp && !self.isDying }
    var channel: OrderingChannel? { self.process?.channel }
    var consenter: Consenter? { self.process?.consenter }
    var height: BlockNumber { self.process?.log?.height ?? 0 }
    /// Whether it is a consenter at work.
    var orders: Bool { self.process?.consenter != nil || self.process?.bft != nil }
    /// Whether what it gets of other orderers comes in streams that go on, while it does other things.
    var streamsBlocks: Bool { self.process?.bft != nil || self.process?.puller != nil }
    var isLeader: Bool {
        if let bft = self.process?.bft { return bft.chain.details.leader == bft.chain.id }
        return self.consenter?.electedAt != nil
    }
    var tlsKey: ChainIdentities.Machine { self.cluster.identities.machines[Int(self.machine) - 1] }

    // MARK: - Time

    private var virtualNow: Moment { self.cluster.now + self.elapsed }

    private var ownTime: Int {
        self.clockStart.own + (self.virtualNow - self.clockStart.virtual) * self.rate / 1_000
    }

    /// Its clock goes at another rate from now on.
    func setRate(_ rate: Int) {
        self.clockStart = (self.virtualNow, self.ownTime)
        self.rate = rate
    }

    /// Looks for work at `moment`, or when it can.
    func wake(at moment: Moment) {
        let moment = max(moment, self.busyUntil, self.pausedUntil, self.cluster.now)
        guard self.wakesAt.map({ $0 > moment }) ?? true else { return }
        self.wakesAt = moment
        self.cluster.schedule(.work(self.machine, life: self.life), at: moment)
    }

    /// Whether it still looks for work at `moment`, and has not found an earlier one since.
    ///
    /// Were each forgotten moment kept, it would beget others for ever.
    func wakes(at moment: Moment) -> Bool { self.wakesAt == moment }

    // MARK: - Effects

    /// Called before each effect; whether the process still lives.
    func acts() -> Bool {
        guard self.isUp, !self.isDying else { return false }
        if let countdown = self.crashCountdown {
            guard countdown > 0 else {
                self.isDying = true
                return false
            }
            self.crashCountdown = countdown - 1
        }
        return true
    }

    private func fate(_ isSync: Bool) -> ChainDisk.Fate {
        guard self.acts() else { return .death(reachesDisk: self.cluster.dice.chance(500)) }
        if self.isDiskFull { return .full }
        if isSync { self.elapsed += self.cluster.dice.between(self.syncLatency / 2, self.syncLatency * 2) }
        return .done
    }

    /// The moment of an effect of the present piece of work.
    var effectMoment: Moment { self.virtualNow }

    func spend(_ time: Moment) { self.elapsed += time }

    // MARK: - Life

    func start() {
        guard !self.isUp else { return }
        guard self.mayJoin else {
            let life = self.life
            return self.cluster.after(100.milliseconds) { _ in if self.life == life { self.start() } }
        }
        self.life += 1
        self.isDying = false
        self.wakesAt = nil
        self.busyUntil = self.cluster.now
        do {
            let configuration = try self.joinConfiguration ?? ChannelConfiguration(configBlock: self.join)
            self.joinConfiguration = configuration
            let channel = OrderingChannel(
                configuration: configuration,
                settings: self.settings()
            )
            let disk = self.disk
            let thread = ChannelThread(channel: channel, join: self.join) {
                disk.open()
                return ChannelThread.Stores(log: disk.log, consensus: disk.consensus)
            }
            let channels = OrderingChannels()
            channels.add(channel)
            let service = ClusterService(channels: channels, logger: channel.settings.logger)
            self.process = Process(channel: channel, thread: thread, channels: channels, service: service)
            self.perform { try self.open() }
        } catch {
            self.cluster.invariants.violated("machine \(self.machine) can't start: \(error)")
        }
    }

    private func settings() -> OrderingChannel.Settings {
        var limits = OrdererLimits()
        limits.unsyncedBlockBytes = self.cluster.settings.unsyncedBlockBytes
        let life = self.life
        var settings = OrderingChannel.Settings(
            signer: RenewableIdentity(self.tlsKey.signer),
            limits: limits,
            cutting: .adaptive,
            acknowledgesWhenDurable: true,
            checksExpiration: true,
            clock: { [unowned self] in .microseconds(self.ownTime) },
            date: { [unowned self] in
                Date(timeIntervalSince1970: 1_700_000_000 + Double(self.cluster.now) / 1_000_000)
            },
            nonce: { [unowned self] in ChainIdentities.nonce(self.cluster.dice.number()) },
            logger: self.cluster.logger(of: self.machine)
        )
        settings.random = { [unowned self] in self.cluster.dice.number() }
        settings.network = ChainPulls(node: self, life: life)
        settings.serverKey = { [key = self.tlsKey.tlsKey] in key }
        return settings
    }

    /// Opens the stores, and begins as whatever the newest configuration makes of it.
    private func open() throws {
        guard let process = self.process else { return }
        let stores = try process.thread.openStores()
        let log = try BlockLog(store: stores.log)
        self.checked = min(self.checked, log.height)
        self.process?.log = log
        try self.begin(log, process.thread)
    }

    private func begin(_ log: BlockLog, _ thread: ChannelThread) throws {
        self.endWork()
        if thread.orders(log) {
            do {
                if let loss = try self.loss(log, thread) {
                    self.process?.loss = loss
                    self.process?.follower = try thread.follower(log, loss: loss)
                    return
                }
                guard !self.cluster.settings.isBFT else { return try self.beginBFT(log, thread) }
                let links = ChainLinks(node: self, life: self.life)
                let consenter = try thread.consenter(log, self.disk.consensus, links)
                self.process?.consenter = consenter
                if self.cluster.mutation == .forgetDuplicates {
                    self.channel?.monitor.withLock { $0.window.forgetOrdered() }
                }
                return
            } catch is NotConsenter {
                self.cluster.trace("machine \(self.machine) is no consenter")
            } catch let unknown as UnknownPromises {
                self.cluster.trace("machine \(self.machine): \(unknown.reason)")
                self.process?.log = nil
                return self.reopen()
            }
        }
        let follower = try thread.follower(log)
        self.process?.follower = follower
    }

    private func beginBFT(_ log: BlockLog, _ thread: ChannelThread) throws {
        let links = ChainBFTLinks(node: self, life: self.life, channel: thread.channel.id)
        let consenter = try thread.bftConsenter(log, self.disk.consensus, links)
        self.process?.bft = consenter
        if self.cluster.mutation == .forgetDuplicates {
            self.channel?.monitor.withLock { $0.window.forgetOrdered() }
        }
    }

    /// It is neither consenter nor follower for now.
    private func endWork() {
        self.process?.consenter = nil
        self.process?.bft = nil
        self.process?.follower = nil
        self.process?.loss = nil
        self.process?.puller?.close()
        self.process?.puller = nil
    }

    private func wrote(_ batch: WriteBatch, isDurable: Bool) {
        guard self.cluster.settings.isBFT else { return self.cluster.invariants.writes(self.machine, batch) }
        guard isDurable, !self.cluster.isLiar(self.machine) else { return }
        self.cluster.promises.writes(self.machine, batch)
        if let text = self.cluster.promises.violation { self.cluster.invariants.violated(text) }
    }

    /// Runs a piece of work, and what follows from its failure or from the death of the process in it.
    private func perform(_ body: () throws -> Void) {
        self.elapsed = 0
        defer {
            self.busyUntil = self.cluster.now + self.elapsed
            self.elapsed = 0
            if self.isDying { self.crash() } else if self.isUp { self.wake(at: self.busyUntil) }
        }
        do {
            try body()
            if !self.isDying { try self.check() }
        } catch {
            if !self.isDying { self.failed(error) }
        }
    }

    /// As a channel's thread does when its stores fail.
    private func failed(_ error: any Error) {
        guard self.isDiskFull, !(error is ChainHalted), let process = self.process else {
            if self.cluster.isLiar(self.machine) {
                self.cluster.trace("machine \(self.machine), a liar, fails: \(error)")
                return self.endWork()
            }
            return self.cluster.invariants.violated("machine \(self.machine) fails: \(error)")
        }
        self.cluster.trace("machine \(self.machine): \(error)")
        process.channel.feed.released()
        process.thread.fail(.unavailable("\(error)"))
        self.endWork()
        self.process?.log = nil
        self.reopen()
    }

    private func reopen() {
        let life = self.life
        self.cluster.after(1.seconds) { cluster in
            guard let node = cluster.nodes[self.machine], node.life == life, node.isUp else { return }
            node.perform {
                guard !node.isDiskFull else { return node.reopen() }
                try node.open()
            }
        }
    }

    /// The process ends at once.
    func crash() {
        guard self.isUp else { return }
        self.process = nil
        self.isDying = false
        self.crashCountdown = nil
        self.cluster.counts.crashes += 1
        if self.losesPower {
            let lost = self.disk.losePower(&self.cluster.dice)
            self.cluster.counts.lostWrites += lost.writes
            self.cluster.counts.lostBlocks += lost.blocks
        }
        self.cluster.trace("machine \(self.machine) is down")
        self.cluster.crashed(self.machine)
    }

    // MARK: - Work

    /// Does what there is to do now.
    func work() {
        self.wakesAt = nil
        guard self.isUp else { return }
        guard self.pausedUntil <= self.cluster.now, self.busyUntil <= self.cluster.now else {
            return self.wake(at: max(self.pausedUntil, self.busyUntil))
        }
        if self.process?.follower != nil { return self.perform { try self.follow() } }
        if let process = self.process, let bft = process.bft { return self.work(process, bft) }
        guard let process = self.process, let consenter = process.consenter else { return }
        switch process.channel.monitor.withLock({ consenter.next(&$0) }) {
        case .again(let delay?): self.wake(at: self.cluster.now + self.virtual(delay))
        case .again(nil): break
        case .done(let work):
            self.perform {
                // Nothing is for free.
                self.spend(50)
                switch try consenter.carryOut(work) {
                case nil: break
                case .stopped, .removed, .migrated: try self.leave(process)
                }
            }
        }
    }

    private func work(_ process: Process, _ consenter: BFTConsenter) {
        switch process.channel.monitor.withLock({ consenter.next(&$0) }) {
        case .again(let delay?): self.wake(at: self.cluster.now + self.virtual(delay))
        case .again(nil): break
        case .done(let work):
            self.perform {
                self.spend(50)
                if try consenter.carryOut(work) != nil { try self.leave(process) }
            }
        }
    }

    /// It is a consenter no longer.
    private func leave(_ process: Process) throws {
        self.cluster.counts.removed += 1
        self.cluster.trace("machine \(self.machine) was removed")
        process.thread.fail(.following)
        if let log = process.log { try self.begin(log, process.thread) }
    }

    private func virtual(_ own: Duration) -> Moment {
        let (seconds, attoseconds) = own.components
        let microseconds = Int(seconds) * 1_000_000 + Int(attoseconds / 1_000_000_000_000)
        return max(1, microseconds * 1_000 / self.rate + 1)
    }

    /// As a follower does between two pauses: asks one orderer after the other.
    private func follow() throws {
        guard let process = self.process, let follower = process.follower, let log = process.log else {
            return
        }
        let puller = BlockPuller(channel: process.channel)
        if !follower.isOnboarding, let configuration = follower.configuration, configuration.isBFT,
            let header = log.lastHeader
        {
            try self.followCluster(follower, puller, header, configuration)
        }
        if follower.isOnboarding { try follower.askEach(puller, waiting: .zero) }
        for source in puller.shuffled(follower.sources)
        where !follower.isOnboarding && !follower.mayOrder && self.process?.puller == nil {
            guard ChainIdentities.machine(at: source.address) != self.machine else { continue }
            do {
                let isEnough = try puller.follow(from: log.height, source) { block in
                    try follower.append(block)
                    return !follower.mayOrder
                }
                if isEnough { break }
            } catch {
                try puller.judge(error, source)
            }
        }
        if follower.mayOrder {
            try log.sync()
            try process.loss?.end(log, self.disk.consensus)
            self.cluster.trace("machine \(self.machine) orders from height \(log.height) on")
            try self.begin(log, process.thread)
        } else {
            let longest = self.process?.puller == nil ? 500.milliseconds : 150.milliseconds
            self.spend(self.cluster.dice.between(100.milliseconds, longest))
        }
    }

    /// As a follower of a BFT channel does each time that something came in.
    private func followCluster(
        _ follower: Follower,
        _ puller: BlockPuller,
        _ header: Common_BlockHeader,
        _ configuration: ChannelConfiguration
    ) throws {
        let cluster =
            self.process?.puller
            ?? ClusterPuller(
                puller,
                header: header,
                configuration: configuration,
                timeouts: BFTDeliveryTimeouts(censorship: .seconds(5))
            )
        self.process?.puller = cluster
        _ = try cluster.look { block in
            try follower.append(block)
            return (follower.configuration ?? configuration, !follower.mayOrder)
        }
    }

    // MARK: - Checks

    private func check() throws {
        if let consenter {
            let details = consenter.chain.details
            if details.role == .leader {
                self.cluster.invariants.leads(consenter.chain.id, term: details.term)
                if self.cluster.mutation == .orderTooEarly, consenter.electedAt != nil {
                    consenter.isCaughtUp = true
                }
            }
        }
        self.noteMended()
        // What a joining node holds proves itself only by leading to the block that it joined with.
        guard let log = self.process?.log, self.process?.follower?.isOnboarding != true else { return }
        while self.checked < log.height, self.cluster.violation == nil {
            let new = try self.cluster.invariants.appends(self.machine, self.checked, in: log)
            self.checked += 1
            if let new { self.cluster.appended(new) }
        }
    }
}
