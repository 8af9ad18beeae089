package import Channel
package import FabricProtos
package import Foundation
internal import KeyValueStore
internal import SwiftProtobuf
internal import Synchronization

/// The ledger of one channel on a peer: the block log, and the state and indexes derived from it.
///
/// A block is written in the order private data, log, derived state. The first two are durable before the block
/// counts; the last is computed again at the next start if a crash took it. Reading never waits for writing.
///
/// - Invariant: what ``snapshot()`` shows is the effect of exactly the blocks below its height.
package final class Ledger: Sendable {
    package let channelID: ChannelID
    /// The blocks themselves.
    package let log: BlockLog
    /// Private data of committed transactions.
    package let privateStore: PrivateStore
    /// Private data of transactions that are not committed yet.
    package let transient: TransientStore

    let stores: LedgerStores
    let writer: Mutex<Writer>
    let published: Mutex<Published>

    /// What only the committing thread touches.
    struct Writer {
        var lifetimes = CollectionLifetimes()
        /// Blocks that are judged and not written yet.
        var staged = StagedBlocks()
        /// Whether late private data waits for the staged blocks.
        var hasLatePrivateData = false
        /// Why no block is accepted any more.
        var stopped: String?
    }

    /// What readers see.
    struct Published {
        var snapshot: StateSnapshot
        var metadataNamespaces: Set<Bytes>
        var lastHeader: Common_BlockHeader?
        var lastCommitHash: Data
    }

    /// How far a recovery is: blocks replayed, and blocks to replay.
    package typealias Progress = (_ done: BlockNumber, _ total: BlockNumber) -> Void

    /// Opens the ledger in `stores` and brings its state up to the end of the log.
    package init(channelID: ChannelID, stores: LedgerStores, progress: Progress = { _, _ in }) throws {
        self.channelID = channelID
        self.log = try BlockLog(store: stores.log)
        self.privateStore = try PrivateStore(store: stores.private)
        try self.privateStore.indexForeignCollections()
        self.transient = TransientStore(store: stores.private)
        try StoreFormat.check(stores.derived, name: "derived")
        self.stores = stores

        var writer = Writer()
        let published = try Self.recover(
            channelID,
            self.log,
            self.privateStore,
            stores.derived,
            &writer.lifetimes,
            progress
        )
        self.writer = Mutex(writer)
        self.published = Mutex(published)
    }

    // MARK: Reading

    /// The number of the next block.
    package var height: BlockNumber { self.published.withLock { $0.snapshot.height } }

    /// The header of the last block; `nil` before the genesis block.
    package var lastHeader: Common_BlockHeader? { self.published.withLock { $0.lastHeader } }

    /// The commit hash of the last block; empty for the genesis block.
    package var lastCommitHash: Data { self.published.withLock { $0.lastCommitHash } }

    /// The ledger as it is after the last committed block.
    package func snapshot() -> StateSnapshot { self.published.withLock { $0.snapshot } }

    /// Block `number`; `nil` beyond the end.
    package func block(_ number: BlockNumber) throws -> Common_Block? {
        guard number < self.height else { return nil }
        return try self.log.block(number)
    }

    /// The block whose header has this hash.
    package func block(hash: Data) throws -> Common_Block? {
        try self.snapshot().reader.number(ofBlockHash: hash).flatMap { try self.log.block($0) }
    }

    /// The block that holds the first transaction of this identifier.
    package func block(transaction identifier: String) throws -> Common_Block? {
        try self.transaction(identifier).flatMap { try self.log.block($0.block) }
    }

    /// Place and verdict of the first transaction of this identifier, valid or not.
    package func transaction(_ identifier: String) throws -> TransactionRecord? {
        try self.snapshot().transaction(identifier)
    }

    /// Whether a transaction of this identifier was committed, valid or not.
    package func containsTransaction(_ identifier: String) throws -> Bool {
        try self.snapshot().containsTransaction(identifier)
    }

    /// One transaction exactly as it was received.
    package func envelope(block number: BlockNumber, index: Int) throws -> Data? {
        try self.log.envelope(block: number, index: index)
    }

    // MARK: Committing

    /// Adds a block whose structure, signatures and endorsements were checked.
    ///
    /// Transactions that are VALID so far may become DUPLICATE_TXID, MVCC_READ_CONFLICT or PHANTOM_READ_CONFLICT. The
    /// verdicts and the commit hash are written to the block's metadata; both, and every effect of the block, are
    /// visible together once this returns. Calls wait for each other.
    ///
    /// If it throws, the ledger is as it was before. After a failure of the disk it accepts no more blocks until
    /// ``reopen()`` succeeds.
    package func commit(_ input: BlockToCommit) throws -> CommittedBlock {
        try self.writer.withLock { writer in
            try self.checkAccepts(writer)
            try self.stage(input, &writer)
            let committed = try self.writeStaged(&writer)
            return committed[committed.count - 1]
        }
    }

    /// Judges a block as ``commit(_:)`` does, without writing it or showing it to anybody.
    ///
    /// Blocks that are staged one after the other become durable together, with ``commitStaged()``: so a peer that has
    /// a long chain before it waits less often for its disk.
    ///
    /// - Returns: the final verdict on each transaction.
    package func stage(_ input: BlockToCommit) throws -> [Protos_TxValidationCode] {
        try self.writer.withLock { writer in
            try self.checkAccepts(writer)
            return try self.stage(input, &writer)
        }
    }

    /// Writes the staged blocks, which are all visible once this returns.
    ///
    /// Nothing happens if there are none.
    ///
    /// If it throws, the ledger is as it was before the first of them, and none is staged any more.
    package func commitStaged() throws -> [CommittedBlock] {
        try self.writer.withLock { writer in
            try self.checkAccepts(writer)
            return try self.writeStaged(&writer)
        }
    }

    /// The ledger as it is after the last staged block: what the next block is validated against.
    ///
    /// To be let go of before the next block is staged.
    package func stagedState() -> StateSnapshot {
        self.writer.withLock { writer in
            let published = self.published.withLock { $0 }
            guard let last = writer.staged.blocks.last else { return published.snapshot }
            return StateSnapshot(
                height: last.block.header.number + 1,
                reader: writer.staged.reader(over: self.stores.derived),
                log: self.log,
                metadataNamespaces: last.metadataNamespaces
            )
        }
    }

    func checkAccepts(_ writer: Writer) throws {
        guard let reason = writer.stopped else { return }
        throw LedgerError(
            code: .stopped,
            message: "channel \(self.channelID) accepts no blocks since writing one failed (\(reason)); "
                + "remove the cause"
        )
    }

    @discardableResult
    private func stage(_ input: BlockToCommit, _ writer: inout Writer) throws -> [Protos_TxValidationCode] {
        let tip = self.tip(writer.staged)
        let header = input.block.header
        try self.checkOrder(input, after: tip)

        var application = BlockApplication(
            header: header,
            reader: writer.staged.reader(over: self.stores.derived),
            metadataNamespaces: tip.metadataNamespaces
        )
        try application.judge(input.transactions)
        let ordered = application.orderedUpdates()
        let flags = application.flags
        let commitHash =
            header.number == 0
            ? Data() : CommitHash.next(flags: flags, updates: ordered, after: tip.commitHash)
        var block = input.block
        block.setMetadata(.transactionsFilter, flags)
        block.setMetadata(.commitHash, Self.commitHashSlot(commitHash))

        let addition = try application.applyPrivateData(
            input.privateWriteSets,
            missing: input.missingPrivateData,
            transactions: input.transactions,
            lifetimes: &writer.lifetimes
        )
        try application.removePurged(addition, self.privateStore)
        var changes = try application.derivedChanges(
            ordered,
            lifetimes: &writer.lifetimes,
            privateStore: self.privateStore
        )
        let namespaces = Self.addMetadataNamespaces(application, tip.metadataNamespaces, to: &changes)
        // The next block may ask for what this one stores, so it doesn't wait for the others.
        let privateData = try Self.writing(&writer) {
            try self.privateStore.add(addition, block: header.number)
        }
        writer.lifetimes.invalidate(after: application.transition.updates)
        writer.staged.append(
            StagedBlocks.Block(
                block: block,
                codes: application.codes,
                commitHash: commitHash,
                transactions: input.transactions,
                privateData: privateData,
                changes: changes,
                metadataNamespaces: namespaces
            )
        )
        return application.codes
    }

    /// Makes the staged blocks durable and shows them.
    ///
    /// The log comes first and is synced: the state, which is not, must never be ahead of it.
    private func writeStaged(_ writer: inout Writer) throws -> [CommittedBlock] {
        let staged = writer.staged
        writer.staged = StagedBlocks()
        guard let last = staged.blocks.last else { return [] }
        let log = try Self.writing(&writer) { try self.log.append(staged.blocks.map(\.block)) }
        let state = try Self.writing(&writer) {
            try self.stores.derived.write(staged.changes, durably: false)
        }
        self.publish(last.block.header, last.commitHash, last.metadataNamespaces)
        for block in staged.blocks {
            self.forget(block.transactions, block.block.header.number, &writer)
        }
        if writer.hasLatePrivateData { try self.applyLatePrivateData(&writer) }
        return staged.blocks.map { block in
            CommittedBlock(
                block: block.block,
                codes: block.codes,
                commitHash: block.commitHash,
                durations: CommittedBlock.Durations(
                    privateData: block.privateData,
                    log: log / staged.blocks.count,
                    state: state / staged.blocks.count
                )
            )
        }
    }

    /// Writes, and tells how long that took; after a failure the ledger accepts no more blocks.
    @discardableResult
    static func writing(_ writer: inout Writer, _ write: () throws -> Void) throws -> Duration {
        do {
            return try ContinuousClock().measure { try write() }
        } catch {
            writer.stopped = "\(error)"
            writer.staged = StagedBlocks()
            throw error
        }
    }

    /// What the next block has to continue.
    private struct Tip {
        var height: BlockNumber
        var header: Common_BlockHeader?
        var commitHash: Data
        var metadataNamespaces: Set<Bytes>
    }

    private func tip(_ staged: StagedBlocks) -> Tip {
        if let last = staged.blocks.last {
            return Tip(
                height: last.block.header.number + 1,
                header: last.block.header,
                commitHash: last.commitHash,
                metadataNamespaces: last.metadataNamespaces
            )
        }
        let published = self.published.withLock { $0 }
        return Tip(
            height: published.snapshot.height,
            header: published.lastHeader,
            commitHash: published.lastCommitHash,
            metadataNamespaces: published.metadataNamespaces
        )
    }

    private func checkOrder(_ input: BlockToCommit, after tip: Tip) throws {
        let header = input.block.header
        guard header.number == tip.height else {
            throw LedgerError.outOfOrder(expected: tip.height, received: header.number)
        }
        guard tip.header == nil || header.previousHash == tip.header?.hash else {
            throw LedgerError(
                code: .outOfOrder,
                message:
                    "block \(header.number) of channel \(self.channelID) does not carry the hash of block "
                    + "\(header.number - 1); it belongs to another chain: fetch it from another node"
            )
        }
        guard input.transactions.count == input.block.data.data.count else {
            throw LedgerError(
                code: .malformed,
                message: "block \(header.number) has \(input.block.data.data.count) transactions, "
                    + "but verdicts came for \(input.transactions.count)"
            )
        }
    }

    private func publish(_ header: Common_BlockHeader, _ commitHash: Data, _ namespaces: Set<Bytes>) {
        let snapshot = StateSnapshot(
            height: header.number + 1,
            reader: StateReader(store: self.stores.derived.snapshot()),
            log: self.log,
            metadataNamespaces: namespaces
        )
        self.published.withLock {
            $0.snapshot = snapshot
            $0.metadataNamespaces = namespaces
            $0.lastHeader = header
            $0.lastCommitHash = commitHash
        }
    }

    /// Blocks between two removals of expired private data.
    private static let expiryInterval: BlockNumber = 100

    /// Removes private data that is of no use any more; the block is committed whether or not this succeeds.
    private func forget(
        _ transactions: [TransactionToCommit],
        _ number: BlockNumber,
        _ writer: inout Writer
    ) {
        do {
            try self.transient.remove(transactions: transactions.filter(\.hasCollections).compactMap(\.id))
            if number.isMultiple(of: Self.expiryInterval) {
                try self.privateStore.removeExpired(through: number)
            }
        } catch {
            writer.stopped = "\(error)"
        }
    }

    static func addMetadataNamespaces(
        _ application: BlockApplication,
        _ known: Set<Bytes>,
        to changes: inout WriteBatch
    ) -> Set<Bytes> {
        let new = application.newMetadataNamespaces(besides: known)
        for namespace in new { changes.set(Data(), forKey: DerivedKey.metadataNamespace(namespace)) }
        return known.union(new)
    }

    /// The metadata slot: a `common.Metadata` around the hash; empty without one.
    private static func commitHashSlot(_ hash: Data) -> Data {
        var slot = WireMessage()
        slot.field(1, hash)
        return Data(slot.bytes)
    }

    // MARK: Recovery

    /// Opens the stores again after a failure of the disk, so that blocks are accepted again.
    ///
    /// What was read from before stays readable as long as the disk doesn't take writes. The block whose commit failed
    /// may be part of the ledger afterwards, as after a crash: compare ``height``.
    ///
    /// - Throws: the error of the disk; the ledger goes on refusing blocks.
    package func reopen() throws {
        try self.writer.withLock { writer in
            // The view of the state keeps its database open. Nothing is written now, so the store itself will do.
            self.published.withLock { published in
                published.snapshot = StateSnapshot(
                    height: published.snapshot.height,
                    reader: StateReader(store: self.stores.derived),
                    log: self.log,
                    metadataNamespaces: published.metadataNamespaces
                )
            }
            try self.log.reopen()
            try self.stores.private.reopen()
            try self.stores.derived.reopen()
            var fresh = Writer()
            let published = try Self.recover(
                self.channelID,
                self.log,
                self.privateStore,
                self.stores.derived,
                &fresh.lifetimes,
                { _, _ in }
            )
            self.published.withLock { $0 = published }
            writer = fresh
        }
    }

    /// Brings the state up to the end of the log.
    private static func recover(
        _ channelID: ChannelID,
        _ log: BlockLog,
        _ privateStore: PrivateStore,
        _ derived: any KeyValueStore,
        _ lifetimes: inout CollectionLifetimes,
        _ progress: Progress
    ) throws -> Published {
        let reader = StateReader(store: derived)
        var namespaces = try reader.namespacesWithMetadata()
        let start = try reader.height()
        let end = log.height
        guard start <= end else {
            throw LedgerError.damagedState(
                "the state of channel \(channelID) is that of block \(start - 1), but the log ends at block "
                    + (end > 0 ? "\(end - 1)" : "none")
            )
        }
        for number in start..<end {
            progress(number - start, end - start)
            try Self.replay(number, log, privateStore, derived, &namespaces, &lifetimes)
        }
        if start < end { progress(end - start, end - start) }
        try LatePrivateData(log: log, privateStore: privateStore, derived: derived).apply()
        return Published(
            snapshot: StateSnapshot(
                height: end,
                reader: StateReader(store: derived.snapshot()),
                log: log,
                metadataNamespaces: namespaces
            ),
            metadataNamespaces: namespaces,
            lastHeader: log.lastHeader,
            lastCommitHash: try end > 0 ? log.summary(end - 1)?.commitHash ?? Data() : Data()
        )
    }

    /// Computes again the effects of a block whose verdicts are in the log.
    static func replay(
        _ number: BlockNumber,
        _ log: BlockLog,
        _ privateStore: PrivateStore,
        _ derived: any KeyValueStore,
        _ namespaces: inout Set<Bytes>,
        _ lifetimes: inout CollectionLifetimes
    ) throws {
        guard let block = try log.block(number) else { return }
        let codes = BlockSummary(block).codes
        guard codes.count == block.data.data.count else {
            throw LedgerError.damaged(block: number, "it has no verdict for each transaction")
        }
        let transactions = zip(codes, block.data.data).map { TransactionToCommit(code: $0, envelope: $1) }
        var application = BlockApplication(
            header: block.header,
            reader: StateReader(store: derived),
            metadataNamespaces: namespaces
        )
        try application.replay(transactions)
        let addition = try application.applyPrivateData(
            privateStore.writeSets(block: number),
            missing: [],
            transactions: transactions,
            lifetimes: &lifetimes,
            checksHashes: false
        )
        try application.removePurged(addition, privateStore)
        var changes = try application.derivedChanges(
            application.orderedUpdates(),
            lifetimes: &lifetimes,
            privateStore: privateStore
        )
        namespaces = Self.addMetadataNamespaces(application, namespaces, to: &changes)
        try derived.write(changes, durably: false)
        lifetimes.invalidate(after: application.transition.updates)
    }
}
