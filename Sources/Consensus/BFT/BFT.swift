/// Byzantine fault tolerant ordering for one channel: a pure step function.
///
/// One block after the other is agreed on, each in the two phases of HotStuff-2 with votes sent to everybody: the
/// leader proposes, all prepare, all commit. A view that doesn't get there in time is given up by a quorum, whose
/// timeout certificate carries the highest lock into the next one, as in Jolteon. The rules are in `BFTRules.swift`,
/// a function each; docs/decisions/0032-bft-protocol.md says why this is safe and live for every n.
///
/// What the driver does besides the contract of ``ConsensusEngine``:
/// - It signs what ``BFTEvent/sign(_:)`` names and checks the ``BFTMessage/claims`` of what it receives.
/// - It validates proposals, and answers every decision with ``BFTCommand/held(_:)``.
/// - It sees to it that requests reach every node, and says when they wait or wait too long.
///
/// Sources: Malkhi and Nayak, "HotStuff-2: Optimal Two-Phase Responsive BFT", 2023; Gelashvili, Kokoris-Kogias,
/// Sonnino, Spiegelman and Xiang, "Jolteon and Ditto: Network-Adaptive Efficient Consensus with Asynchronous
/// Fallback", 2021.
package struct BFT: ConsensusEngine {
    package typealias Message = BFTMessage
    package typealias Write = BFTWrite
    package typealias Command = BFTCommand
    package typealias Event = BFTEvent
    package typealias Input = ConsensusInput<BFT>
    package typealias Effects = ConsensusEffects<BFT>

    package let id: NodeID
    /// How long this node waits; the driver may change it.
    package var configuration: BFTConfiguration
    let digest: @Sendable ([UInt8]) -> [UInt8]

    // The height.

    /// The last block that the driver holds.
    var held: BFTHeld
    /// The number of the last block that the driver holds durably.
    var released: UInt64
    /// The last decision, if this node has its payload: to help others, and until it is durable elsewhere.
    var last: BFTDecided?
    /// The block at ``height`` is decided, but the driver hasn't taken it yet.
    var isDecided = false
    /// What makes the block at ``height`` final, while its payload is missing.
    var final: BFTCertificate?

    // What this node promised at this height; see `BFTRecord`.

    var view: BFTView = 0
    var firstView: BFTView = 0
    var ticket: BFTTicket = .founding
    var voted: BFTBallot?
    var lock: BFTCertificate?
    var timedOut = false
    /// The blocks that this node voted for at this height, oldest first.
    var payloads: [BFTPayload] = []

    // What it knows of this height.

    /// The leader's proposal in this view, which may be this node's own.
    var proposal: BFTProposal?
    var tally = BFTTally()
    var verdicts: [[UInt8]: BFTVerdict] = [:]
    /// A payload that this node asked others for.
    var wanted: [UInt8]?
    var fetched: BFTPayload?
    /// What others sent for the next height.
    var early = BFTEarlyMessages()

    // Time, and what the driver told.

    var requestsWait = false
    var complained: BFTView?
    var ticksInView: UInt64 = 0
    var ticksSinceResend: UInt64 = 0
    /// At which height each node claims to be.
    var heights: [NodeID: UInt64] = [:]
    /// The height at which this node was at the last repeat, if it looked behind then.
    var lookedBehindAt: UInt64?
    /// How often each node was helped since the last repeat.
    var answers: [NodeID: Int] = [:]
    /// Which nodes were sent a block since the last repeat.
    var payloadAnswers: Set<NodeID> = []

    // What the next write holds.

    var lastWriteNumber: UInt64 = 0
    var recordChanged = false
    var newPayloads: [BFTPayload] = []
    /// The digests of the payloads that the last write left in the store.
    var stored: [[UInt8]] = []
    /// After a start: the decision that the driver doesn't hold, and whether promises must be signed again.
    var isRestored = true

    /// Continues from what is on disk.
    ///
    /// `held` is the last block that the driver holds durably. `digest` maps a block to bytes that stand for it; it
    /// must be collision-free, and everything that Fabric's block signature covers besides the round must follow
    /// from these bytes.
    ///
    /// - Throws: ``BFTStateError`` if blocks are gone that this node voted on.
    package init(
        id: NodeID,
        configuration: BFTConfiguration,
        restoring state: BFTState,
        held: BFTHeld,
        digest: @escaping @Sendable ([UInt8]) -> [UInt8]
    ) throws(BFTStateError) {
        self.id = id
        self.configuration = configuration
        self.digest = digest
        self.held = held
        self.held.payload = nil
        self.last = Self.decided(held)
        self.released = held.height
        self.stored = state.payloads.map(\.digest)
        self.enterHeight()
        guard let record = state.record, record.height > held.height else { return }
        try self.restore(record, state.payloads)
    }

    private mutating func restore(
        _ record: BFTRecord,
        _ stored: [BFTPayload]
    ) throws(BFTStateError) {
        if record.height == self.height {
            self.view = record.view
            self.ticket = record.ticket
            self.voted = record.voted
            self.lock = record.lock
            self.timedOut = record.timedOut
            self.payloads = stored.filter { $0.digest != record.previous?.ballot.digest }
            for payload in self.payloads { self.verdicts[payload.digest] = .valid }
            return
        }
        guard let previous = record.previous, previous.height == self.height,
            let payload = stored.first(where: { $0.digest == previous.ballot.digest })
        else {
            throw BFTStateError(
                reason: "this node voted on block \(record.height) but holds blocks only through "
                    + "\(self.held.height): its ledger was lost or replaced; add it as a new consenter"
            )
        }
        // The driver gets this decision again. What was promised one height further comes back when it is taken.
        self.last = BFTDecided(certificate: previous, payload: payload.bytes)
        self.isDecided = true
        self.promised = BFTState(record: record, payloads: stored)
    }

    /// Promises at the height after a decision that is being told again.
    private var promised: BFTState?

    package var height: UInt64 { self.held.height &+ 1 }
    var voters: BFTVoters { self.held.voters }
    var leader: NodeID? { self.voters.leader(of: self.view) }
    var isLeader: Bool { self.leader == self.id }

    package var status: ConsensusStatus {
        ConsensusStatus(isLeader: self.isLeader, leader: self.leader, term: self.view)
    }

    package var details: BFTStatus {
        BFTStatus(
            height: self.height,
            view: self.view,
            leader: self.leader,
            proposable: self.mayPropose && self.obligation == nil ? self.round : nil,
            decided: self.held.certificate?.ballot,
            lock: self.lock?.ballot,
            hasTimedOut: self.timedOut,
            voters: self.voters
        )
    }

    package mutating func step(_ input: Input) -> Effects {
        var effects = Effects()
        if self.isRestored {
            self.isRestored = false
            self.repeatPromises(&effects)
        }
        switch input {
        case .tick: self.tick(&effects)
        case .received(let message): self.receive(message, &effects)
        case .propose(let payload): self.propose(payload, &effects)
        case .stored: break  // Nothing waits for it: events and messages are carried out behind the write.
        case .released(let height): self.released = max(self.released, height)
        case .command(let command): self.take(command, &effects)
        }
        self.applyRules(&effects)
        self.write(&effects)
        return effects
    }

    private mutating func take(_ command: BFTCommand, _ effects: inout Effects) {
        switch command {
        case .signed(let statement, let signature): self.signed(statement, signature, &effects)
        case .validated(let ballot, let isValid):
            guard ballot.round.height == self.height, self.verdicts[ballot.digest] == .asked else { return }
            self.verdicts[ballot.digest] = isValid ? .valid : .invalid
        case .held(let held): self.take(held, &effects)
        case .requestsWait(let wait): self.requestsWait = wait
        case .complain(let view):
            if view == self.view { self.complained = view }
        }
    }

    /// What must be signed again after a restart, and the decision that the driver missed.
    private mutating func repeatPromises(_ effects: inout Effects) {
        if self.isDecided, let last = self.last {
            effects.decisions.append(Decision(position: self.height, payload: last.payload))
            effects.events.append(.final(last.certificate))
            return
        }
        if let voted = self.voted, voted.round.view == self.view {
            effects.events.append(.sign(.vote(.prepare, voted)))
            if self.isLeader, let payload = self.payload(of: voted.digest) {
                self.proposal = BFTProposal(
                    ballot: voted,
                    payload: payload,
                    ticket: self.ticket,
                    signature: []
                )
            }
        }
        if let lock = self.lock, lock.view == self.view {
            effects.events.append(.sign(.vote(.commit, lock.ballot)))
        }
        if self.timedOut {
            effects.events.append(.sign(self.timeoutStatement))
        }
    }

    /// The block that is held, to show to those who lack it.
    private static func decided(_ held: BFTHeld) -> BFTDecided? {
        held.certificate.flatMap { certificate in
            held.payload.map { BFTDecided(certificate: certificate, payload: $0) }
        }
    }

    /// The driver holds a block: the one that was decided, or later ones that it pulled.
    private mutating func take(_ held: BFTHeld, _ effects: inout Effects) {
        guard held.height >= self.height else { return }
        if held.height != self.height || !self.isDecided {
            // One that pulled a block may be the only one near who can show it to others.
            self.last = Self.decided(held)
        }
        self.held = held
        self.held.payload = nil
        self.enterHeight()
        if let promised = self.promised {
            self.promised = nil
            if let record = promised.record, record.height == self.height {
                do {
                    try self.restore(record, promised.payloads)
                    self.repeatPromises(&effects)
                } catch {
                    effects.contradiction = error.reason
                }
            }
        }
        effects.events.append(.entered(height: self.height, view: self.view, leader: self.leader))
        for message in self.early.take(at: self.height) { self.receive(message, &effects) }
    }

    /// A height begins in the view in which the block before was decided.
    private mutating func enterHeight() {
        self.ticket = self.held.certificate.map { .decided($0) } ?? .founding
        self.view = self.held.certificate?.view ?? 0
        self.firstView = self.view
        self.isDecided = false
        self.final = nil
        self.voted = nil
        self.lock = nil
        self.timedOut = false
        self.payloads = []
        self.proposal = nil
        self.tally = BFTTally()
        self.verdicts = [:]
        self.wanted = nil
        self.fetched = nil
        self.ticksInView = 0
        if self.complained != self.view { self.complained = nil }
    }

    /// Asks for one write if this step changed what was promised.
    private mutating func write(_ effects: inout Effects) {
        guard self.recordChanged else { return }
        self.recordChanged = false
        let previous = self.released < self.held.height ? self.last : nil
        var digests = self.payloads.map(\.digest)
        var payloads = self.newPayloads
        if let previous {
            digests.append(previous.certificate.ballot.digest)
            payloads.append(BFTPayload(digest: previous.certificate.ballot.digest, bytes: previous.payload))
        }
        payloads.removeAll { self.stored.contains($0.digest) }
        self.stored = digests
        self.newPayloads = []
        self.lastWriteNumber += 1
        let record = BFTRecord(
            height: self.height,
            view: self.view,
            ticket: self.ticket,
            voted: self.voted,
            lock: self.lock,
            timedOut: self.timedOut,
            previous: previous?.certificate,
            digests: digests
        )
        effects.write = BFTWrite(number: self.lastWriteNumber, record: record, payloads: payloads)
    }
}

/// A final block with what proves it.
struct BFTDecided: Hashable, Sendable {
    var certificate: BFTCertificate
    var payload: [UInt8]
}

/// What the driver thinks of a block.
enum BFTVerdict: Sendable {
    case asked
    case valid
    case invalid
}
