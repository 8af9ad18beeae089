internal import Channel
internal import Consensus
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

/// Runs ``Raft`` for one channel against its two stores: the only place that carries out its effects.
///
/// A block counts once its entry is durable in `consensus`; the block log is filled from there without waiting for
/// the disk, and synced before entries are released. So a batch costs one write that reaches the disk. After a crash
/// the log may lack blocks whose entries are there: ``start()`` appends them.
///
/// Belongs to one thread.
final class RaftChain {
    /// The log is synced, and entries are released, after this many bytes of blocks.
    static let releaseBytes = 2 << 20

    /// A block that has become part of the chain.
    struct Applied {
        var block: Common_Block
        /// The configuration that begins to hold, if this is a config block.
        var configuration: ChannelConfiguration?
    }

    let log: BlockLog
    private(set) var configuration: ChannelConfiguration
    private var raft: Raft
    private var store: RaftStore
    private let signer: RenewableIdentity
    private let nonce: () -> Data
    /// How long batches of the consensus store take to become durable.
    private let persisting: HistogramSeries?
    private var metadata: ConsenterMetadata
    private var lastConfig: BlockNumber
    private var lastHeader: Common_BlockHeader
    /// The block that waits to be decided, so that it need not be decoded again.
    private var proposed: (position: UInt64, block: Common_Block)?
    private var unsyncedBytes = 0
    private var lastPosition: UInt64

    /// Opens a channel's stores; `genesis`, its first block, is written if the log is empty.
    init(
        channelID: ChannelID,
        genesis: Common_Block?,
        log: BlockLog,
        consensus: any KeyValueStore,
        signer: RenewableIdentity,
        nonce: @escaping () -> Data,
        persisting: HistogramSeries? = nil
    ) throws {
        if log.height == 0 {
            guard let genesis else { throw OrdererError.noGenesisBlock(channelID) }
            try log.append(genesis, durably: true)
        }
        guard let lastHeader = log.lastHeader, let last = try log.block(lastHeader.number) else {
            throw OrdererError.noGenesisBlock(channelID)
        }
        self.lastConfig = last.isConfigBlock ? lastHeader.number : try last.lastConfigNumber()
        guard let configBlock = try log.block(self.lastConfig) else {
            throw OrdererError.missingConfigBlock(channelID, number: self.lastConfig)
        }
        self.configuration = try ChannelConfiguration(configBlock: configBlock)
        guard self.configuration.channelID == channelID else {
            throw OrdererError.otherChannel(expected: channelID, found: self.configuration.channelID)
        }
        do {
            try self.configuration.checkCapabilities()
        } catch {
            throw ChainHalted(reason: error.description)
        }
        let consenters = try RaftConsenters(self.configuration)
        let metadata = try ConsenterMetadata(of: last) ?? .founding(consenters: consenters.count)
        self.metadata = metadata
        self.log = log
        self.signer = signer
        self.nonce = nonce
        self.persisting = persisting
        self.lastHeader = lastHeader
        self.lastPosition = metadata.raftIndex

        var store = RaftStore(consensus)
        var state = try store.load()
        if state == nil {
            guard log.height == 1 else {
                throw OrdererError.consensusStoreMissing(channelID, height: log.height)
            }
            let founding = RaftState.founding(voters: metadata.identifiers)
            try store.save(founding: founding)
            state = founding
        }
        self.store = store
        guard let state, let id = metadata.identifiers.first else {
            throw OrdererError.noConsenters(channelID)
        }
        self.raft = try Raft(
            id: id,
            configuration: RaftConfiguration(seed: id),
            restoring: state,
            delivered: metadata.raftIndex
        )
    }

    /// Becomes leader and appends the decided blocks that the log lacks.
    func start() throws -> [Applied] {
        let applied = try self.run(.tick)
        guard self.raft.status.isLeader else {
            throw ChainHalted(reason: "the only consenter did not become leader")
        }
        return applied
    }

    /// Makes the block that comes next.
    func nextBlock(_ envelopes: [Data]) -> Common_Block {
        .next(after: self.lastHeader, envelopes: envelopes)
    }

    /// Has `block` decided and appends it.
    ///
    /// `decided` is called when the block is final and durable, before it is appended.
    func order(_ block: Common_Block, decided: () -> Void) throws -> [Applied] {
        let bytes: [UInt8] = try block.serializedBytes()
        let effects = self.raft.step(.propose(bytes))
        guard case .accepted(let position) = effects.proposal else {
            throw ChainHalted(reason: "a proposal was refused although this node leads")
        }
        self.proposed = (position, block)
        self.unsyncedBytes += bytes.count
        let applied = try self.carryOut(effects, decided: decided)
        try self.releaseIfDue()
        return applied
    }

    /// Makes the log durable, so that the next start need not fill it.
    func close() throws { try self.log.sync() }

    private func run(_ input: Raft.Input) throws -> [Applied] {
        try self.carryOut(self.raft.step(input), decided: {})
    }

    private func carryOut(_ effects: Raft.Effects, decided: () -> Void) throws -> [Applied] {
        var applied: [Applied] = []
        var effects = effects
        while true {
            if let contradiction = effects.contradiction { throw ChainHalted(reason: contradiction) }
            if let write = effects.write {
                let start = ContinuousClock.now
                try self.store.carryOut(write)
                self.persisting?.record(ContinuousClock.now - start)
            }
            for decision in effects.decisions {
                if decision.position == self.proposed?.position { decided() }
                if let block = try self.apply(decision) { applied.append(block) }
            }
            guard let write = effects.write else { return applied }
            effects = self.raft.step(.stored(write.number))
        }
    }

    /// Appends a decided block, unless the log has it.
    private func apply(_ decision: Decision) throws -> Applied? {
        var block: Common_Block
        if let proposed, proposed.position == decision.position {
            block = proposed.block
            self.proposed = nil
        } else {
            do {
                block = try Common_Block(serializedBytes: decision.payload)
            } catch {
                throw ChainHalted(reason: "entry \(decision.position) is no readable block: \(error)")
            }
            guard block.header.number > self.lastHeader.number else {
                self.lastPosition = decision.position
                return nil
            }
            do {
                try block.checkStructure(after: self.lastHeader, expected: self.lastHeader.number + 1)
            } catch {
                throw ChainHalted(reason: "entry \(decision.position) does not continue the chain: \(error)")
            }
        }
        self.lastPosition = decision.position

        var metadata = self.metadata
        metadata.raftIndex = decision.position
        let configuration = block.isConfigBlock ? try self.configuration(from: block) : nil
        if let configuration {
            // Fabric keeps the previous index in a block that changes the consenters or their options.
            if configuration.orderer?.consensusMetadata != self.configuration.orderer?.consensusMetadata {
                metadata.raftIndex = self.metadata.raftIndex
            }
        }
        let lastConfig = configuration == nil ? self.lastConfig : block.header.number
        try block.sign(
            lastConfig: lastConfig,
            consenterMetadata: metadata.serialized(),
            by: self.signer.current,
            nonce: self.nonce()
        )
        try self.log.append(block, durably: false)

        self.metadata = metadata
        self.lastConfig = lastConfig
        self.lastHeader = block.header
        if let configuration { self.configuration = configuration }
        return Applied(block: block, configuration: configuration)
    }

    private func configuration(from block: Common_Block) throws -> ChannelConfiguration {
        do {
            return try ChannelConfiguration(configBlock: block)
        } catch {
            throw ChainHalted(
                reason: "block \(block.header.number) carries an unusable configuration: \(error)"
            )
        }
    }

    private func releaseIfDue() throws {
        guard self.unsyncedBytes >= Self.releaseBytes else { return }
        try self.log.sync()
        self.unsyncedBytes = 0
        _ = try self.run(.released(through: self.lastPosition))
    }
}
