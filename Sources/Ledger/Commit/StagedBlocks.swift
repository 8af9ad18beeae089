internal import Channel
internal import FabricProtos
internal import Foundation
internal import KeyValueStore

/// Blocks that are judged and not written yet, in the order of the chain.
struct StagedBlocks {
    struct Block {
        var block: Common_Block
        var codes: [Protos_TxValidationCode]
        var commitHash: Data
        var transactions: [TransactionToCommit]
        /// How long writing its private data took.
        var privateData: Duration
        /// All that it changes in the store `derived`.
        var changes: WriteBatch
        /// The namespaces in which keys have metadata, once it is committed.
        var metadataNamespaces: Set<Bytes>
    }

    private(set) var blocks: [Block] = []
    /// The state with the effects of all of them; of the first alone only once it is asked for.
    private var state: StagedChanges?

    mutating func append(_ block: Block) {
        self.blocks.append(block)
        self.state?.add(block.changes)
    }

    /// The state after these blocks, where `base` is the state before them.
    mutating func reader(over base: any KeyValueReader) -> StateReader {
        guard !self.blocks.isEmpty else { return StateReader(store: base) }
        if let state = self.state { return StateReader(store: state) }
        let state = StagedChanges(over: base)
        for block in self.blocks { state.add(block.changes) }
        self.state = state
        return StateReader(store: state)
    }

    /// All changes together, in their order.
    var changes: WriteBatch {
        guard self.blocks.count > 1 else { return self.blocks.first?.changes ?? WriteBatch() }
        var all = WriteBatch()
        all.reserveCapacity(self.blocks.reduce(0) { $0 + $1.changes.changes.count })
        for block in self.blocks { all.append(block.changes) }
        return all
    }
}
