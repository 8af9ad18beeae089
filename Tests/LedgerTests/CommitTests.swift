import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import Testing

@testable import Ledger

/// Verdicts of the ledger, and what valid transactions do to the state.
@Suite struct CommitTests {
    private func bytes(_ text: String) -> Data { Data(text.utf8) }

    @Test func theFirstOfTwoReadersAndWritersWins() throws {
        var chain = try TestChain()
        try chain.run { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        func increment(_ simulator: TransactionSimulator) throws {
            _ = try simulator.value(namespace: "cc", key: "k")
            try simulator.setValue(bytes("2"), namespace: "cc", key: "k")
        }
        let codes = try chain.commit([chain.transaction(increment), chain.transaction(increment)])
        #expect(codes == [.valid, .mvccReadConflict])
        let late = try chain.transaction { _ = try $0.value(namespace: "cc", key: "other") }
        #expect(try chain.commit([late]) == [.valid])
    }

    @Test func blindWritesNeverConflictAndTheLastWins() throws {
        var chain = try TestChain()
        let codes = try chain.commit([
            chain.transaction { try $0.setValue(bytes("1"), namespace: "cc", key: "k") },
            chain.transaction { try $0.setValue(bytes("2"), namespace: "cc", key: "k") },
        ])
        #expect(codes == [.valid, .valid])
        let value = try #require(try chain.ledger.snapshot().value(namespace: "cc", key: "k"))
        #expect(value.value == bytes("2"))
        #expect(value.version == Version(block: 0, transaction: 1))
    }

    @Test func aRangeThatChangedIsAPhantom() throws {
        var chain = try TestChain()
        for key in ["a", "b", "c"] {
            try chain.run { try $0.setValue(bytes("1"), namespace: "cc", key: key) }
        }
        func read(_ start: String, _ end: String, rows: Int = .max) throws -> TestChain.Transaction {
            try chain.transaction {
                let range = try $0.range(namespace: "cc", start: start, end: end)
                for _ in 0..<rows { if try range.next() == nil { break } }
            }
        }
        let readers = [
            try read("a", "c"), try read("a", "z"), try read("a", "b"), try read("a", "", rows: 2),
        ]
        let inserting = try chain.transaction { try $0.setValue(bytes("1"), namespace: "cc", key: "bb") }
        let codes = try chain.commit([inserting] + readers)
        // The last looked at two rows only: the new key comes after them.
        #expect(codes == [.valid, .phantomReadConflict, .phantomReadConflict, .valid, .valid])
    }

    @Test func aLargeRangeIsComparedByItsHashes() throws {
        var chain = try TestChain()
        try chain.run {
            for index in 0..<3000 { try $0.setValue(bytes("1"), namespace: "cc", key: "k\(10000 + index)") }
        }
        func read(_ simulator: TransactionSimulator) throws {
            let range = try simulator.range(namespace: "cc", start: "k", end: "l")
            while try range.next() != nil {}
        }
        let first = try chain.transaction(read)
        let second = try chain.transaction(read)
        let summary = try #require(first.results.publicSet.namespaces.first?.kv.rangeQueriesInfo.first)
        #expect(summary.readsMerkleHashes.maxLevel == 2)
        let changing = try chain.transaction { try $0.deleteValue(namespace: "cc", key: "k12999") }
        #expect(try chain.commit([first, changing, second]) == [.valid, .valid, .phantomReadConflict])
    }

    @Test func anIdentifierIsUsedOnce() throws {
        var chain = try TestChain()
        let first = try chain.transaction { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        #expect(try chain.commit([first, first]) == [.valid, .duplicateTxid])
        #expect(try chain.commit([first]) == [.duplicateTxid])
        let record = try #require(try chain.ledger.transaction(first.id))
        #expect(record == TransactionRecord(id: first.id, block: 0, index: 0, code: .valid))
    }

    @Test func anInvalidCopyDoesNotInvalidateALaterOneOfTheSameBlockButOneOfALaterBlock() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        var input = chain.input([transaction, transaction])
        input.transactions[0].code = .endorsementPolicyFailure
        let committed = try chain.ledger.commit(input)
        #expect(committed.codes == [.endorsementPolicyFailure, .valid])
        // Look-ups tell of the first.
        #expect(try chain.ledger.transaction(transaction.id)?.code == .endorsementPolicyFailure)
        #expect(try chain.commit([transaction]) == [.duplicateTxid])
    }

    @Test func invalidTransactionsChangeNothing() throws {
        var chain = try TestChain()
        var input = chain.input([
            try chain.transaction { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        ])
        input.transactions[0].code = .badCreatorSignature
        _ = try chain.ledger.commit(input)
        #expect(try chain.ledger.snapshot().value(namespace: "cc", key: "k") == nil)
    }

    @Test func metadataStaysWithItsKey() throws {
        var chain = try TestChain()
        let policy = [Kvrwset_KVMetadataEntry(name: "VALIDATION_PARAMETER", value: "policy")]
        #expect(!chain.ledger.snapshot().namespaceHasMetadata("cc"))
        try chain.run { try $0.setMetadata(policy, namespace: "cc", key: "never") }
        #expect(try chain.ledger.snapshot().value(namespace: "cc", key: "never") == nil)
        try chain.run { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        try chain.run { try $0.setMetadata(policy, namespace: "cc", key: "k") }
        #expect(chain.ledger.snapshot().namespaceHasMetadata("cc"))
        #expect(try chain.ledger.snapshot().metadata(namespace: "cc", key: "k") == policy)
        #expect(
            try chain.ledger.snapshot().value(namespace: "cc", key: "k")?.version
                == Version(block: 2, transaction: 0)
        )
        try chain.run { try $0.setValue(bytes("2"), namespace: "cc", key: "k") }
        #expect(try chain.ledger.snapshot().metadata(namespace: "cc", key: "k") == policy)
        try chain.run { try $0.deleteValue(namespace: "cc", key: "k") }
        try chain.run { try $0.setValue(bytes("3"), namespace: "cc", key: "k") }
        #expect(try chain.ledger.snapshot().metadata(namespace: "cc", key: "k").isEmpty)
        try chain.reopen()
        #expect(chain.ledger.snapshot().namespaceHasMetadata("cc"))
    }

    @Test func metadataOnAKeyRemovedInTheSameBlockHasNoEffect() throws {
        var chain = try TestChain()
        try chain.run { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        let codes = try chain.commit([
            chain.transaction { try $0.deleteValue(namespace: "cc", key: "k") },
            chain.transaction {
                try $0.setMetadata([.init(name: "m", value: "v")], namespace: "cc", key: "k")
            },
        ])
        #expect(codes == [.valid, .valid])
        #expect(try chain.ledger.snapshot().value(namespace: "cc", key: "k") == nil)
    }

    @Test func historyIsNewestFirst() throws {
        var chain = try TestChain()
        try chain.run { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        try chain.run { try $0.setValue(bytes("x"), namespace: "cc", key: "kk") }
        try chain.run { try $0.deleteValue(namespace: "cc", key: "k") }
        try chain.run { try $0.setValue(bytes("2"), namespace: "cc", key: "k") }
        let history = chain.ledger.snapshot().history(namespace: "cc", key: "k")
        var found: [String] = []
        while let entry = try history.next() {
            #expect(entry.txID.count == 64)
            found.append(entry.isDelete ? "deleted" : String(decoding: entry.value, as: UTF8.self))
        }
        #expect(found == ["2", "deleted", "1"])
        #expect(try chain.ledger.snapshot().history(namespace: "cc", key: "none").next() == nil)
    }

    @Test func aSnapshotShowsOneHeight() throws {
        var chain = try TestChain()
        try chain.run { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        let snapshot = chain.ledger.snapshot()
        let simulator = TransactionSimulator(snapshot: snapshot, transactionID: "t")
        try chain.run { try $0.setValue(bytes("2"), namespace: "cc", key: "k") }
        #expect(snapshot.height == 1)
        #expect(try simulator.value(namespace: "cc", key: "k") == bytes("1"))
        #expect(try chain.ledger.snapshot().value(namespace: "cc", key: "k")?.value == bytes("2"))
    }

    @Test func blocksOutOfOrderAreRefusedAndChangeNothing() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction { try $0.setValue(bytes("1"), namespace: "cc", key: "k") }
        var input = chain.input([transaction])
        input.block.header.number = 3
        let gap = #expect(throws: LedgerError.self) { try chain.ledger.commit(input) }
        #expect(gap?.code == .outOfOrder)
        #expect(gap?.description.contains("block 0 is needed next, but block 3") == true)
        try chain.commit([transaction])
        var foreign = chain.input([transaction])
        foreign.block.header.previousHash = Data(count: 32)
        #expect(throws: LedgerError.self) { try chain.ledger.commit(foreign) }
        var short = chain.input([transaction])
        short.transactions = []
        #expect(throws: LedgerError.self) { try chain.ledger.commit(short) }
        var empty = chain.input([try chain.transaction { _ in }])
        empty.transactions[0].readWriteSet = nil
        #expect(throws: LedgerError.self) { try chain.ledger.commit(empty) }
        #expect(chain.ledger.height == 1)
        try chain.run { try $0.setValue(bytes("2"), namespace: "cc", key: "k") }
    }
}
