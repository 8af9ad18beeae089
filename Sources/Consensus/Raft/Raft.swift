/// Raft for one channel: a pure step function with etcd's semantics.
///
/// Messages, terms, votes, the empty entry of a new leader, pre-votes, the leader's lease, the hand-over of
/// leadership, changes of one voter at a time that take effect when they are committed and applied, and what is stored
/// are those of etcd's Raft, so that nodes of both kinds form one cluster. A vote, also one's own, counts only when it
/// is durable; so does an entry. A leader's appends need not wait for its own disk.
///
/// A node whose log is empty and that knows no voters joins: it waits for a leader to feed it.
///
/// - Source: Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm"; Ongaro, "Consensus: Bridging
///   Theory and Practice" (sections of it are called "thesis" here); etcd's raft package.
package struct Raft: ConsensusEngine {
    package typealias Message = RaftMessage
    package typealias Write = RaftWrite
    package typealias Command = RaftCommand
    package typealias Event = RaftEvent
    package typealias Input = ConsensusInput<Raft>
    package typealias Effects = ConsensusEffects<Raft>

    /// A write on its way to the disk.
    private struct PendingWrite: Sendable {
        var number: UInt64
        /// How far the log is durable once this is.
        var last: UInt64
        var hardState: RaftHardState
    }

    package let id: NodeID
    let configuration: RaftConfiguration
    package internal(set) var hardState: RaftHardState
    /// Who has votes, by the entries that were delivered.
    package internal(set) var voters: [NodeID]
    var log: RaftLog
    var start: RaftLogStart

    var role: RaftStatus.Role = .follower
    var leader: NodeID?
    /// What a candidate, or who would be one, was answered.
    var votes: [NodeID: Bool] = [:]
    var electionElapsed = 0
    var heartbeatElapsed = 0
    /// After how many ticks without a leader this node campaigns.
    var electionTimeout: Int
    var random: RaftRandom

    /// A leader's view of the other voters.
    var progress: [NodeID: RaftProgress] = [:]
    var transferee: NodeID?
    /// No other change of the voters is proposed before this entry is delivered.
    var lastChange: UInt64 = 0

    /// What is to be found out before this node votes, if it has lost what it promised.
    var recollection: RaftRecollection?

    /// The snapshot that the driver is catching up with.
    var catchingUp: RaftPosition?
    /// The last entry whose effect the driver has been told.
    var delivered: UInt64
    /// The driver had the decisions through this entry when it started.
    var held: UInt64

    /// What this step changed and must be stored.
    var unsaved: RaftWrite?
    /// The log is durable here through this entry.
    private(set) var stable: UInt64
    /// What is durable of the hard state.
    private(set) var durable: RaftHardState
    /// What the last write holds of the hard state.
    private var written: RaftHardState
    private var pendingWrites: [PendingWrite] = []
    private var lastWriteNumber: UInt64 = 0

    /// Continues from what is on disk.
    ///
    /// `delivered` is the position of the last decision that the driver has elsewhere; decisions through it are not
    /// told again. It may lie beyond the log, since a ledger can be filled from other orderers.
    ///
    /// `forgotten` are the other voters where this node may have been one before and lost its consensus store: it votes
    /// again after ``RaftEvent/recollected``. The driver remembers until then, durably, that it has to.
    ///
    /// - Throws: ``RaftStateError`` if no correct node can have written `state`.
    package init(
        id: NodeID,
        configuration: RaftConfiguration,
        restoring state: RaftState,
        delivered: UInt64,
        forgotten: [NodeID]? = nil
    ) throws(RaftStateError) {
        self.id = id
        self.configuration = configuration
        self.hardState = state.hardState
        self.durable = state.hardState
        self.written = state.hardState
        self.log = try RaftLog(start: state.start.position, entries: state.entries)
        self.start = state.start
        self.voters = state.start.voters
        self.stable = self.log.last.index
        self.delivered = state.start.position.index
        self.held = delivered
        self.recollection = forgotten.map { RaftRecollection(others: $0) }
        self.random = RaftRandom(state: configuration.seed)
        self.electionTimeout = max(1, configuration.electionTicks)
        try self.check(state)
        self.restartElectionTimer()
    }

    private func check(_ state: RaftState) throws(RaftStateError) {
        let commit = state.hardState.commit
        guard commit <= self.log.last.index else {
            throw RaftStateError(
                reason: "entry \(commit) is committed but the last one is \(self.log.last.index)"
            )
        }
        guard commit >= self.start.position.index else {
            throw RaftStateError(
                reason: "entries through \(self.start.position.index) are released "
                    + "but only those through \(commit) are committed"
            )
        }
        guard self.log.last.term <= state.hardState.term else {
            throw RaftStateError(
                reason:
                    "an entry has term \(self.log.last.term), later than the node's term \(state.hardState.term)"
            )
        }
        guard self.voters(through: self.log.last.index) == [self.id] else { return }
        // Nobody else can have what this node has not.
        guard self.held <= self.log.last.index else {
            throw RaftStateError(
                reason:
                    "the ledger holds the block of entry \(self.held) but the last entry is \(self.log.last.index)"
            )
        }
    }

    package var status: ConsensusStatus {
        ConsensusStatus(isLeader: self.role == .leader, leader: self.leader, term: self.hardState.term)
    }

    /// Everything that this node knows of itself and the others.
    package var details: RaftStatus {
        RaftStatus(
            role: self.role,
            leader: self.leader,
            term: self.hardState.term,
            voters: self.voters,
            commit: self.hardState.commit,
            applied: self.delivered,
            last: self.log.last,
            transferee: self.transferee,
            followers: self.progress.mapValues(\.follower),
            unheard: self.recollection.map { $0.missing.sorted() }
        )
    }

    package mutating func step(_ input: Input) -> Effects {
        var effects = Effects()
        // After a restart, so that it is known who has votes.
        self.deliver(&effects)
        switch input {
        case .tick: self.tick(&effects)
        case .received(let message): self.receive(message, &effects)
        case .propose(let payload): self.propose(payload, &effects)
        case .stored(let number): self.stored(number, &effects)
        case .released(let index): self.release(through: index)
        case .command(let command): self.obey(command, &effects)
        }
        self.deliver(&effects)
        self.save(&effects)
        return effects
    }

    private mutating func obey(_ command: RaftCommand, _ effects: inout Effects) {
        switch command {
        case .campaign: self.campaign(.preVote, &effects)
        case .transferLeadership(let node): self.transferLeadership(to: node, &effects)
        case .changeVoters(let change): self.propose(change, &effects)
        case .recollect(let others): self.recollect(from: others)
        case .unreachable(let node): self.progress[node]?.unreachable()
        case .snapshotSent(let node, let success): self.progress[node]?.snapshotSent(success: success)
        case .caughtUp(let snapshot): self.install(snapshot, &effects)
        case .catchUpFailed: self.catchingUp = nil
        }
    }

    // MARK: - What is durable

    /// Notes that entries were put into the log behind `first`, to be stored with this step.
    mutating func saveEntries(_ entries: [RaftEntry]) {
        guard let first = entries.first?.position.index else { return }
        // What is overwritten is not durable any more, even if its write has yet to finish.
        self.stable = min(self.stable, first &- 1)
        for offset in self.pendingWrites.indices {
            self.pendingWrites[offset].last = min(self.pendingWrites[offset].last, first &- 1)
        }
        var write = RaftWrite(number: 0)
        write.entries = entries
        self.mergeUnsaved(write)
    }

    mutating func mergeUnsaved(_ write: RaftWrite) {
        if self.unsaved == nil { self.unsaved = write } else { self.unsaved?.merge(write) }
    }

    /// Asks for one write of everything that this step changed.
    ///
    /// The commit index alone is not worth one: it is found again.
    private mutating func save(_ effects: inout Effects) {
        let isNewTerm = self.hardState.term != self.written.term || self.hardState.vote != self.written.vote
        guard var write = self.unsaved ?? (isNewTerm ? RaftWrite(number: 0) : nil) else { return }
        self.unsaved = nil
        self.lastWriteNumber += 1
        write.number = self.lastWriteNumber
        write.hardState = self.hardState
        self.written = self.hardState
        self.pendingWrites.append(
            PendingWrite(number: write.number, last: self.log.last.index, hardState: self.hardState)
        )
        effects.write = write
    }

    private mutating func stored(_ number: UInt64, _ effects: inout Effects) {
        guard number <= self.lastWriteNumber else {
            effects.contradiction =
                "write \(number) is reported durable but only \(self.lastWriteNumber) were asked for"
            return
        }
        while let write = self.pendingWrites.first, write.number <= number {
            self.pendingWrites.removeFirst()
            self.stable = write.last
            self.durable = write.hardState
        }
        switch self.role {
        case .candidate: self.countOwnVote(&effects)
        case .leader: self.advanceCommit(&effects)
        case .follower: self.finishRecollection(&effects)
        case .preCandidate: break
        }
    }

    /// The log is durable through a snapshot as soon as the write that holds it is; nothing before it is needed.
    mutating func restartLog(behind snapshot: RaftSnapshot) {
        self.log.restart(behind: snapshot.position)
        self.start = RaftLogStart(position: snapshot.position, voters: snapshot.voters)
        self.stable = snapshot.position.index
        for offset in self.pendingWrites.indices {
            self.pendingWrites[offset].last = snapshot.position.index
        }
        var write = RaftWrite(number: 0)
        write.clearsLog = true
        write.start = self.start
        self.mergeUnsaved(write)
    }

    /// Drops what the driver has durable elsewhere; an entry that is not yet committed and told stays.
    private mutating func release(through index: UInt64) {
        let index = min(index, self.delivered)
        guard index > self.start.position.index, let term = self.log.term(at: index) else { return }
        let voters = self.voters(through: index)
        self.log.discard(through: index)
        self.start = RaftLogStart(position: RaftPosition(index: index, term: term), voters: voters)
        var write = RaftWrite(number: 0)
        write.start = self.start
        self.mergeUnsaved(write)
    }

    // MARK: - What is decided

    /// Tells the driver what is committed and durable here, and applies changes of the voters.
    private mutating func deliver(_ effects: inout Effects) {
        while self.delivered < min(self.hardState.commit, self.stable) {
            guard let entry = self.log.entry(at: self.delivered + 1) else { break }
            self.delivered += 1
            if let change = entry.change {
                entry.changeVoters(&self.voters)
                effects.events.append(
                    .votersChanged(position: self.delivered, change: change, voters: self.voters)
                )
                self.applied(change, &effects)
            } else if case .payload(let payload) = entry.content, self.delivered > self.held {
                effects.decisions.append(Decision(position: self.delivered, payload: payload))
            }
        }
    }

    /// Who has votes after the entry at `index`, which is not released.
    private func voters(through index: UInt64) -> [NodeID] {
        var voters = self.start.voters
        var next = self.start.position.index
        while next < index, let entry = self.log.entry(at: next + 1) {
            next += 1
            entry.changeVoters(&voters)
        }
        return voters
    }

    /// How many nodes are more than half of the voters.
    var quorum: Int { self.voters.count / 2 + 1 }
}

/// A small generator of numbers that are random enough to keep elections apart, and always the same for a seed.
///
/// Source: Steele, Lea and Flood, "Fast Splittable Pseudorandom Number Generators", 2014.
struct RaftRandom: Sendable {
    var state: UInt64

    mutating func next(below bound: Int) -> Int {
        self.state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = self.state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        mixed ^= mixed >> 31
        return Int(mixed % UInt64(max(1, bound)))
    }
}
