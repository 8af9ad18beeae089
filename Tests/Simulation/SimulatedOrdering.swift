import Consensus

/// What a leader does with envelopes and changes of the consenters: a model of Fabric's chain.
struct Ordering {
    /// Why a node makes no blocks.
    enum Change: Equatable {
        case none
        /// A config block is on its way.
        case block
        /// Its change of the voters was or will be proposed.
        case voters(VoterChange, isProposed: Bool)
    }

    /// The last entry when this node became leader: before that is decided it doesn't know the newest block.
    var waitsFor: UInt64 = .max
    /// The last block made.
    var last: SimulatedBlock?
    /// Blocks proposed and not decided.
    var proposed: [(position: UInt64, block: SimulatedBlock)] = []
    /// Blocks given to the engine in this round.
    var offered: [SimulatedBlock] = []
    var envelopes: [UInt64] = []
    var request: VoterChange?
    var change: Change = .none
    /// The engine couldn't take the change; it is proposed again with the next tick.
    var isRefused = false

    init() {}

    init(waitsFor: UInt64) { self.waitsFor = waitsFor }
}

extension SimulatedNode {
    /// An envelope from a client or another orderer.
    func take(_ envelope: UInt64) {
        guard let raft = self.raft else { return }
        if raft.status.isLeader {
            if self.ordering.envelopes.count < 50 { self.ordering.envelopes.append(envelope) }
            self.work()
        } else if let leader = raft.status.leader {
            self.cluster.forward(envelope, from: self.id, to: leader)
        }
    }

    func take(_ request: VoterChange) {
        guard self.isLeader else { return }
        self.ordering.request = request
        self.work()
    }

    func tick() {
        if self.ordering.isRefused {
            self.ordering.isRefused = false
            self.resumeChange()
        }
        self.give(.tick)
    }

    /// A leader turns what waits into inputs of its engine.
    func offerWork() {
        guard let raft = self.raft, raft.status.isLeader, self.ordering.offered.isEmpty else { return }
        if self.mutation != .orderTooEarly {
            // The engine may have told more than is carried out while the disk works.
            let isSettled = raft.details.applied >= self.ordering.waitsFor && !self.awaitsDisk
            guard self.ordering.waitsFor == 0 || isSettled else { return }
        }
        if self.ordering.waitsFor != 0 {
            self.ordering.waitsFor = 0
            self.ordering.last = self.disk.ledger.last?.block
            self.resumeChange()
        }
        switch self.ordering.change {
        case .voters(let change, isProposed: false):
            self.ordering.change = .voters(change, isProposed: true)
            self.queue(.command(.changeVoters(change)))
            return
        case .voters, .block: return
        case .none: break
        }
        if self.ordering.proposed.isEmpty, let request = self.ordering.request { return self.offer(request) }
        guard !self.ordering.envelopes.isEmpty,
            self.ordering.proposed.count < self.cluster.settings.maxInflightBlocks
        else {
            return
        }
        let batch = Array(self.ordering.envelopes.prefix(3))
        self.ordering.envelopes.removeFirst(batch.count)
        self.offer(self.nextBlock(batch))
    }

    /// A new leader finishes the change of the voters that the newest config block asked for.
    private func resumeChange() {
        guard let voters = self.raft?.voters else { return }
        let consenters = self.consenters
        if let node = consenters.first(where: { !voters.contains($0) }) {
            self.ordering.change = .voters(.add(node), isProposed: false)
        } else if let node = voters.first(where: { !consenters.contains($0) }) {
            self.ordering.change = .voters(.remove(node), isProposed: false)
        } else {
            self.ordering.change = .none
        }
    }

    private func nextBlock(_ envelopes: [UInt64], consenters: [NodeID] = []) -> SimulatedBlock {
        let last = self.ordering.last
        return SimulatedBlock(
            number: (last?.number ?? 0) + 1,
            previousHash: last?.hash ?? 0,
            envelopes: envelopes,
            consenters: consenters
        )
    }

    private func offer(_ block: SimulatedBlock) {
        self.ordering.last = block
        self.ordering.offered.append(block)
        self.queue(.propose(block.bytes))
    }

    /// Fabric's rules: one change, no loss of the quorum, and a leader that is to go hands over first.
    private func offer(_ request: VoterChange) {
        self.ordering.request = nil
        guard let details = self.raft?.details else { return }
        var consenters = self.consenters
        var active = details.activeNodes
        switch request {
        case .add(let node):
            guard !consenters.contains(node) else { return }
            consenters.append(node)
        case .remove(let node):
            guard consenters.contains(node), consenters.count > 1 else { return }
            consenters.removeAll { $0 == node }
            active.removeAll { $0 == node }
            if node == self.id, self.cluster.dice.chance(700) {
                if let next = active.first { self.queue(.command(.transferLeadership(to: next))) }
                return
            }
        }
        // One that is added to a single consenter can't be active yet.
        let isGrowth = request == .add(consenters.last ?? 0) && consenters.count <= 2
        guard isGrowth || active.count > consenters.count / 2 else { return }
        self.ordering.change = .block
        self.offer(self.nextBlock([], consenters: consenters))
    }

    func answered(_ answer: ProposalAnswer, to input: Raft.Input) {
        switch input {
        case .propose:
            guard let block = self.ordering.offered.first else { return }
            self.ordering.offered.removeFirst()
            if case .accepted(let position) = answer {
                self.ordering.proposed.append((position, block))
            } else {
                // Nothing that was made on top of it can be decided.
                self.ordering = Ordering(waitsFor: self.raft?.details.last.index ?? 0)
            }
        case .command(.changeVoters):
            guard case .accepted = answer else {
                self.ordering.isRefused = true
                return
            }
        default: break
        }
    }

    // MARK: - Decisions

    func decided(_ decision: Decision) {
        guard let block = SimulatedBlock(bytes: decision.payload) else {
            return self.cluster.invariants.violated("node \(self.id) decides what is no block")
        }
        var isOwn = false
        if let own = self.ordering.proposed.first, own.position == decision.position {
            self.ordering.proposed.removeFirst()
            isOwn = own.block == block
        }
        guard block.number >= self.height else { return }
        guard block.number == self.height, block.previousHash == self.disk.ledger.last?.block.hash else {
            return self.cluster.invariants.violated(
                "entry \(decision.position) doesn't continue the chain of node \(self.id) at \(self.height)"
            )
        }
        if isOwn, self.isLeader { self.cluster.acknowledge(block, by: self) }
        // Fabric keeps the previous index in a block that changes the consenters.
        let position = block.isConfig ? self.disk.ledger.last?.position ?? 0 : decision.position
        self.append(SimulatedDisk.LedgerBlock(block: block, position: position))
        if block.isConfig {
            self.cluster.configured(block)
            if self.isLeader { self.resumeChange() }
        }
        self.unsyncedBlocks += 1
        guard self.unsyncedBlocks >= self.cluster.settings.releaseBlocks else { return }
        if self.mutation != .releaseBeforeSync {
            self.disk.syncLedger()
            self.unsyncedBlocks = 0
        } else if self.unsyncedBlocks > 2 * self.cluster.settings.releaseBlocks {
            self.disk.syncLedger()
            self.unsyncedBlocks = 0
        }
        self.queue(.released(through: decision.position))
    }

    private func append(_ block: SimulatedDisk.LedgerBlock) {
        self.cluster.invariants.appends(self.id, block.block)
        self.disk.append(block)
    }

    func happened(_ event: RaftEvent) {
        switch event {
        case .recollected: break
        case .votersChanged(_, let change, _):
            if change == .remove(self.id) {
                self.cluster.counts.removed += 1
                self.cluster.trace("node \(self.id) was removed and halts")
                self.crash()
                self.isHalted = true
            } else if case .voters(change, _) = self.ordering.change {
                self.resumeChange()
            }
        case .catchUp(let snapshot):
            self.cluster.counts.catchUps += 1
            self.cluster.trace("node \(self.id) catches up to entry \(snapshot.position.index)")
            self.cluster.schedule(
                .pull(self.id, snapshot, life: self.life),
                at: self.cluster.now + self.cluster.dice.between(5.milliseconds, 300.milliseconds)
            )
        case .refused(_, let reason):
            self.cluster.invariants.violated("node \(self.id) refuses a message: \(reason)")
        }
    }

    /// Blocks were pulled from another orderer, through the one in the snapshot.
    func pulled(_ blocks: [SimulatedDisk.LedgerBlock], for snapshot: RaftSnapshot) {
        for block in blocks where block.block.number == self.height { self.append(block) }
        if self.mutation != .installBeforeSync { self.disk.syncLedger() }
        self.give(.command(.caughtUp(snapshot)))
    }
}
