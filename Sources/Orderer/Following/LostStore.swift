internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import SwiftProtobuf

/// What a consenter has lost of its two stores, so that it copies blocks before it orders.
///
/// The argument why that is enough is in `docs/decisions/0036-lost-disks.md`.
enum LostStore: Equatable {
    /// The ledger lacks blocks that the consensus store let go: it must have so many.
    case blocks(height: BlockNumber)
    /// The ledger lacks blocks of Raft's entries through this one, of which the consensus store holds none.
    case entries(index: UInt64)
    /// What this node promised other BFT consenters is gone; it promised nothing behind this many blocks.
    case promises(height: BlockNumber)

    func isMadeGood(by log: BlockLog) -> Bool {
        switch self {
        case .blocks(let height), .promises(let height): return log.height >= height
        case .entries(let index):
            guard let number = log.lastHeader?.number, let last = try? log.block(number) else { return false }
            return ((try? ConsenterMetadata(of: last))?.raftIndex ?? 0) >= index
        }
    }

    /// What was lost is made good: who may have promised something takes part from here on.
    func end(_ log: BlockLog, _ consensus: any KeyValueStore) throws {
        guard case .promises = self else { return }
        try BFTStore(consensus).begin(at: log.height)
    }

    var description: String {
        switch self {
        case .blocks(let height), .promises(let height): "it orders behind block \(height - 1)"
        case .entries(let index): "it orders behind the block of Raft's entry \(index)"
        }
    }
}

extension LostStore {
    /// What a Raft consenter has lost of its ledger, if its consensus store is older than that.
    static func ledger(_ log: BlockLog, _ consensus: any KeyValueStore) throws -> LostStore? {
        let (start, first) = try RaftStore(consensus).released
        guard start > 0 else { return nil }
        if let first { return log.height < first ? .blocks(height: first) : nil }
        let loss = LostStore.entries(index: start)
        return log.height <= 1 && !loss.isMadeGood(by: log) ? loss : nil
    }

    /// The same of a BFT consenter.
    static func ledger(_ log: BlockLog, bft consensus: any KeyValueStore) throws -> LostStore? {
        var store = BFTStore(consensus)
        guard let record = try store.load().record else {
            // It took part from there on, or had promised something before it did. The first block is in the node's folder.
            guard let beginning = try store.beginning, beginning > max(1, log.height) else { return nil }
            return .blocks(height: beginning)
        }
        guard record.height > log.height else { return nil }
        if record.height == log.height + 1, record.previous?.height == log.height { return nil }
        return .blocks(height: record.height)
    }
}
