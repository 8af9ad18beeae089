import Channel
import Consensus
import FabricProtos
import Foundation
import GRPCCore
import Ledger
import Logging
package import Simulation
import SwiftProtobuf

@testable import Orderer

/// A whole ordering service under virtual time, network and disk: real channels, consenters, block writers and followers;
/// the same seed always gives the same run.
package final class ChainCluster: @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.

    /// What one machine sends another.
    struct Parcel {
        enum Content {
            case consensus(Orderer_ConsensusRequest)
            /// An envelope, which the receiver keeps trying to queue until then.
            case submit(Orderer_SubmitRequest, until: Moment)
            /// What one BFT consenter sends another.
            case step(Weft_Consensus_StepRequest)
        }

        var from: UInt64
        var to: UInt64
        /// The life of the sender, and what it calls the receiver.
        var life: Int
        /// The life of the receiver when it was sent.
        var receivingLife: Int
        var known: NodeID
        var content: Content
    }

    enum Event {
        case work(UInt64, life: Int)
        case deliver(Parcel)
        case run((ChainCluster) -> Void)
    }

    package let seed: UInt64
    let identities: ChainIdentities
    let settings: ChainSettings
    let mutation: ChainMutation?
    package internal(set) var now: Moment = 0
    package internal(set) var faults = 0
    package internal(set) var counts = Counts()
    package private(set) var messages = 0
    var dice: Dice
    /// Decides on the loss of disks, apart from all other chance.
    var lossDice: Dice
    var invariants = ChainInvariants()
    /// Of the BFT consenters that don't lie.
    var promises = ChainPromises()
    let adversary: ChainAdversary
    /// Envelopes of the newest blocks.
    private(set) var lately: [Data] = []
    var network = SimulatedNetwork()
    private(set) var nodes: [UInt64: ChainNode] = [:]
    /// The numbers of ``nodes``, in the order in which they came.
    private(set) var members: [UInt64] = []
    var clients = ChainClients()
    /// An update that is in no block may be in some consenter's log.
    var mayChange = false
    var readers: [ChainReader] = []
    var deliveries: [ChainDelivery] = []
    private var queue = EventQueue<Event>()
    private let tell: ((String) -> Void)?

    init(
        seed: UInt64,
        voters: Int,
        liars: Set<UInt64> = [],
        settings: ChainSettings,
        mutation: ChainMutation? = nil,
        trace: ((String) -> Void)? = nil
    ) throws {
        self.seed = seed
        self.dice = Dice(seed: seed)
        self.lossDice = Dice(seed: seed &* 0x9e37_79b9 &+ 17)
        self.settings = settings
        self.mutation = mutation
        self.tell = trace
        self.identities = try Self.allIdentities.get()
        self.adversary = ChainAdversary(liars: liars, identities: self.identities)
        let founders = (1...UInt64(voters)).map { $0 }
        let genesis = try self.identities.genesis(consenters: founders, settings: settings)
        for machine in founders { self.add(machine, join: genesis) }
        for _ in 0..<2 {
            if settings.isBFT {
                self.deliveries.append(try ChainDelivery(genesis: genesis))
            } else {
                self.readers.append(ChainReader(genesis: genesis))
            }
        }
        self.consenters = founders
        self.promises.votes(on: 1, BFTVoters(founders))
    }

    /// Made once, since nothing in them changes.
    private static let allIdentities = Result { try ChainIdentities() }

    func add(_ machine: UInt64, join: Common_Block) {
        self.members.append(machine)
        let node = ChainNode(machine: machine, cluster: self, join: join)
        node.setRate(self.dice.between(800, 1_250))
        self.nodes[machine] = node
    }

    package var violation: String? { self.invariants.violation }
    /// Blocks that were decided, without the first one.
    package var commits: Int { max(0, self.invariants.blocks.count - 1) }
    package var acknowledged: Int { self.invariants.acknowledged.count }

    /// The consenters' machines, as of the newest block.
    private(set) var consenters: [UInt64] = []

    func trace(_ text: @autoclosure () -> String) {
        self.tell?("\(Double(self.now) / 1_000_000) s: \(text())")
    }

    func logger(of machine: UInt64) -> Logger {
        Logger(label: "simulation") { [unowned self] _ in
            ChainLog(level: self.tell == nil ? .warning : .info) { message, facts in
                self.judge(message, facts, by: machine)
                self.trace("machine \(machine): \(message) \(facts)")
            }
        }
    }

    /// No honest consenter may be taken for a liar.
    private func judge(_ message: String, _ facts: String, by machine: UInt64) {
        guard message == "a consenter is faulty", !self.isLiar(machine),
            let number = facts.split(separator: "reason=consenter ").last?.prefix(while: \.isNumber),
            let accused = UInt64(number), !self.isLiar(accused)
        else { return }
        self.invariants.violated("machine \(machine) takes honest machine \(accused) for faulty: \(facts)")
    }

    // MARK: - Time

    func schedule(_ event: Event, at moment: Moment) { self.queue.add(event, at: moment) }

    func after(_ length: Moment, _ action: @escaping (ChainCluster) -> Void) {
        self.schedule(.run(action), at: self.now + length)
    }

    /// Lets time pass until `moment`, or until something is violated.
    func run(until moment: Moment) {
        while self.violation == nil, let next = self.queue.nextMoment, next <= moment {
            guard let (time, event) = self.queue.next() else { return }
            self.now = time
            switch event {
            case .work(let machine, let life):
                guard let node = self.nodes[machine], node.life == life, node.wakes(at: time)
                else { continue }
                node.work()
            case .deliver(let parcel): self.deliver(parcel)
            case .run(let action): action(self)
            }
        }
        if self.violation == nil { self.now = max(self.now, moment) }
    }

    // MARK: - Network

    /// Sends something; whether it is on its way, as far as the sender can know.
    func send(_ content: Parcel.Content, from node: ChainNode, to machine: UInt64, known: NodeID) -> Bool {
        self.messages += 1
        let parcel = Parcel(
            from: node.machine,
            to: machine,
            life: node.life,
            receivingLife: self.nodes[machine]?.life ?? 0,
            known: known,
            content: content
        )
        let isThere = self.nodes[machine]?.isUp == true
        guard isThere, self.network.carries(node.machine, to: machine, &self.dice) else {
            // A connection that broke is noticed at once, later, or never.
            if self.dice.chance(300) { return false }
            if self.dice.chance(300) {
                self.lose(parcel, at: node.effectMoment + self.dice.between(1_000, 500_000))
            }
            return true
        }
        self.schedule(.deliver(parcel), at: node.effectMoment + self.network.delay(&self.dice))
        if self.dice.chance(self.network.duplicated) {
            self.schedule(.deliver(parcel), at: node.effectMoment + self.network.delay(&self.dice))
        }
        return true
    }

    /// The sender notices that something was lost.
    private func lose(_ parcel: Parcel, at moment: Moment) {
        let action = { (cluster: ChainCluster) in
            guard let node = cluster.nodes[parcel.from], node.life == parcel.life, let channel = node.channel
            else { return }
            var isSubmit = false
            if case .step = parcel.content { return }
            if case .submit = parcel.content { isSubmit = true }
            channel.lost(to: parcel.known, isSubmits: isSubmit)
            node.wake(at: cluster.now)
        }
        self.schedule(.run(action), at: moment)
    }

    private func deliver(_ parcel: Parcel) {
        // Who is cut off also loses what was on its way.
        guard let node = self.nodes[parcel.to], let service = node.process?.service,
            self.network.reaches(parcel.from, to: parcel.to), let sender = self.nodes[parcel.from],
            parcel.life > sender.lostLife, parcel.receivingLife > node.lostLife
        else { return }
        do {
            switch parcel.content {
            case .step(let request): try self.receive(request, by: node, from: sender)
            case .consensus(let request): try service.receive(request, from: sender.tlsKey.tlsKey)
            case .submit(let request, let until):
                let (envelope, channel, id) = try service.read(request, from: sender.tlsKey.tlsKey)
                let deadline = min(until, self.now + 3.seconds)
                switch channel.take(envelope, from: id) {
                case .taken: break
                case .early, .full:
                    guard self.now < deadline else { return }
                    var parcel = parcel
                    parcel.content = .submit(request, until: deadline)
                    return self.schedule(.deliver(parcel), at: self.now + 10.milliseconds)
                }
            }
        } catch {
            self.trace("machine \(parcel.to) refuses a message of machine \(parcel.from): \(error.message)")
            return self.lose(parcel, at: self.now + 1.milliseconds)
        }
        node.wake(at: self.now)
    }

    /// Asks a process whether it is there.
    func ask(_ machine: UInt64, by node: ChainNode, known: NodeID) {
        let isHere =
            self.network.connects(node.machine, machine)
            && self.nodes[machine].map { $0.isUp && $0.pausedUntil <= self.now } ?? false
        guard !isHere else { return }
        let life = node.life
        self.schedule(
            .run { cluster in
                guard node.life == life, let channel = node.channel else { return }
                channel.silent(known)
                node.wake(at: cluster.now)
            },
            at: node.effectMoment + 400.milliseconds
        )
    }

    // MARK: - Blocks

    /// A machine that serves blocks, and that another reaches.
    func source(_ machine: UInt64, for other: UInt64) -> ChainNode? {
        guard let node = self.nodes[machine], node.isUp, node.pausedUntil <= self.now,
            self.network.connects(machine, other)
        else { return nil }
        return node
    }

    /// A block as a machine serves it, which may be one that nobody ordered.
    func block(_ number: BlockNumber, of node: ChainNode) throws -> Common_Block? {
        guard let block = try node.channel?.feed.block(number) else { return nil }
        if number == 0, self.isLiar(node.machine), self.dice.chance(500) {
            var settings = self.settings
            settings.maxMessageCount += 1
            return try self.identities.genesis(consenters: self.consenters, settings: settings)
        }
        guard node.forges, !block.isConfigBlock, self.dice.chance(300) else { return block }
        var forged = block
        forged.data.data[0] = try self.identities.envelope(self.dice.number(), size: 9).serializedBytes()
        forged.header.dataHash = Common_Block.dataHash(forged.data.data)
        if self.mutation == .trustPulledBlocks {
            // Whoever doesn't look at signatures takes this one as if it were signed.
            let orderer = try block.ordererMetadata().orderer
            try forged.sign(
                lastConfig: orderer.lastConfig.index,
                consenterMetadata: orderer.consenterMetadata,
                by: node.tlsKey.signer,
                nonce: ChainIdentities.nonce(number)
            )
        }
        return forged
    }

    /// The chain has grown.
    func appended(_ block: Common_Block) {
        self.lately = (self.lately + block.data.data).suffix(50)
        guard block.isConfigBlock, block.header.number > 0 else { return }
        self.consenters = self.newestConsenters
        self.mayChange = false
        self.trace("block \(block.header.number) has consenters \(self.consenters)")
        self.promises.votes(on: block.header.number + 1, BFTVoters(self.consenters))
        for machine in self.consenters where self.nodes[machine] == nil {
            self.counts.added += 1
            self.add(machine, join: block)
            self.after(self.dice.between(50.milliseconds, 2.seconds)) { cluster in
                cluster.trace("machine \(machine) joins with block \(block.header.number)")
                cluster.nodes[machine]?.start()
            }
        }
    }
}

extension ChainCluster {
    private var newestConsenters: [UInt64] {
        guard let configuration = self.invariants.configuration,
            let consenters = try? ChannelConsenters(configuration)
        else {
            self.invariants.violated("the newest configuration has no consenters that can be read")
            return []
        }
        switch consenters {
        case .raft(let consenters):
            return consenters.endpoints.compactMap { ChainIdentities.machine(at: $0) }
        case .bft(let consenters): return consenters.identifiers
        }
    }
}

/// Shows what a machine logs in the trace of a run.
struct ChainLog: LogHandler, @unchecked Sendable {
    // Why `@unchecked`: a simulation runs on one thread.

    let tell: (_ message: String, _ facts: String) -> Void
    var metadata: Logger.Metadata = [:]
    var logLevel: Logger.Level

    init(level: Logger.Level, _ tell: @escaping (_ message: String, _ facts: String) -> Void) {
        self.logLevel = level
        self.tell = tell
    }

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { self.metadata[key] }
        set { self.metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let facts = (event.metadata ?? [:]).sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }
        self.tell("\(event.message)", facts.joined(separator: " "))
    }
}
