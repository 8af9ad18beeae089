internal import Channel
internal import FabricProtos
internal import Foundation
internal import KeyValueStore

/// A state that is computed from the blocks of a log, beside the one that is stored.
struct ComputedState {
    /// What one block came to.
    struct Outcome {
        var codes: [Protos_TxValidationCode]
        var commitHash: Data
        /// Private data whose hash is not the one in its transaction.
        var wrongPrivateData: [MissingPrivateData]
    }

    let store: any KeyValueStore
    private let log: BlockLog
    private let privateStore: PrivateStore?
    private var metadataNamespaces = Set<Bytes>()
    private var lifetimes = CollectionLifetimes()
    private(set) var height: BlockNumber = 0
    private(set) var lastCommitHash = Data()

    init(store: any KeyValueStore, log: BlockLog, privateStore: PrivateStore?) throws {
        try StoreFormat.check(store, name: "derived")
        self.store = store
        self.log = log
        self.privateStore = privateStore
    }

    var snapshot: StateSnapshot {
        StateSnapshot(
            height: self.height,
            reader: StateReader(store: self.store.snapshot()),
            log: self.log,
            metadataNamespaces: self.metadataNamespaces
        )
    }

    /// Applies the next block, whose transactions carry the verdicts of all checks before the ledger's.
    mutating func apply(_ block: Common_Block, _ transactions: [TransactionToCommit]) throws -> Outcome {
        var application = BlockApplication(
            header: block.header,
            reader: StateReader(store: self.store),
            metadataNamespaces: self.metadataNamespaces
        )
        try application.judge(transactions)
        let ordered = application.orderedUpdates()
        let commitHash =
            block.header.number == 0
            ? Data() : CommitHash.next(flags: application.flags, updates: ordered, after: self.lastCommitHash)
        let sets = try self.privateStore?.writeSets(block: block.header.number, includingPurged: true) ?? []
        let addition = try application.applyPrivateData(
            sets,
            missing: [],
            transactions: transactions,
            lifetimes: &self.lifetimes,
            trimmedBy: self.privateStore
        )
        var changes: WriteBatch
        if let privateStore = self.privateStore {
            try application.removePurged(addition, privateStore)
        }
        changes = try application.derivedChanges(
            ordered,
            lifetimes: &self.lifetimes,
            privateStore: self.privateStore
        )
        self.metadataNamespaces = Ledger.addMetadataNamespaces(
            application,
            self.metadataNamespaces,
            to: &changes
        )
        try self.store.write(changes, durably: false)
        self.lifetimes.invalidate(after: application.transition.updates)
        self.lastCommitHash = commitHash
        self.height = block.header.number + 1
        return Outcome(
            codes: application.codes,
            commitHash: commitHash,
            wrongPrivateData: addition.missing
        )
    }
}
