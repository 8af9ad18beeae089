import Consensus

/// One BFT orderer: the real engine, with a model of the driver around it.
final class SimulatedBFTNode {
    let id: NodeID
    unowned let cluster: BFTCluster
    let mutation: BFTMutation?
    let isByzantine: Bool
    var disk: SimulatedBFTDisk
    private(set) var engine: BFT?
    /// Counts the starts, so that what was meant for an earlier life is lost.
    private(set) var life = 0
    var tickLength: Moment
    var diskLatency: Moment = 2.milliseconds
    var pausedUntil: Moment = 0
    /// The node dies after so many effects.
    var crashCountdown: Int?

    /// Envelopes that wait, in the order in which they came, and since when.
    private var pool: [(envelope: UInt64, since: Moment)] = []
    private var ordered: Set<UInt64> = []
    private var told = false
    private var viewSince: Moment = 0
    private var progressSince: Moment = 0
    private var inputs: [BFT.Input] = []
    private var isWorking = false
    private var outbox: BFT.Effects?
    private var writing: BFT.Effects?
    private var isSyncing = false

    init(id: NodeID, cluster: BFTCluster, disk: SimulatedBFTDisk, isByzantine: Bool, mutation: BFTMutation?) {
        self.id = id
        self.cluster = cluster
        self.disk = disk
        self.isByzantine = isByzantine
        self.mutation = isByzantine ? nil : mutation
        self.tickLength = BFTCluster.baseTick
    }

    var isUp: Bool { self.engine != nil }
    var tip: SimulatedBFTDisk.LedgerBlock { self.disk.ledger[self.disk.ledger.count - 1] }
    var isConsenter: Bool { self.tip.voters.contains(self.id) }

    /// What the engine is told of who votes.
    private var held: BFTHeld {
        var held = self.disk.held
        if self.mutation == .smallQuorum {
            held.voters = BFTVoters(held.voters.nodes, quorum: held.voters.quorum - 1)
            held.previousVoters = BFTVoters(held.previousVoters.nodes, quorum: held.previousVoters.quorum - 1)
        }
        return held
    }

    // MARK: Life

    func start() {
        guard !self.isUp else { return }
        self.life += 1
        do {
            self.engine = try BFT(
                id: self.id,
                configuration: BFTConfiguration(timeoutTicks: 20, resendTicks: 4),
                restoring: self.mutation?.change(self.disk.state) ?? self.disk.state,
                held: self.held,
                digest: { BFTCluster.digest($0) }
            )
        } catch {
            return self.cluster.invariants.violated("node \(self.id) can't start: \(error)")
        }
        self.ordered = Set(self.disk.ledger.flatMap(\.block.envelopes))
        self.viewSince = self.cluster.now
        self.progressSince = self.cluster.now
        self.cluster.scheduleTick(self)
    }

    func crash() {
        guard self.isUp else { return }
        self.cluster.trace("node \(self.id) crashes at height \(self.tip.block.number + 1)")
        self.engine = nil
        self.crashCountdown = nil
        self.inputs = []
        self.outbox = nil
        self.writing = nil
        self.isSyncing = false
        self.told = false
        self.pool = []
        self.disk.crash(&self.cluster.dice, &self.cluster.counts)
    }

    func tick() {
        self.give(.tick)
        let now = self.cluster.now
        if let oldest = self.pool.first, now - max(oldest.since, self.viewSince) > 6.seconds, let engine {
            self.give(.command(.complain(view: engine.details.view)))
        }
        // Who isn't told anything any more looks whether the chain went on without it.
        if now - self.progressSince > 4.seconds || !self.isConsenter {
            self.progressSince = now
            self.cluster.schedule(.pull(self.id, life: self.life), at: now + 1.milliseconds)
        }
    }

    // MARK: Requests

    func take(_ envelope: UInt64) {
        guard self.isUp, !self.ordered.contains(envelope),
            !self.pool.contains(where: { $0.envelope == envelope })
        else { return }
        self.pool.append((envelope, self.cluster.now))
        self.work()
    }

    private func tellRequests() {
        guard self.told == self.pool.isEmpty else { return }
        self.told = !self.pool.isEmpty
        self.inputs.append(.command(.requestsWait(self.told)))
    }

    private func propose() {
        guard self.engine?.details.proposable != nil, let first = self.pool.first else { return }
        var block = SimulatedBlock(
            number: self.tip.block.number + 1,
            previousHash: self.tip.block.hash,
            envelopes: []
        )
        if let consenters = self.cluster.configurations[first.envelope] {
            block.envelopes = [first.envelope]
            block.consenters = consenters
        } else {
            block.envelopes = self.pool.lazy.map(\.envelope).filter { self.cluster.configurations[$0] == nil }
                .prefix(5)
                .map { $0 }
        }
        self.inputs.append(.propose(block.bytes))
    }

    /// The driver's checks of a proposal.
    func isValid(_ ballot: BFTBallot, _ payload: [UInt8]) -> Bool {
        guard let block = SimulatedBlock(bytes: payload), block.number == ballot.round.height,
            block.number == self.tip.block.number + 1, block.previousHash == self.tip.block.hash,
            !block.envelopes.isEmpty, Set(block.envelopes).count == block.envelopes.count
        else { return false }
        for envelope in block.envelopes {
            guard envelope >= 1, envelope <= self.cluster.lastEnvelope, !self.ordered.contains(envelope)
            else {
                return false
            }
        }
        let configuration = block.envelopes.compactMap { self.cluster.configurations[$0] }
        return block.isConfig
            ? block.envelopes.count == 1 && configuration == [block.consenters] : configuration.isEmpty
    }

    // MARK: Steps

    func give(_ input: BFT.Input) {
        guard self.isUp else { return }
        self.inputs.append(input)
        self.work()
    }

    func work() {
        guard !self.isWorking, self.pausedUntil <= self.cluster.now else { return }
        self.isWorking = true
        defer { self.isWorking = false }
        while self.cluster.violation == nil, self.isUp {
            self.tellRequests()
            if self.inputs.isEmpty { self.propose() }
            guard !self.inputs.isEmpty else { return }
            let input = self.inputs.removeFirst()
            guard let effects = self.engine?.step(input) else { return }
            if let contradiction = effects.contradiction, !self.isByzantine {
                return self.cluster.invariants.violated("node \(self.id) stops: \(contradiction)")
            }
            if case .refused = effects.proposal { return }
            self.queue(effects)
        }
    }

    /// Writes go one after the other, all that waits in one; what doesn't write waits for those before it.
    private func queue(_ effects: BFT.Effects) {
        if self.mutation == .signBeforeSync {
            var late = BFT.Effects()
            late.write = effects.write
            if late.write != nil { self.outbox == nil ? self.outbox = late : self.outbox?.merge(late) }
            self.beginWrite()
            return self.carryOut(effects)
        }
        if self.outbox == nil { self.outbox = effects } else { self.outbox?.merge(effects) }
        self.beginWrite()
    }

    private func beginWrite() {
        guard self.writing == nil, let next = self.outbox else { return }
        self.outbox = nil
        guard let write = next.write else { return self.carryOut(next) }
        self.writing = next
        self.disk.begin(write)
        // One that is about to die dies often just now.
        if self.crashCountdown != nil, self.cluster.dice.chance(400) { return self.crash() }
        let latency = self.cluster.dice.between(self.diskLatency / 4, self.diskLatency * 2)
        self.cluster.schedule(.written(self.id, life: self.life), at: self.cluster.now + latency)
    }

    func written() {
        guard let effects = self.writing else { return }
        self.disk.finish()
        self.writing = nil
        if self.mutation != .signBeforeSync { self.carryOut(effects) }
        self.beginWrite()
        self.work()
    }

    // MARK: Effects

    /// Counts an effect; false when the node died before it.
    private func survives() -> Bool {
        guard let countdown = self.crashCountdown else { return self.isUp }
        guard countdown > 0 else {
            self.crash()
            return false
        }
        self.crashCountdown = countdown - 1
        return self.isUp
    }

    private func carryOut(_ effects: BFT.Effects) {
        var decisions = effects.decisions
        for event in effects.events {
            guard self.survives() else { return }
            if case .final(let certificate) = event {
                guard !decisions.isEmpty else {
                    return self.cluster.invariants.violated("a proof without a decision")
                }
                self.append(decisions.removeFirst(), certificate)
            } else {
                self.carryOut(event)
            }
        }
        for message in effects.messages {
            guard self.survives() else { return }
            self.cluster.send(message)
        }
    }

    private func carryOut(_ event: BFTEvent) {
        switch event {
        case .sign(let statement): self.sign(statement)
        case .validate(let ballot, let payload):
            let isValid = self.isValid(ballot, payload)
            self.soon(.command(.validated(ballot, isValid: isValid)))
        case .final: break
        case .behind:
            self.cluster.schedule(.pull(self.id, life: self.life), at: self.cluster.now + 5.milliseconds)
        case .entered(let height, let view, let leader):
            self.cluster.trace(
                "node \(self.id) enters view \(view) of block \(height), led by \(leader ?? 0)"
            )
            if view != self.lastView {
                self.viewSince = self.cluster.now
                if leader == self.id { self.cluster.counts.leaders += 1 }
            }
            self.lastView = view
        case .equivocation(let node, _, _):
            if !self.cluster.isByzantine(node) {
                self.cluster.invariants.violated("node \(node) is honest but accused")
            }
        case .refused(let node, let reason):
            if !self.cluster.isByzantine(node), self.mutation == nil, !self.isByzantine {
                self.cluster.invariants.violated(
                    "node \(self.id) refuses a message of honest node \(node): \(reason)"
                )
            }
        }
    }

    private var lastView: BFTView = 0

    private func sign(_ statement: BFTStatement) {
        let honest = !self.isByzantine
        let signature = self.cluster.invariants.sign(statement, by: self.id, isHonest: honest)
        self.soon(.command(.signed(statement, signature)))
        guard self.mutation == .earlyBlockSignature, case .vote(.prepare, let ballot) = statement else {
            return
        }
        _ = self.cluster.invariants.sign(.vote(.commit, ballot), by: self.id, isHonest: false)
    }

    /// Signing and checking take a moment, sometimes.
    private func soon(_ input: BFT.Input) {
        guard self.cluster.dice.chance(200) else { return self.inputs.append(input) }
        let moment = self.cluster.now + self.cluster.dice.between(100, 4_000)
        self.cluster.schedule(.input(self.id, input, life: self.life), at: moment)
    }

    // MARK: Ledger

    private func append(_ decision: Decision, _ certificate: BFTCertificate) {
        guard let block = SimulatedBlock(bytes: decision.payload) else {
            return self.cluster.invariants.violated("node \(self.id) decided something that is no block")
        }
        guard block.number == self.tip.block.number + 1 else { return }
        self.hold(block, certificate)
        self.inputs.append(.command(.held(self.held)))
        if self.mutation == .releaseBeforeSync { self.inputs.append(.released(through: block.number)) }
        guard !self.isSyncing else { return }
        self.isSyncing = true
        let longest = self.diskLatency * (self.cluster.dice.chance(300) ? 60 : 4)
        let latency = self.cluster.dice.between(self.diskLatency / 2, longest)
        self.cluster.schedule(.synced(self.id, life: self.life), at: self.cluster.now + latency)
    }

    private func hold(_ block: SimulatedBlock, _ certificate: BFTCertificate) {
        let voters = block.isConfig ? BFTVoters(block.consenters) : self.tip.voters
        self.disk.append(SimulatedBFTDisk.LedgerBlock(block: block, certificate: certificate, voters: voters))
        self.ordered.formUnion(block.envelopes)
        self.pool.removeAll { self.ordered.contains($0.envelope) }
        self.progressSince = self.cluster.now
        guard !self.isByzantine else { return }
        self.cluster.invariants.appends(self.id, block, certificate)
        self.cluster.acknowledge(block, by: self)
    }

    func synced() {
        self.isSyncing = false
        self.disk.syncLedger()
        self.give(.released(through: self.tip.block.number))
    }

    /// Blocks from another node, which may lie.
    func pulled(_ blocks: [SimulatedBFTDisk.LedgerBlock]) {
        let before = self.tip.block.number
        for other in blocks where other.block.number == self.tip.block.number + 1 {
            guard let certificate = other.certificate, other.block.previousHash == self.tip.block.hash,
                self.cluster.invariants.isProof(certificate, of: other.block, voters: self.held.voters)
            else { break }
            self.hold(other.block, certificate)
        }
        guard self.tip.block.number > before else { return }
        self.cluster.counts.catchUps += 1
        self.cluster.trace("node \(self.id) pulled blocks through \(self.tip.block.number)")
        self.disk.syncLedger()
        self.inputs.append(.released(through: self.tip.block.number))
        self.inputs.append(.command(.held(self.held)))
        self.work()
    }
}
