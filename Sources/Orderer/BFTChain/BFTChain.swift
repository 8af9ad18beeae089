internal import Channel
internal import Consensus
internal import Cryptography
internal import DequeModule
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import Operations
internal import SwiftProtobuf

/// Runs ``BFT`` for one channel against its two stores: the only place that carries out its effects.
///
/// It signs, checks what others signed, validates proposals, and turns decisions into blocks that carry a quorum's
/// signatures. A block counts once a quorum's commit votes make it final; each of them was durable before it left. The
/// block log is synced behind that, at the latest before this node votes on the block after the next.
///
/// Belongs to one thread.
final class BFTChain {
    /// A block that has become part of the chain.
    struct Applied {
        var block: Common_Block
        var fingerprints: [EnvelopeFingerprint]
        /// The configuration that begins to hold, if this is a config block.
        var configuration: ChannelConfiguration?
    }

    /// What some inputs came to.
    struct Progress {
        var applied: [Applied] = []
        /// This node lacks the blocks through this one.
        var behind: BlockNumber?
        /// The view in which this node is now, if it entered one.
        var view: BFTView?
        /// What others did that no honest node does: for the log.
        var faults: [String] = []
        /// Blocks of leaders that this node refused, and why.
        var refusals: [String] = []
    }

    /// What a chain is opened with.
    struct Parts {
        var channelID: ChannelID
        /// The channel's first block, for an empty ledger.
        var genesis: Common_Block?
        var log: BlockLog
        var consensus: any KeyValueStore
        var signer: RenewableIdentity
        var nonce: @Sendable () -> Data
        var date: @Sendable () -> Date
        /// How long writes of the consensus store take to become durable.
        var persisting: HistogramSeries?
        /// What this node knows of envelopes, under the configuration with this sequence.
        var known: (_ envelopes: [EnvelopeFingerprint], _ sequence: UInt64) -> [KnownEnvelope]
        /// Called with envelopes of a leader's block that have passed the checks under that configuration.
        var checked: (_ envelopes: [EnvelopeFingerprint], _ sequence: UInt64) -> Void
        /// Sends a message to another consenter, if it can.
        var send: (BFTMessage) -> Void
    }

    let log: BlockLog
    let id: NodeID
    private(set) var configuration: ChannelConfiguration
    private(set) var consenters: BFTConsenters
    private(set) var membership: ClusterMembership
    private(set) var timing: BFTTiming
    private var bft: BFT
    private var store: BFTStore
    private var gate: BFTGate
    private let parts: Parts
    private let reader = ProposalReader()
    private let signer: BFTSigner
    private var lastConfig: BlockNumber
    private var lastHeader: Common_BlockHeader
    /// Who voted on the newest block.
    private var previousVoters: BFTVoters
    /// The newest block of the log that is durable.
    private var synced: BlockNumber
    /// What the engine is told next.
    private var inputs: Deque<BFT.Input> = []

    /// Opens a channel's stores; `genesis`, its first block, is written if the log is empty.
    ///
    /// - Throws: ``NotConsenter``, ``OrdererError``, ``ChainHalted``, `BFTStateError`, or an error of a store.
    init(_ parts: Parts) throws {
        let log = parts.log
        if log.height == 0 {
            guard let genesis = parts.genesis else { throw OrdererError.noGenesisBlock(parts.channelID) }
            try log.append(genesis, durably: true)
        }
        // Another protocol may have left blocks that are not durable; this one begins behind them.
        try log.sync()
        let newest = try NewestBlocks(log, of: parts.channelID)
        let consenters = try BFTConsenters(newest.configuration)
        guard let own = consenters.own(parts.signer.current) else { throw NotConsenter() }
        self.parts = parts
        self.log = log
        self.id = own.id
        self.lastHeader = newest.last.header
        self.lastConfig = newest.configNumber
        self.synced = newest.last.header.number
        self.configuration = newest.configuration
        self.consenters = consenters
        self.membership = ClusterMembership(bft: consenters, configuration: newest.configuration)
        self.timing = BFTTiming(consenters.options)
        self.signer = BFTSigner(channel: parts.channelID, signer: parts.signer, nonce: parts.nonce)

        var store = BFTStore(parts.consensus)
        if try !store.hasBegun {
            // One that has promised something before has copied what it needs.
            try store.begin(at: log.height)
        }
        let state = try store.load()
        self.store = store
        let keys = BFTVoterKeys(consenters, newest.configuration)
        let (held, previousKeys) = try Self.held(newest, log, consenters, keys)
        self.gate = BFTGate(keys: keys, previousKeys: previousKeys)
        self.previousVoters = held.previousVoters
        do {
            self.bft = try BFT(
                id: own.id,
                configuration: self.timing.configuration,
                restoring: state,
                held: held,
                digest: { [reader] in reader.digest($0) }
            )
        } catch {
            throw ChainHalted(reason: error.reason)
        }
    }

    /// What the engine must know of the newest block, and the keys of those who voted on it.
    private static func held(
        _ newest: NewestBlocks,
        _ log: BlockLog,
        _ consenters: BFTConsenters,
        _ keys: BFTVoterKeys
    ) throws -> (BFTHeld, BFTVoterKeys) {
        let voters = BFTVoters(consenters.identifiers)
        var previousVoters = voters
        var previousKeys = keys
        let number = newest.last.header.number
        if newest.last.isConfigBlock, number > 0, let before = try Self.configuration(before: number, log),
            let previous = try? BFTConsenters(before)
        {
            previousVoters = BFTVoters(previous.identifiers)
            previousKeys = BFTVoterKeys(previous, before)
        }
        let certificate = try Self.certificate(of: newest.last, previousKeys, before: previousVoters)
        var held = BFTHeld(
            height: number,
            certificate: certificate,
            previousVoters: previousVoters,
            voters: voters
        )
        held.payload = try certificate.map { _ in try ProposedBlock(final: newest.last).payload }
        return (held, previousKeys)
    }

    /// The configuration in force before a config block.
    private static func configuration(before number: BlockNumber, _ log: BlockLog) throws
        -> ChannelConfiguration?
    {
        guard let block = try log.block(number - 1) else { return nil }
        let config = block.isConfigBlock ? block.header.number : try block.lastConfigNumber()
        guard let configBlock = try log.block(config) else { return nil }
        return try ChannelConfiguration(configBlock: configBlock)
    }

    /// What makes a block of the ledger final; `nil` if another protocol ordered it.
    private static func certificate(
        of block: Common_Block,
        _ keys: BFTVoterKeys,
        before voters: BFTVoters
    ) throws -> BFTCertificate? {
        guard let round = try? BFTRound(of: block), round.height == block.header.number,
            let certificate = try keys.certificate(of: block), certificate.signatures.count >= voters.quorum
        else { return nil }
        return certificate
    }

    // MARK: - Looking

    /// Where this node is.
    var details: BFTStatus { self.bft.details }

    /// The number of the next block.
    var height: BlockNumber { self.bft.height }

    /// Whether blocks of the log wait to become durable.
    var isUnsynced: Bool { self.synced < self.lastHeader.number }

    var hasInputs: Bool { !self.inputs.isEmpty }

    /// Makes the block that comes next.
    func nextBlock(_ envelopes: [Data]) -> Common_Block {
        .next(after: self.lastHeader, envelopes: envelopes)
    }

    // MARK: - Stepping

    /// Proposes a block; `false` if it can't be proposed just now.
    func propose(_ block: Common_Block, _ progress: inout Progress) throws -> Bool {
        let lastConfig = block.isConfigBlock ? block.header.number : self.lastConfig
        let proposed = try ProposedBlock(block, lastConfig: lastConfig)
        self.reader.remember(proposed)
        let effects = self.bft.step(.propose(proposed.payload))
        var isProposed = false
        if case .accepted = effects.proposal { isProposed = true }
        try self.carryOut(effects, &progress)
        try self.work(&progress)
        return isProposed
    }

    /// Takes what other consenters sent, after looking at every signature in it.
    func receive(_ messages: [BFTMessage]) {
        for message in messages {
            self.inputs += self.gate.admit(message, at: self.bft.details).map { .received($0) }
        }
    }

    /// Feeds inputs in and carries out what they come to.
    func take(_ inputs: [BFT.Input], _ progress: inout Progress) throws {
        self.inputs += inputs
        try self.work(&progress)
    }

    /// Works until the engine has nothing more to say; everything that waits is made durable with one write.
    private func work(_ progress: inout Progress) throws {
        while !self.inputs.isEmpty {
            var effects = BFT.Effects()
            let height = self.bft.height
            while let input = self.inputs.popFirst() { effects.merge(self.bft.step(input)) }
            if self.bft.height != height { self.receive(self.gate.takeEarly()) }
            try self.carryOut(effects, &progress)
        }
    }

    private func carryOut(_ effects: BFT.Effects, _ progress: inout Progress) throws {
        if let contradiction = effects.contradiction { throw ChainHalted(reason: contradiction) }
        for message in effects.earlyMessages { self.parts.send(message) }
        if let write = effects.write {
            let start = ContinuousClock.now
            try self.store.carryOut(write)
            self.parts.persisting?.record(ContinuousClock.now - start)
            self.inputs.append(.stored(write.number))
        }
        var decisions = effects.decisions[...]
        for event in effects.events {
            if case .final(let certificate) = event {
                guard let decision = decisions.popFirst() else {
                    throw ChainHalted(reason: "block \(certificate.height) is final and missing")
                }
                progress.applied.append(try self.apply(decision, certificate))
            } else {
                try self.carryOut(event, &progress)
            }
        }
        for message in effects.messages { self.parts.send(message) }
    }

    private func carryOut(_ event: BFTEvent, _ progress: inout Progress) throws {
        switch event {
        case .sign(let statement):
            let signature = try self.signer.sign(statement, as: self.id)
            self.gate.trust(
                BFTClaim(statement: statement, signature: BFTSignature(signer: self.id, bytes: signature))
            )
            self.inputs.append(.command(.signed(statement, signature)))
        case .validate(let ballot, let payload):
            let fault = self.fault(of: payload, ballot, after: progress.applied)
            if let fault {
                progress.refusals.append(
                    "block \(ballot.round.height) in view \(ballot.round.view): \(fault)"
                )
            }
            self.inputs.append(.command(.validated(ballot, isValid: fault == nil)))
        case .final: break
        case .behind(let through): progress.behind = max(progress.behind ?? 0, through)
        case .entered(_, let view, _): progress.view = view
        case .equivocation(let node, let first, let second):
            progress.faults.append(
                "consenter \(node) signed two different votes for block \(first.round.height) in view "
                    + "\(second.round.view)"
            )
        case .refused(let node, let reason):
            progress.faults.append("consenter \(node) sent what no honest one sends: \(reason)")
        }
    }

    /// Why a leader's block can't be; `nil` if it can.
    ///
    /// `applied` are blocks before it that nobody besides this chain knows of yet.
    private func fault(of payload: [UInt8], _ ballot: BFTBallot, after applied: [Applied]) -> String? {
        let sequence = self.configuration.sequence
        let ordered = Set(applied.flatMap(\.fingerprints))
        let rules = ProposalRules(
            configuration: self.configuration,
            previous: self.lastHeader,
            lastConfig: self.lastConfig,
            updates: ConfigUpdateProcessing(
                rules: EnvelopeRules(
                    configuration: self.configuration,
                    now: self.parts.date(),
                    checksExpiration: false
                ),
                signer: self.parts.signer.current,
                nonce: self.parts.nonce
            )
        )
        do {
            let checked = try rules.check(self.reader.block(payload), ballot) { fingerprints in
                zip(fingerprints, self.parts.known(fingerprints, sequence)).map { fingerprint, known in
                    ordered.contains(fingerprint) ? .ordered : known
                }
            }
            if !checked.isEmpty { self.parts.checked(checked, sequence) }
            return nil
        } catch {
            return "\(error)"
        }
    }

    // MARK: - Blocks

    /// Appends a block that became final.
    private func apply(_ decision: Decision, _ certificate: BFTCertificate) throws -> Applied {
        let proposed: ProposedBlock
        do {
            proposed = try self.reader.block(decision.payload)
            try proposed.block.checkStructure(after: self.lastHeader, expected: self.lastHeader.number + 1)
        } catch {
            throw ChainHalted(
                reason: "the final block \(certificate.height) does not continue the chain: \(error)"
            )
        }
        var block = proposed.block
        try block.finish(with: certificate, lastConfig: proposed.lastConfig)
        let applied = try self.append(block)
        // A vote at the next height keeps this block; one further on would not.
        if self.lastHeader.number - self.synced > 1 { try self.syncLog() }
        self.inputs.append(.command(.held(self.held(certificate))))
        return applied
    }

    /// Appends a block that other orderers have signed; ``pulled(_:)`` ends a series of them.
    func append(pulled block: Common_Block) throws -> Applied {
        try block.checkStructure(after: self.lastHeader, expected: self.lastHeader.number + 1)
        try block.verifySignatures(under: self.configuration)
        return try self.append(block)
    }

    /// Goes on behind the blocks that were pulled.
    func pulled(_ progress: inout Progress) throws {
        guard self.lastHeader.number >= self.bft.height, let last = try self.log.block(self.lastHeader.number)
        else { return }
        try self.syncLog()
        let certificate = try Self.certificate(
            of: last,
            self.gate.previousKeys,
            before: self.previousVoters
        )
        var held = self.held(certificate)
        held.payload = try certificate.map { _ in try ProposedBlock(final: last).payload }
        self.inputs.append(.command(.held(held)))
        try self.work(&progress)
    }

    private func held(_ certificate: BFTCertificate?) -> BFTHeld {
        BFTHeld(
            height: self.lastHeader.number,
            certificate: certificate,
            previousVoters: self.previousVoters,
            voters: BFTVoters(self.consenters.identifiers)
        )
    }

    private func append(_ block: Common_Block) throws -> Applied {
        let configuration = block.isConfigBlock ? try self.configuration(from: block) : nil
        let next = try configuration.map { try self.consenters(of: $0, block.header.number) }
        do {
            try self.log.append(block, durably: false)
        } catch {
            throw DiskFailure(description: "\(error)")
        }
        self.lastHeader = block.header
        self.previousVoters = BFTVoters(self.consenters.identifiers)
        if let configuration, let next {
            self.configuration = configuration
            self.lastConfig = block.header.number
            self.consenters = next
            self.membership = ClusterMembership(bft: next, configuration: configuration)
            self.timing = BFTTiming(next.options)
            self.bft.configuration = self.timing.configuration
            self.gate.enter(BFTVoterKeys(next, configuration))
        } else {
            self.gate.enter(nil)
        }
        return Applied(
            block: block,
            fingerprints: block.data.data.map { EnvelopeFingerprint($0) },
            configuration: configuration
        )
    }

    private func configuration(from block: Common_Block) throws -> ChannelConfiguration {
        do {
            let configuration = try ChannelConfiguration(configBlock: block)
            try configuration.checkCapabilities()
            return configuration
        } catch {
            throw ChainHalted(
                reason: "block \(block.header.number) carries an unusable configuration: \(error)"
            )
        }
    }

    private func consenters(of configuration: ChannelConfiguration, _ number: BlockNumber) throws
        -> BFTConsenters
    {
        do {
            return try BFTConsenters(configuration)
        } catch {
            throw ChainHalted(reason: "block \(number) has consenters that can't be: \(error)")
        }
    }

    // MARK: - Durability

    /// Makes the log durable and tells the engine.
    func sync(_ progress: inout Progress) throws {
        try self.syncLog()
        try self.work(&progress)
    }

    private func syncLog() throws {
        do {
            try self.log.sync()
        } catch {
            throw DiskFailure(description: "\(error)")
        }
        self.synced = self.lastHeader.number
        self.inputs.append(.released(through: self.synced))
    }

    /// Makes the log durable, so that the next start need not look for more.
    func close() throws { try self.log.sync() }
}
