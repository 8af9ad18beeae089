package import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import KeyValueStore
internal import Ledger
internal import Logging
internal import SwiftProtobuf

/// Takes prepared blocks of one channel, in order, through the rest of validation into the ledger.
///
/// Not thread safe: the ``CommitPipeline`` owns it, and calls it on a thread where the disk may block.
struct BlockCommitter {
    private let channel: PeerChannel
    private let localIdentity: Data
    private let privateData: PrivateDataLink?
    private let metrics: LedgerMetrics
    private let logger: Logger
    private var rules = NamespaceRulesCache()
    private var staged: [Staged] = []
    private var stagedBytes = 0

    /// What the peer has to tell of a block once it is committed.
    private struct Staged {
        var transactions: [PreparedTransaction]
        /// The configuration that the block brings, if any.
        var configuration: ChannelConfiguration?
        /// How long the block took until it was staged.
        var took: Duration
    }

    /// How many blocks, or bytes of them, share a write to the log: more would save little.
    private static let stagedLimit = (blocks: 64, bytes: 2 << 20)

    /// - Parameters:
    ///   - channel: the channel whose ledger grows.
    ///   - localIdentity: the peer's serialized identity, which decides what private data it keeps.
    ///   - privateData: the way to the peers that may have what is missing.
    ///   - metrics: where each block is counted.
    ///   - logger: where it is told that a block waits.
    init(
        channel: PeerChannel,
        localIdentity: Data,
        privateData: PrivateDataLink? = nil,
        metrics: LedgerMetrics,
        logger: Logger
    ) {
        self.channel = channel
        self.localIdentity = localIdentity
        self.privateData = privateData
        self.metrics = metrics
        self.logger = logger
    }

    /// Validates one block on the state that the blocks staged before it leave, and stages it: the story of a block on
    /// a peer, once its signatures are checked.
    ///
    /// Nobody sees the block before ``commitStaged()``. Should it have to wait for other peers' private data,
    /// `beforeWaiting` is called, which commits the blocks before it.
    ///
    /// - Throws: ``UnsignedBlock`` for a block that the orderers have not signed; ``ChannelHalted`` if the
    ///   channel can't go on; `CancellationError` while it waits. Either way this block is not staged; those before it
    ///   are, unless the disk failed.
    mutating func stage(
        _ prepared: PreparedBlock,
        beforeWaiting: (inout BlockCommitter) throws -> Void
    ) async throws {
        let transactions = try await prepared.transactions()
        let start = ContinuousClock.now
        do {
            let state = CommittedState(self.channel.ledger.stagedState())
            let verdicts = try BlockValidator.verdicts(
                on: transactions,
                configuration: prepared.configuration,
                state: state,
                rules: &self.rules
            )
            let configuration = try Self.nextConfiguration(transactions, verdicts, prepared.configuration)
            var privateData = try self.privateData(
                prepared.block.header.number,
                transactions,
                verdicts,
                prepared.configuration,
                state
            )
            try await self.fetch(&privateData, prepared, state, beforeWaiting)
            let codes = try self.channel.ledger.stage(
                Self.blockToCommit(prepared.block, transactions, verdicts, privateData)
            )
            if Self.changesDefinitions(transactions, codes) { self.rules.forget() }
            self.staged.append(
                Staged(
                    transactions: transactions,
                    configuration: configuration,
                    took: ContinuousClock.now - start
                )
            )
            self.stagedBytes += prepared.byteCount
        } catch let cancellation as CancellationError {
            throw cancellation
        } catch let halted as ChannelHalted {
            throw halted
        } catch {
            throw ChannelHalted(self.channel.id, block: prepared.block.header.number, error)
        }
    }

    /// Asks other peers for what is missing, if there is a way to any.
    private mutating func fetch(
        _ collected: inout PrivateDataCollector.Collected,
        _ prepared: PreparedBlock,
        _ state: CommittedState,
        _ beforeWaiting: (inout BlockCommitter) throws -> Void
    ) async throws {
        guard !collected.wanted.isEmpty, let link = self.privateData, let exchange = link.exchange else {
            return
        }
        try beforeWaiting(&self)
        let collector = self.collector(prepared.configuration, state)
        let pull = CommitTimePull(
            channel: self.channel,
            exchange: exchange,
            options: link.options,
            kept: { try collector.keptSets(of: $0) },
            logger: self.logger
        )
        try await pull.fill(&collected, block: prepared.block.header.number)
    }

    private func collector(
        _ configuration: ChannelConfiguration,
        _ state: CommittedState
    ) -> PrivateDataCollector {
        PrivateDataCollector(
            transient: self.channel.ledger.transient,
            localIdentity: self.localIdentity,
            configuration: configuration,
            state: state
        )
    }

    /// Whether another block may join those that are staged.
    var takesMore: Bool {
        self.staged.count < Self.stagedLimit.blocks && self.stagedBytes < Self.stagedLimit.bytes
    }

    /// Commits the staged blocks with one write to the log, and tells who waits for them.
    ///
    /// - Throws: ``ChannelHalted`` if they can't be written; the ledger is as it was before the first of them.
    /// - Returns: the blocks with their validation codes and commit hashes.
    mutating func commitStaged() throws -> [CommittedBlock] {
        let staged = self.staged
        self.staged = []
        self.stagedBytes = 0
        guard !staged.isEmpty else { return [] }
        let start = ContinuousClock.now
        let committed: [CommittedBlock]
        do {
            committed = try self.channel.ledger.commitStaged()
        } catch {
            throw ChannelHalted(self.channel.id, block: self.channel.ledger.height, error)
        }
        let writing = (ContinuousClock.now - start) / staged.count
        for (block, details) in zip(committed, staged) {
            self.channel.advance(
                to: block,
                configuration: details.configuration,
                transactionIDs: details.transactions.map(\.indexedIdentifier)
            )
            self.metrics.committed(block, details.transactions, took: details.took + writing)
        }
        return committed
    }

    /// The configuration that a block brings, `nil` if it brings none.
    ///
    /// A configuration that this peer can't follow is no verdict: all others may follow it, so the peer must
    /// stop rather than disagree.
    static func nextConfiguration(
        _ transactions: [PreparedTransaction],
        _ verdicts: [TransactionVerdict],
        _ current: ChannelConfiguration
    ) throws -> ChannelConfiguration? {
        for (transaction, verdict) in zip(transactions, verdicts) where verdict.isValid {
            guard case .success(let decoded) = transaction.decoded,
                case .success(.config(let envelope)) = decoded.body
            else { continue }
            guard transactions.count == 1 else {
                throw ValidationHalted("a configuration transaction shares its block with others")
            }
            let next = try current.successor(envelope)
            try next.checkPeerCanFollow()
            return next
        }
        return nil
    }

    /// Whether a valid transaction of the block wrote to the public state of `_lifecycle`.
    static func changesDefinitions(
        _ transactions: [PreparedTransaction],
        _ codes: [Protos_TxValidationCode]
    ) -> Bool {
        zip(transactions, codes).contains { transaction, code in
            guard code == .valid, let set = transaction.readWriteSet else { return false }
            return set.namespaces.contains { $0.name == ChaincodeName.lifecycle && !$0.kv.writes.isEmpty }
        }
    }

    /// The private data of the block's transactions, also of those that don't meet their policies.
    ///
    /// - Source: Fabric v3, application capability V1_4_2, private data of invalid transactions.
    private mutating func privateData(
        _ block: BlockNumber,
        _ transactions: [PreparedTransaction],
        _ verdicts: [TransactionVerdict],
        _ configuration: ChannelConfiguration,
        _ state: CommittedState
    ) throws -> PrivateDataCollector.Collected {
        let collector = self.collector(configuration, state)
        let skipsInvalid = self.privateData?.options.skipPullingInvalidTransactions ?? false
        let keepsInvalid = configuration.capabilities.keepsPrivateDataOfInvalidTransactions
        var collected = PrivateDataCollector.Collected()
        for (index, (transaction, verdict)) in zip(transactions, verdicts).enumerated() {
            guard verdict.isValid || (keepsInvalid && verdict.code == .endorsementPolicyFailure),
                let set = transaction.readWriteSet, let identifier = transaction.indexedIdentifier
            else { continue }
            try collector.collect(
                set,
                transactionID: identifier,
                block: block,
                index: index,
                endorsers: verdict.isValid || !skipsInvalid ? transaction.endorsers : nil,
                rules: &self.rules,
                into: &collected
            )
        }
        return collected
    }

    private static func blockToCommit(
        _ block: Common_Block,
        _ transactions: [PreparedTransaction],
        _ verdicts: [TransactionVerdict],
        _ privateData: PrivateDataCollector.Collected
    ) -> BlockToCommit {
        BlockToCommit(
            block: block,
            transactions: zip(transactions, verdicts).map { TransactionToCommit($0, verdict: $1) },
            privateWriteSets: privateData.writeSets,
            missingPrivateData: privateData.missing
        )
    }
}

/// A channel that can't go on: the next block can't be processed, and no other copy of it would help.
package struct ChannelHalted: Error, Sendable, CustomStringConvertible {
    package var channel: String
    package var block: BlockNumber
    package var cause: any Error

    init(_ channel: ChannelID, block: BlockNumber, _ cause: any Error) {
        self.channel = channel.description
        self.block = block
        self.cause = cause
    }

    package var description: String {
        "channel \(self.channel) stopped before block \(self.block): \(self.cause); "
            + "the ledger holds the blocks before it; correct the cause and start the peer again"
    }

    /// Whether the disk failed and not the block: the same block may do once the disk is mended.
    var isDiskFailure: Bool {
        switch self.cause {
        case let error as KeyValueStoreError: error.code != .damaged
        case let error as LedgerError: error.code == .stopped
        default: false
        }
    }
}
