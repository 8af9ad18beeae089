import Consensus

/// A whole BFT cluster under virtual time, network and disk: the same seed always gives the same run.
package final class BFTCluster {
    enum Event {
        case tick(NodeID, life: Int)
        case deliver(BFTMessage)
        case forward(UInt64, to: NodeID)
        case input(NodeID, BFT.Input, life: Int)
        case written(NodeID, life: Int)
        case synced(NodeID, life: Int)
        case pull(NodeID, life: Int)
        case run((BFTCluster) -> Void)
    }

    static let baseTick: Moment = 50_000

    package let seed: UInt64
    package internal(set) var now: Moment = 0
    package internal(set) var faults = 0
    package internal(set) var counts = Counts()
    package private(set) var messages = 0
    var dice: Dice
    var invariants: BFTInvariants
    private(set) var nodes: [NodeID: SimulatedBFTNode] = [:]
    /// The identifiers of ``nodes``, in the order in which they came.
    private(set) var members: [NodeID] = []
    var network = SimulatedNetwork()
    var adversary: BFTAdversary
    /// What a scenario lets through.
    var admits: (BFTMessage) -> Bool = { _ in true }
    private var queue = EventQueue<Event>()
    private let mutation: BFTMutation?
    private let trace: ((String) -> Void)?

    /// Envelopes are numbered; those that change who votes are here.
    private(set) var lastEnvelope: UInt64 = 0
    private(set) var configurations: [UInt64: [NodeID]] = [:]
    /// What clients wait for.
    var outstanding: Set<UInt64> = []

    init(
        seed: UInt64,
        voters: Int,
        byzantine: Int = 0,
        liars: Set<NodeID> = [],
        mutation: BFTMutation? = nil,
        trace: ((String) -> Void)? = nil
    ) {
        self.seed = seed
        self.dice = Dice(seed: seed)
        self.mutation = mutation
        self.trace = trace
        let consenters = (1...UInt64(voters)).map { $0 }
        let genesis = SimulatedBlock.genesis(consenters: consenters)
        self.invariants = BFTInvariants(genesis: genesis)
        var liars = liars
        while liars.count < byzantine, let id = self.dice.pick(consenters) { liars.insert(id) }
        self.adversary = BFTAdversary(liars: liars)
        let first = SimulatedBFTDisk.LedgerBlock(
            block: genesis,
            certificate: nil,
            voters: BFTVoters(consenters)
        )
        for id in consenters { self.add(id, SimulatedBFTDisk(genesis: first)) }
    }

    func add(_ id: NodeID, _ disk: SimulatedBFTDisk) {
        self.members.append(id)
        let node = SimulatedBFTNode(
            id: id,
            cluster: self,
            disk: disk,
            isByzantine: self.adversary.liars.contains(id),
            mutation: self.mutation
        )
        node.tickLength = Self.baseTick * self.dice.between(800, 1_250) / 1_000
        self.nodes[id] = node
    }

    package var violation: String? { self.invariants.violation }
    /// Blocks that were decided, without the first one.
    package var commits: Int { self.invariants.blocks.count - 1 }
    package var acknowledged: Int { self.invariants.acknowledged.count }
    var honest: [NodeID] { self.members.filter { !self.isByzantine($0) } }
    /// Who votes on the next block.
    var consenters: [NodeID] { self.invariants.voters[self.invariants.voters.count - 1].nodes }

    func isByzantine(_ node: NodeID) -> Bool { self.adversary.liars.contains(node) }

    func trace(_ text: @autoclosure () -> String) {
        self.trace?("\(Double(self.now) / 1_000_000) s: \(text())")
    }

    /// Stands for a block's hash.
    ///
    /// Nobody looks for collisions here.
    static func digest(_ bytes: [UInt8]) -> [UInt8] {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in bytes { hash = (hash ^ UInt64(byte)) &* 0x0000_0100_0000_01b3 }
        return (0..<8).map { UInt8(truncatingIfNeeded: hash >> (8 * UInt64($0))) }
    }

    // MARK: - Time

    func schedule(_ event: Event, at moment: Moment) { self.queue.add(event, at: moment) }

    func after(_ length: Moment, _ action: @escaping (BFTCluster) -> Void) {
        self.schedule(.run(action), at: self.now + length)
    }

    func scheduleTick(_ node: SimulatedBFTNode) {
        self.schedule(.tick(node.id, life: node.life), at: self.now + node.tickLength)
    }

    /// Lets time pass until `moment`, or until something is violated.
    package func run(until moment: Moment) {
        while self.violation == nil, let next = self.queue.nextMoment, next <= moment {
            guard let (time, event) = self.queue.next() else { return }
            self.now = time
            self.carryOut(event)
        }
        if self.violation == nil { self.now = max(self.now, moment) }
    }

    private func living(_ id: NodeID, _ life: Int) -> SimulatedBFTNode? {
        guard let node = self.nodes[id], node.isUp, node.life == life else { return nil }
        return node
    }

    private func carryOut(_ event: Event) {
        switch event {
        case .tick(let id, let life):
            guard let node = self.living(id, life) else { return }
            self.scheduleTick(node)
            if node.pausedUntil <= self.now { node.tick() }
        case .deliver(let message): self.deliver(message)
        case .forward(let envelope, let id): self.nodes[id]?.take(envelope)
        case .input(let id, let input, let life): self.living(id, life)?.give(input)
        case .written(let id, let life), .synced(let id, let life):
            guard let node = self.living(id, life) else { return }
            if node.pausedUntil > self.now { return self.schedule(event, at: node.pausedUntil) }
            if case .written = event { node.written() } else { node.synced() }
        case .pull(let id, let life):
            if let node = self.living(id, life) { self.pull(for: node) }
        case .run(let action): action(self)
        }
    }

    // MARK: - Network

    /// A liar's engine runs as everybody's; what it says is the adversary's choice.
    func send(_ message: BFTMessage) {
        guard self.isByzantine(message.from) else { return self.transmit(message) }
        for other in self.adversary.outgoing(message, of: self) { self.transmit(other) }
    }

    func transmit(_ message: BFTMessage) {
        self.messages += 1
        guard self.network.carries(message.from, to: message.to, &self.dice), self.admits(message) else {
            return
        }
        self.schedule(.deliver(message), at: self.now + self.network.delay(&self.dice))
        if self.dice.chance(self.network.duplicated) {
            self.schedule(.deliver(message), at: self.now + self.network.delay(&self.dice))
        }
    }

    private func deliver(_ message: BFTMessage) {
        guard let node = self.nodes[message.to], node.isUp, self.network.reaches(message.from, to: message.to)
        else {
            return
        }
        if node.isByzantine { self.adversary.observe(message) }
        let isSigned = message.claims.allSatisfy { self.invariants.isSigned($0) }
        // Nodes with the same fault believe each other: what a fault changed in a ticket no longer fits the signatures.
        if !isSigned, self.isByzantine(message.from) || self.mutation == nil {
            if !self.isByzantine(message.from) {
                self.invariants.violated("honest node \(message.from) passes on a wrong signature")
            }
            return
        }
        node.give(.received(node.mutation?.change(message) ?? message))
    }

    private func pull(for node: SimulatedBFTNode) {
        let sources = self.members.filter { id in
            guard id != node.id, let other = self.nodes[id], other.isUp, other.pausedUntil <= self.now else {
                return false
            }
            return other.tip.block.number > node.tip.block.number && self.network.connects(id, node.id)
        }
        guard let id = self.dice.pick(sources), let source = self.nodes[id] else { return }
        node.pulled(Array(source.disk.ledger.suffix(from: node.disk.ledger.count)))
    }

    // MARK: - Clients

    /// A client sends an envelope to all orderers, and again until it is acknowledged.
    func submit(_ envelope: UInt64) {
        self.outstanding.insert(envelope)
        self.sendToAll(envelope)
    }

    func newEnvelope(consenters: [NodeID]? = nil) -> UInt64 {
        self.lastEnvelope += 1
        self.configurations[self.lastEnvelope] = consenters
        return self.lastEnvelope
    }

    private func sendToAll(_ envelope: UInt64) {
        guard self.outstanding.contains(envelope) else { return }
        for id in self.members where !self.dice.chance(self.network.lost) {
            self.schedule(.forward(envelope, to: id), at: self.now + self.network.delay(&self.dice))
        }
        self.after(self.dice.between(500.milliseconds, 2.seconds)) { $0.sendToAll(envelope) }
    }

    func acknowledge(_ block: SimulatedBlock, by node: SimulatedBFTNode) {
        self.invariants.acknowledges(block.envelopes, in: block.number)
        self.outstanding.subtract(block.envelopes)
        // A node that was added joins some time after the config block that adds it.
        for id in block.consenters where self.nodes[id] == nil {
            self.counts.added += 1
            self.add(id, SimulatedBFTDisk(ledger: node.disk.ledger))
            self.after(self.dice.between(50.milliseconds, 2.seconds)) { $0.nodes[id]?.start() }
        }
    }
}
