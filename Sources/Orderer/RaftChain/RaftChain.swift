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

/// A contradiction that no retry can repair: the chain of one channel stops.
struct ChainHalted: Error, CustomStringConvertible {
    var reason: String

    var description: String { "the chain of this channel has stopped: \(self.reason)" }
}

/// This node is not, or no longer, one of the channel's consenters: it follows the channel instead.
struct NotConsenter: Error {}

/// Runs ``Raft`` for one channel against its two stores: the only place that carries out its effects.
///
/// A block counts once its entry is durable in `consensus` on a quorum; the block log is filled from there without
/// waiting for the disk, and synced before entries are released. So a batch costs one write that reaches the disk. After
/// a crash the log may lack blocks whose entries are there: they are decided again.
///
/// Belongs to one thread.
final class RaftChain {
    /// A block that has become part of the chain.
    struct Applied {
        var block: Common_Block
        /// Where its entry stands.
        var position: UInt64
        /// The configuration that begins to hold, if this is a config block.
        var configuration: ChannelConfiguration?
    }

    /// What some inputs came to.
    struct Progress {
        var applied: [Applied] = []
        /// This node lacks more than the leader's log still has.
        var catchUp: RaftSnapshot?
        /// This node had lost what it promised the others, and votes again.
        var isRecollected = false
        /// What was refused, and why: for the log.
        var refused: [String] = []

        fileprivate mutating func add(_ next: Progress) {
            self.applied += next.applied
            self.isRecollected = self.isRecollected || next.isRecollected
            self.catchUp = next.catchUp ?? self.catchUp
            self.refused += next.refused
        }
    }

    /// What a chain is opened with.
    struct Parts {
        var channelID: ChannelID
        /// The channel's first block, for an empty ledger.
        var genesis: Common_Block?
        var log: BlockLog
        var consensus: any KeyValueStore
        /// The key of the node's TLS server certificate, by which it finds itself among the consenters.
        var serverKey: PublicKey?
        var signer: RenewableIdentity
        var nonce: () -> Data
        /// The log is synced after this many bytes of blocks.
        var unsyncedBytes = OrdererLimits().unsyncedBlockBytes
        /// Randomizes elections; another number at every start.
        var seed: UInt64 = 0
        /// How long batches of the consensus store take to become durable.
        var persisting: HistogramSeries?
        /// Sends a message to another consenter, if it can.
        var send: (RaftMessage) -> Void = { _ in }
    }

    let log: BlockLog
    let id: NodeID
    /// Whether the channel begins with this opening.
    let isFounding: Bool
    private(set) var configuration: ChannelConfiguration
    private(set) var consenters: RaftConsenters
    private(set) var membership: ClusterMembership
    private(set) var metadata: ConsenterMetadata
    /// Whether the newest block made the channel one of BFT consenters: Raft orders nothing behind it.
    private(set) var isMigrated = false
    private var raft: Raft
    private var store: RaftStore
    private let signer: RenewableIdentity
    private let nonce: () -> Data
    private let persisting: HistogramSeries?
    private let send: (RaftMessage) -> Void
    private let mostUnsyncedBytes: Int
    /// The other consenters of which the engine was told last.
    private var asked: [NodeID]
    private var lastConfig: BlockNumber
    private var lastHeader: Common_BlockHeader
    /// The header of the newest block that this leader proposed.
    private var lastProposed: Common_BlockHeader?
    /// Blocks that wait to be decided, so that they need not be decoded again.
    private var proposed: Deque<(position: UInt64, block: Common_Block, bytes: [UInt8])> = []
    private var unsyncedBytes = 0
    private var lastPosition: UInt64
    /// The decided entries that are not released, with their sizes.
    private var retained: Deque<(position: UInt64, bytes: Int)> = []
    private var retainedBytes = 0
    /// The newest block when entries were released last: who lacks those needs the blocks through it.
    private(set) var snapshotNumber: BlockNumber = 0

    /// Opens a channel's stores; `genesis`, its first block, is written if the log is empty.
    ///
    /// - Throws: ``NotConsenter``, ``OrdererError``, ``ChainHalted``, `RaftStateError`, or an error of a store.
    init(_ parts: Parts) throws {
        let channelID = parts.channelID
        let log = parts.log
        if log.height == 0 {
            guard let genesis = parts.genesis else { throw OrdererError.noGenesisBlock(channelID) }
            try log.append(genesis, durably: true)
        }
        let newest = try NewestBlocks(log, of: channelID)
        self.lastHeader = newest.last.header
        self.lastConfig = newest.configNumber
        self.configuration = newest.configuration
        let consenters = try RaftConsenters(newest.configuration)
        let metadata = try ConsenterMetadata(of: newest.last) ?? .founding(consenters: consenters.count)
        let membership = try ClusterMembership(
            consenters,
            identifiers: metadata.identifiers,
            configuration: newest.configuration
        )
        guard let id = membership.own(parts.serverKey) else { throw NotConsenter() }
        self.id = id
        self.consenters = consenters
        self.membership = membership
        self.metadata = metadata
        self.log = log
        self.signer = parts.signer
        self.nonce = parts.nonce
        self.persisting = parts.persisting
        self.send = parts.send
        self.mostUnsyncedBytes = parts.unsyncedBytes
        self.lastPosition = metadata.raftIndex

        var store = RaftStore(parts.consensus)
        var state = try store.load()
        var isFounding = false
        if state == nil, try !store.isForgetful {
            if log.height == 1 {
                let founding = RaftState.founding(voters: metadata.identifiers)
                try store.save(founding: founding)
                state = founding
                isFounding = true
            } else if membership.members.count == 1 {
                throw OrdererError.consensusStoreMissing(channelID, height: log.height)
            } else {
                // A new consenter, or one that lost its disk: nobody here can tell.
                try store.forget()
            }
        }
        self.isFounding = isFounding
        let others = metadata.identifiers.filter { $0 != id }
        self.asked = others
        let isForgetful = try store.isForgetful
        self.store = store
        self.raft = try Raft(
            id: id,
            configuration: RaftConfiguration(
                electionTicks: consenters.options.electionTick,
                heartbeatTicks: consenters.options.heartbeatTick,
                maxInflightMessages: consenters.options.maxInflightBlocks,
                maxMessageBytes: max(
                    1 << 20,
                    newest.configuration.orderer?.batch.preferredMaxBytes ?? 0
                ),
                seed: parts.seed
            ),
            restoring: state ?? RaftState(hardState: RaftHardState(), start: RaftLogStart(), entries: []),
            delivered: metadata.raftIndex,
            forgotten: isForgetful ? others : nil
        )
    }

    /// Becomes leader, if this is the only consenter, and appends the decided blocks that the log lacks.
    func start() throws -> Progress {
        guard self.membership.members.count == 1 else { return Progress() }
        let progress = try self.take([.tick])
        guard self.raft.status.isLeader else {
            throw ChainHalted(reason: "the only consenter did not become leader")
        }
        return progress
    }

    /// What this node is and knows of the others.
    var details: RaftStatus { self.raft.details }

    /// How many blocks are proposed and not decided.
    var inFlight: Int { self.proposed.count }

    /// The change of the voters that the newest configuration asks for and that Raft has not made yet.
    var unfinishedChange: VoterChange? {
        let voters = self.raft.voters
        if let added = self.metadata.identifiers.first(where: { !voters.contains($0) }) { return .add(added) }
        return voters.first { !self.metadata.identifiers.contains($0) }.map { .remove($0) }
    }

    /// Makes the block that comes next, behind those that are in flight.
    func nextBlock(_ envelopes: [Data]) -> Common_Block {
        .next(after: self.lastProposed ?? self.lastHeader, envelopes: envelopes)
    }

    /// Forgets the blocks in flight: this node leads no longer, or only just.
    func forgetProposals() {
        self.proposed = []
        self.lastProposed = nil
    }

    /// Proposes `block`.
    ///
    /// `accepted` is called with its position, unless this node doesn't lead any more; `decided` when a block that was
    /// proposed here is final and durable, before it is appended.
    func propose(
        _ block: Common_Block,
        accepted: (UInt64) -> Void,
        decided: (UInt64) -> Void
    ) throws -> Progress {
        let bytes = try block.encoded()
        let effects = self.raft.step(.propose(bytes))
        if case .accepted(let position) = effects.proposal {
            self.proposed.append((position, block, bytes))
            self.lastProposed = block.header
            accepted(position)
        }
        return try self.carryOut(effects, decided: decided)
    }

    /// Feeds inputs in, and carries out what they come to with one write.
    func take(_ inputs: [Raft.Input], decided: (UInt64) -> Void = { _ in }) throws -> Progress {
        guard !inputs.isEmpty else { return Progress() }
        var inputs = inputs
        let others = self.metadata.identifiers.filter { $0 != self.id }
        if others != self.asked {
            self.asked = others
            inputs.insert(.command(.recollect(from: others)), at: 0)
        }
        guard let first = inputs.first else { return Progress() }
        var effects = self.raft.step(first)
        for input in inputs.dropFirst() { effects.merge(self.raft.step(input)) }
        return try self.carryOut(effects, decided: decided)
    }

    /// What a snapshot holds: the newest block, with empty metadata.
    var snapshotBlock: [UInt8]? {
        guard var block = try? self.log.block(self.lastHeader.number) else { return nil }
        block.metadata.metadata = BlockMetadataSlot.allCases.map { _ in Data() }
        return try? block.serializedBytes()
    }

    /// Makes the log durable, so that the next start need not fill it.
    func close() throws { try self.log.sync() }

    private func carryOut(_ effects: Raft.Effects, decided: (UInt64) -> Void) throws -> Progress {
        var progress = Progress()
        var effects = effects
        while true {
            if let contradiction = effects.contradiction { throw ChainHalted(reason: contradiction) }
            // Clients wait for nothing that is done here: their envelopes are durable on a quorum.
            for decision in effects.decisions where self.isProposed(decision) { decided(decision.position) }
            for message in effects.earlyMessages { self.send(message) }
            if let write = effects.write {
                let start = ContinuousClock.now
                try self.store.carryOut(write)
                self.persisting?.record(ContinuousClock.now - start)
            }
            // Whoever waits for an acknowledgement doesn't wait for signatures; a snapshot holds what was decided.
            for message in effects.messages where !message.isSnapshot { self.send(message) }
            for decision in effects.decisions {
                if let block = try self.apply(decision) { progress.applied.append(block) }
            }
            for event in effects.events {
                switch event {
                case .votersChanged: break
                case .recollected:
                    try self.store.recollected()
                    progress.isRecollected = true
                case .catchUp(let snapshot): progress.catchUp = snapshot
                case .refused(let node, let reason): progress.refused.append("node \(node): \(reason)")
                }
            }
            for message in effects.messages where message.isSnapshot { self.send(message) }
            if let write = effects.write {
                effects = self.raft.step(.stored(write.number))
            } else if let position = try self.dueForRelease() {
                self.snapshotNumber = self.lastHeader.number
                effects = self.raft.step(.released(through: position))
            } else {
                return progress
            }
        }
    }

    // MARK: - Blocks

    /// Whether a decided entry is a block that this node proposed; another leader's may stand where it did.
    ///
    /// Mostly both are the same buffer.
    private func isProposed(_ decision: Decision) -> Bool {
        self.proposed.contains { $0.position == decision.position && $0.bytes == decision.payload }
    }

    /// Appends a decided block, unless the log has it.
    private func apply(_ decision: Decision) throws -> Applied? {
        self.lastPosition = max(self.lastPosition, decision.position)
        self.retained.append((decision.position, decision.payload.count))
        self.retainedBytes += decision.payload.count
        while let first = self.proposed.first, first.position < decision.position {
            self.proposed.removeFirst()
        }
        var block: Common_Block
        if let first = self.proposed.first, self.isProposed(decision) {
            self.proposed.removeFirst()
            block = first.block
        } else {
            do {
                block = try Common_Block(serializedBytes: decision.payload)
            } catch {
                throw ChainHalted(reason: "entry \(decision.position) is no readable block: \(error)")
            }
            guard block.header.number > self.lastHeader.number else { return nil }
            do {
                try block.checkStructure(after: self.lastHeader, expected: self.lastHeader.number + 1)
            } catch {
                throw ChainHalted(
                    reason: "entry \(decision.position) does not continue the chain: \(error)"
                )
            }
        }
        var metadata = self.metadata
        metadata.raftIndex = decision.position
        let configuration = block.isConfigBlock ? try self.configuration(from: block) : nil
        var change: MembershipUpdate?
        if let configuration {
            self.isMigrated = configuration.orderer?.consensusType == "BFT"
            if !self.isMigrated { change = try self.membershipUpdate(to: configuration) }
        }
        // Fabric keeps the previous index in a block that changes the consenters or their options.
        if let change { metadata = change.metadata }
        let lastConfig = configuration == nil ? self.lastConfig : block.header.number
        try block.sign(
            lastConfig: lastConfig,
            consenterMetadata: self.isMigrated ? Data() : metadata.serialized(),
            by: self.signer.current,
            nonce: self.nonce()
        )
        try self.log.append(block, durably: false)
        self.unsyncedBytes += decision.payload.count
        self.appended(block, metadata, configuration, change)
        return Applied(block: block, position: decision.position, configuration: configuration)
    }

    /// Appends a block that other orderers have signed.
    ///
    /// It is durable only after ``close()`` or the next release.
    ///
    /// - Throws: ``DiskFailure``, ``ChainHalted``, or what is wrong with the block.
    func append(pulled block: Common_Block) throws -> Applied {
        try block.checkStructure(after: self.lastHeader, expected: self.lastHeader.number + 1)
        try block.verifySignatures(under: self.configuration)
        let metadata = try ConsenterMetadata(of: block) ?? self.metadata
        let configuration = block.isConfigBlock ? try self.configuration(from: block) : nil
        var change: MembershipUpdate?
        if let configuration {
            self.isMigrated = configuration.orderer?.consensusType == "BFT"
            if !self.isMigrated { change = try self.membershipUpdate(to: configuration) }
            change?.metadata = metadata
        }
        do {
            do {
                try self.log.append(block, durably: false)
            } catch {
                throw DiskFailure(description: "\(error)")
            }
        } catch {
            throw DiskFailure(description: "\(error)")
        }
        self.appended(block, metadata, configuration, change)
        return Applied(block: block, position: metadata.raftIndex, configuration: configuration)
    }

    private func appended(
        _ block: Common_Block,
        _ metadata: ConsenterMetadata,
        _ configuration: ChannelConfiguration?,
        _ update: MembershipUpdate?
    ) {
        self.metadata = metadata
        self.lastHeader = block.header
        if let configuration {
            self.configuration = configuration
            self.lastConfig = block.header.number
        }
        if let update {
            self.consenters = update.consenters
            self.membership = update.membership
        }
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

    /// The consenters after a configuration update.
    private struct MembershipUpdate {
        var consenters: RaftConsenters
        var metadata: ConsenterMetadata
        var membership: ClusterMembership
    }

    /// What a new configuration means for the consenters; `nil` if it leaves them and their options alone.
    private func membershipUpdate(to configuration: ChannelConfiguration) throws -> MembershipUpdate? {
        guard configuration.orderer?.consensusMetadata != self.configuration.orderer?.consensusMetadata else {
            // The authorities of their certificates may be others.
            self.membership = try ClusterMembership(
                self.consenters,
                identifiers: self.metadata.identifiers,
                configuration: configuration
            )
            return nil
        }
        do {
            let next = try RaftConsenters(configuration)
            let change = try ConsenterChange(from: self.consenters, to: next, metadata: self.metadata)
            return MembershipUpdate(
                consenters: next,
                metadata: change.metadata,
                membership: try ClusterMembership(
                    next,
                    identifiers: change.metadata.identifiers,
                    configuration: configuration
                )
            )
        } catch {
            throw ChainHalted(reason: "the new configuration has consenters that can't be: \(error)")
        }
    }

    // MARK: - Release

    /// Syncs the log when enough has been appended; then says through where entries need not be kept.
    ///
    /// A cluster keeps as many bytes of entries as the channel's options say for consenters that lag behind; one that
    /// lacks more pulls blocks.
    private func dueForRelease() throws -> UInt64? {
        guard self.unsyncedBytes >= self.mostUnsyncedBytes else { return nil }
        try self.log.sync()
        self.unsyncedBytes = 0
        let kept = self.membership.members.count == 1 ? 0 : self.consenters.options.snapshotIntervalBytes
        var position: UInt64?
        while let first = self.retained.first, self.retainedBytes - first.bytes >= kept {
            self.retained.removeFirst()
            self.retainedBytes -= first.bytes
            position = first.position
        }
        return position
    }
}
