import Consensus

/// The two stores of one BFT orderer: what it promised, written in order, and a ledger that is synced now and then.
struct SimulatedBFTDisk {
    struct LedgerBlock: Equatable {
        var block: SimulatedBlock
        /// None for the genesis block.
        var certificate: BFTCertificate?
        /// Who votes on the next block.
        var voters: BFTVoters
    }

    private(set) var state = BFTState()
    private(set) var ledger: [LedgerBlock]
    private(set) var syncedBlocks: Int
    /// The write that was begun and may not have reached the disk.
    private(set) var unfinished: BFTWrite?

    init(genesis: LedgerBlock) {
        self.ledger = [genesis]
        self.syncedBlocks = 1
    }

    /// A new consenter starts with others' blocks.
    init(ledger: [LedgerBlock]) {
        self.ledger = ledger
        self.syncedBlocks = ledger.count
    }

    mutating func begin(_ write: BFTWrite) { self.unfinished = write }

    mutating func finish() {
        if let write = self.unfinished { self.state.apply(write) }
        self.unfinished = nil
    }

    mutating func append(_ block: LedgerBlock) { self.ledger.append(block) }

    mutating func syncLedger() { self.syncedBlocks = self.ledger.count }

    /// Power is lost: an unfinished write is there or not, and so are blocks that were not synced.
    mutating func crash(_ dice: inout Dice, _ counts: inout Counts) {
        if dice.chance(500) { self.finish() }
        counts.crashes += 1
        if self.unfinished != nil { counts.lostWrites += 1 }
        self.unfinished = nil
        let kept = dice.between(self.syncedBlocks, self.ledger.count)
        counts.lostBlocks += self.ledger.count - kept
        self.ledger.removeSubrange(kept...)
        self.syncedBlocks = kept
    }

    /// The newest block, as the engine wants to know it.
    var held: BFTHeld {
        let last = self.ledger[self.ledger.count - 1]
        let before = self.ledger.count > 1 ? self.ledger[self.ledger.count - 2] : last
        return BFTHeld(
            height: last.block.number,
            certificate: last.certificate,
            previousVoters: before.voters,
            voters: last.voters
        )
    }
}
