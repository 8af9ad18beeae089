import Consensus

/// A whole cluster of orderers under virtual time, network and disk: the same seed always gives the same run.
package final class Cluster {
    enum Event {
        case tick(NodeID, life: Int)
        case deliver(RaftMessage)
        case forward(UInt64, to: NodeID)
        case written(NodeID, life: Int)
        case pull(NodeID, RaftSnapshot, life: Int)
        case run((Cluster) -> Void)
    }

    static let baseTick: Moment = 100_000

    /// What a random run varies besides its faults.
    struct Settings {
        var maxInflightMessages = 4
        var maxMessageBytes = 1_000
        /// How many blocks a leader proposes before the first of them is decided.
        var maxInflightBlocks = 3
        /// The ledger is synced, and entries are released, after so many blocks.
        var releaseBlocks = 20
        /// How long it is from one fault to the next.
        var calm: ClosedRange<Moment> = 500_000...4_000_000
    }

    package let seed: UInt64
    var settings = Settings()
    package internal(set) var now: Moment = 0
    package internal(set) var faults = 0
    package private(set) var messages = 0
    package internal(set) var counts = Counts()
    /// A term that a scenario remembers.
    var remembered: Term = 0
    var dice: Dice
    var invariants: Invariants
    private(set) var nodes: [NodeID: SimulatedNode] = [:]
    /// The identifiers of ``nodes``, in the order in which they came.
    private(set) var members: [NodeID] = []
    var network = SimulatedNetwork()
    private var queue = EventQueue<Event>()
    private let genesis: SimulatedBlock
    private let mutation: Mutation?
    private let trace: ((String) -> Void)?
    var nextEnvelope: UInt64 = 0

    package init(
        seed: UInt64,
        voters: Int,
        mutation: Mutation? = nil,
        isEager: Bool? = nil,
        trace: ((String) -> Void)? = nil
    ) {
        self.seed = seed
        self.dice = Dice(seed: seed)
        self.mutation = mutation
        self.trace = trace
        let consenters = (1...UInt64(voters)).map { $0 }
        self.genesis = .genesis(consenters: consenters)
        let founding = RaftState.founding(voters: consenters)
        self.invariants = Invariants(genesis: self.genesis, founding: founding)
        let first = SimulatedDisk.LedgerBlock(block: self.genesis, position: 0)
        for id in consenters {
            self.add(id, SimulatedDisk(founding, ledger: [first]), isEager: isEager)
        }
    }

    private func add(_ id: NodeID, _ disk: SimulatedDisk, isEager: Bool?) {
        let skew = self.dice.between(800, 1_250)
        self.members.append(id)
        self.nodes[id] = SimulatedNode(
            id: id,
            cluster: self,
            disk: disk,
            isEager: isEager ?? self.dice.chance(300),
            tickLength: Self.baseTick * skew / 1_000,
            mutation: self.mutation
        )
    }

    package var violation: String? { self.invariants.violation }
    /// Blocks that were decided, without the first one.
    package var commits: Int { self.invariants.blocks.count - 1 }
    package var acknowledged: Int { self.invariants.acknowledged.count }

    func trace(_ text: @autoclosure () -> String) {
        self.trace?("\(Double(self.now) / 1_000_000) s: \(text())")
    }

    // MARK: - Time

    func schedule(_ event: Event, at moment: Moment) { self.queue.add(event, at: moment) }

    func scheduleTick(_ node: SimulatedNode) {
        self.schedule(.tick(node.id, life: node.life), at: self.now + node.tickLength)
    }

    func scheduleCrash(_ node: SimulatedNode, before moment: Moment) {
        let id = node.id
        let life = node.life
        self.schedule(
            .run { if $0.nodes[id]?.life == life { $0.nodes[id]?.crash() } },
            at: self.dice.between(self.now, moment)
        )
    }

    /// Lets time pass until `moment`, or until something is violated.
    package func run(until moment: Moment, while goesOn: () -> Bool = { true }) {
        while self.violation == nil, goesOn(), let next = self.queue.nextMoment, next <= moment {
            guard let (time, event) = self.queue.next() else { return }
            self.now = time
            self.carryOut(event)
        }
        if self.violation == nil, goesOn() { self.now = max(self.now, moment) }
    }

    private func carryOut(_ event: Event) {
        switch event {
        case .tick(let id, let life):
            guard let node = self.nodes[id], node.isUp, node.life == life else { return }
            self.scheduleTick(node)
            // A stopped process's clock goes on, but it doesn't tick for each moment that it missed.
            if node.pausedUntil <= self.now { node.tick() }
        case .deliver(let message):
            // Who is cut off also loses what was on its way.
            guard let node = self.nodes[message.to], self.network.reaches(message.from, to: message.to) else {
                return
            }
            node.give(.received(message))
        case .forward(let envelope, let id): self.nodes[id]?.take(envelope)
        case .written(let id, let life):
            guard let node = self.nodes[id], node.isUp, node.life == life else { return }
            if node.pausedUntil > self.now { return self.schedule(event, at: node.pausedUntil) }
            node.written()
        case .pull(let id, let snapshot, let life):
            guard let node = self.nodes[id], node.isUp, node.life == life else { return }
            self.pull(snapshot, for: node)
        case .run(let action): action(self)
        }
    }

    // MARK: - Network

    func send(_ message: RaftMessage) {
        self.messages += 1
        let isLost = !self.network.carries(message.from, to: message.to, &self.dice)
        if case .snapshot = message.content {
            let from = message.from
            let input = Raft.Input.command(.snapshotSent(to: message.to, success: !isLost))
            self.schedule(.run { $0.nodes[from]?.give(input) }, at: self.now + 1_000)
        }
        guard !isLost else {
            if self.dice.chance(200) {
                let from = message.from
                let to = message.to
                self.schedule(
                    .run { $0.nodes[from]?.give(.command(.unreachable(to))) },
                    at: self.now + 1_000
                )
            }
            return
        }
        self.schedule(.deliver(message), at: self.now + self.network.delay(&self.dice))
        if self.dice.chance(self.network.duplicated) {
            self.schedule(.deliver(message), at: self.now + self.network.delay(&self.dice))
        }
    }

    func forward(_ envelope: UInt64, from: NodeID, to: NodeID) {
        guard self.network.carries(from, to: to, &self.dice) else { return }
        self.schedule(.forward(envelope, to: to), at: self.now + self.network.delay(&self.dice))
    }

    // MARK: - Pulling blocks

    /// A node that has at least so many blocks, and that `node` reaches.
    private func source(for node: NodeID, height: UInt64) -> SimulatedNode? {
        let sources = self.members.filter { id in
            guard id != node, let other = self.nodes[id], other.isUp, other.height >= height else {
                return false
            }
            return other.pausedUntil <= self.now && self.network.connects(id, node)
        }
        return self.dice.pick(sources).flatMap { self.nodes[$0] }
    }

    private func pull(_ snapshot: RaftSnapshot, for node: SimulatedNode) {
        guard let last = SimulatedBlock(bytes: snapshot.data) else {
            return self.invariants.violated("a snapshot for node \(node.id) holds no block")
        }
        if let source = self.source(for: node.id, height: last.number + 1) {
            node.pulled(source.disk.ledger.filter { $0.block.number <= last.number }, for: snapshot)
        } else if self.dice.chance(200) {
            node.give(.command(.catchUpFailed))
        } else {
            self.schedule(.pull(node.id, snapshot, life: node.life), at: self.now + 200.milliseconds)
        }
    }

    // MARK: - What nodes report

    func acknowledge(_ block: SimulatedBlock, by node: SimulatedNode) {
        self.invariants.acknowledges(block.envelopes, in: block.number)
    }

    /// A node that was added joins some time after the config block that adds it: it pulls the blocks, and starts with
    /// an empty log.
    func configured(_ block: SimulatedBlock) {
        for id in block.consenters where self.nodes[id] == nil {
            self.counts.added += 1
            self.join(id, through: block)
        }
    }

    private func join(_ id: NodeID, through block: SimulatedBlock) {
        self.add(id, SimulatedDisk(.joining, ledger: []), isEager: nil)
        self.schedule(
            .run { $0.onboard(id, through: block) },
            at: self.now + self.dice.between(50.milliseconds, 2.seconds)
        )
    }

    private func onboard(_ id: NodeID, through block: SimulatedBlock) {
        guard let node = self.nodes[id] else { return }
        guard let source = self.source(for: id, height: block.number + 1) else {
            return self.schedule(.run { $0.onboard(id, through: block) }, at: self.now + 200.milliseconds)
        }
        self.trace("node \(id) joins with \(source.height) blocks")
        node.disk = SimulatedDisk(.joining, ledger: source.disk.ledger)
        node.start()
    }
}
