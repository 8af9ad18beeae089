import Consensus

/// What a consensus store holds, kept so that changes at both ends are cheap.
struct StoredLog {
    private(set) var hardState: RaftHardState
    private(set) var start: RaftLogStart
    private(set) var entries: [RaftEntry]

    init(_ state: RaftState) {
        self.hardState = state.hardState
        self.start = state.start
        self.entries = state.entries
    }

    var state: RaftState { RaftState(hardState: self.hardState, start: self.start, entries: self.entries) }

    var lastIndex: UInt64 { self.start.position.index + UInt64(self.entries.count) }

    func entry(at index: UInt64) -> RaftEntry? {
        guard index > self.start.position.index, index <= self.lastIndex else { return nil }
        return self.entries[Int(index - self.start.position.index) - 1]
    }

    /// Carries out a write as `docs/formats/consensus-store.md` says.
    ///
    /// `keepsSuffix` is the fault of a store that overwrites entries and leaves those behind them.
    mutating func carryOut(_ write: RaftWrite, keepsSuffix: Bool = false) {
        if write.clearsLog { self.entries = [] }
        if let hardState = write.hardState { self.hardState = hardState }
        if write.clearsLog, let start = write.start { self.start = start }
        if let first = write.entries.first?.position.index, first > self.start.position.index {
            let kept = min(Int(first - self.start.position.index) - 1, self.entries.count)
            var suffix: [RaftEntry] = []
            if keepsSuffix, kept + write.entries.count < self.entries.count {
                suffix = Array(self.entries[(kept + write.entries.count)...])
            }
            self.entries.removeSubrange(kept...)
            self.entries += write.entries + suffix
        }
        if let start = write.start, start.position.index > self.start.position.index {
            let gone = min(Int(start.position.index - self.start.position.index), self.entries.count)
            self.entries.removeFirst(gone)
            self.start = start
        }
    }
}

/// The two stores of one orderer: synced writes in order, and a ledger that is synced now and then.
struct SimulatedDisk {
    struct LedgerBlock: Equatable {
        var block: SimulatedBlock
        /// The index in the block's metadata, as Fabric records it.
        var position: UInt64
    }

    private(set) var log: StoredLog
    /// Writes that were begun and may not have reached the disk.
    private(set) var unfinished: [RaftWrite] = []
    private(set) var ledger: [LedgerBlock]
    private(set) var syncedBlocks: Int

    init(_ state: RaftState, ledger: [LedgerBlock]) {
        self.log = StoredLog(state)
        self.ledger = ledger
        self.syncedBlocks = ledger.count
    }

    mutating func begin(_ write: RaftWrite) { self.unfinished.append(write) }

    /// The oldest unfinished write is durable; returns its number.
    mutating func finish(_ mutation: Mutation?) -> UInt64? {
        guard !self.unfinished.isEmpty else { return nil }
        var write = self.unfinished.removeFirst()
        if mutation == .forgetVote { write.hardState?.vote = nil }
        if mutation == .forgetTerm { write.hardState?.term = self.log.hardState.term }
        self.log.carryOut(write, keepsSuffix: mutation == .keepSuffix)
        return write.number
    }

    mutating func append(_ block: LedgerBlock) { self.ledger.append(block) }

    mutating func syncLedger() { self.syncedBlocks = self.ledger.count }

    /// Power is lost: unfinished writes are lost from some point on, since a torn batch is dropped when the store is
    /// opened; so are blocks that were not synced.
    mutating func crash(_ dice: inout Dice, _ mutation: Mutation?) -> (writes: Int, blocks: Int) {
        for _ in 0..<dice.between(0, self.unfinished.count) { _ = self.finish(mutation) }
        let kept = dice.between(self.syncedBlocks, self.ledger.count)
        let lost = (writes: self.unfinished.count, blocks: self.ledger.count - kept)
        self.unfinished = []
        self.ledger.removeSubrange(kept...)
        self.syncedBlocks = kept
        return lost
    }
}
