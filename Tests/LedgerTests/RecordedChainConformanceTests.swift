import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Ledger

/// Replays the chains of a real network and compares verdicts, commit hashes and state with those of its peers.
@Suite struct RecordedChainConformanceTests {
    private func makeLedger(_ stores: LedgerStores = .inMemory()) throws -> Ledger {
        try Ledger(channelID: ChannelID("vecmain"), stores: stores)
    }

    @Test(arguments: ["main", "side"])
    func verdictsAndCommitHashesOfEveryBlockAreTheRecordedOnes(name: String) throws {
        let (blocks, recorded) = try RecordedChain.load(name)
        let ledger = try self.makeLedger()
        for (block, expected) in zip(blocks, recorded.chain) {
            let committed = try ledger.commit(BlockToCommit(recorded: block))
            let codes = committed.codes.map(\.rawValue)
            let holds =
                codes == expected.transactions.map(\.validationCode)
                && committed.commitHash.hexadecimal == (expected.commitHash ?? "")
            #expect(holds, "block \(expected.number): \(codes), \(committed.commitHash.hexadecimal)")
            VectorReport.record(
                folder: "blocks",
                name: "\(name) \(expected.number) commit hash",
                holds: holds
            )
            // The block that the peer delivered is the block that this ledger now holds, byte for byte.
            #expect(committed.block == block)
            #expect(try ledger.log.serializedBlock(expected.number) == block.serializedBytes())
            #expect(try ledger.block(expected.number) == block)
        }
        #expect(ledger.height == UInt64(recorded.chain.count))
    }

    @Test(arguments: ["middle-block-89", "final-block-106"])
    func stateIsThatOfARealPeer(name: String) throws {
        let expected = try RecordedState.load(name)
        let stores = LedgerStores.inMemory()
        let ledger = try self.makeLedger(stores)
        for block in try RecordedChain.load("main").blocks where block.header.number <= expected.block {
            _ = try ledger.commit(BlockToCommit(recorded: block))
        }
        let found = try Self.lines(of: stores.derived)
        let missing = Set(expected.lines).subtracting(found)
        let surplus = Set(found).subtracting(expected.lines)
        #expect(missing.isEmpty)
        #expect(surplus.isEmpty)
        VectorReport.record(
            folder: "snapshots",
            name: "\(name) state",
            holds: missing.isEmpty && surplus.isEmpty
        )
    }

    @Test func stateReplayedAtStartIsTheSame() throws {
        let blocks = try RecordedChain.load("main").blocks
        var stores = LedgerStores.inMemory()
        let ledger = try self.makeLedger(stores)
        for block in blocks { _ = try ledger.commit(BlockToCommit(recorded: block)) }
        let before = try Self.everything(in: stores.derived)

        stores.derived = MemoryStore()
        let reopened = try self.makeLedger(stores)
        #expect(try Self.everything(in: stores.derived) == before)
        #expect(reopened.height == ledger.height)
        #expect(reopened.lastCommitHash == ledger.lastCommitHash)
        #expect(reopened.lastHeader == ledger.lastHeader)
    }

    @Test func blocksAndTransactionsAreFound() throws {
        let (blocks, recorded) = try RecordedChain.load("main")
        let ledger = try self.makeLedger()
        for block in blocks { _ = try ledger.commit(BlockToCommit(recorded: block)) }
        var seen = Set<String>()
        for block in recorded.chain {
            let hash = try #require(Data(hexadecimal: block.headerHash))
            #expect(try ledger.block(hash: hash)?.header.number == block.number)
            for (index, transaction) in block.transactions.enumerated() {
                guard let id = transaction.txID, !id.isEmpty, seen.insert(id).inserted else { continue }
                let record = try #require(try ledger.transaction(id))
                #expect(record.block == block.number)
                #expect(record.index == index)
                #expect(record.code.rawValue == transaction.validationCode)
                #expect(
                    try ledger.envelope(block: record.block, index: record.index)
                        == blocks[Int(block.number)].data.data[index]
                )
            }
        }
        #expect(try !ledger.containsTransaction("none"))
        #expect(try ledger.block(transaction: "none") == nil)
        #expect(try ledger.block(hash: Data(count: 32)) == nil)
    }

    /// The world state in the form of ``RecordedState/lines``.
    static func lines(of derived: any KeyValueStore) throws -> [String] {
        var lines: [String] = []
        try derived.forEach(from: DerivedKey.allState.start, to: DerivedKey.allState.end) { key, encoded in
            let parts = try #require(DerivedKey.stateParts(key))
            let value = try #require(VersionedValue(encoded: encoded))
            let metadata = try value.metadata.map { "\($0.name)=\($0.value.hexadecimal)" }.joined(
                separator: ","
            )
            let text = value.value.count > 2000 ? Digest.sha256(value.value) : value.value
            let version = [value.version.block, value.version.transaction]
            let namespace = String(decoding: parts.namespace, as: UTF8.self)
            lines.append("\(namespace) \(parts.key.hexadecimal) \(text.hexadecimal) \(version) \(metadata)")
            return true
        }
        return lines
    }

    static func everything(in store: any KeyValueStore) throws -> [Data: Data] {
        var entries: [Data: Data] = [:]
        try store.forEach(from: Data(), to: nil) { key, value in
            entries[key] = value
            return true
        }
        return entries
    }
}
