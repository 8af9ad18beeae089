import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf
import Testing

import struct Channel.Version

@testable import Ledger

/// Private data that comes after its block.
@Suite struct LatePrivateDataTests {
    private func put(_ values: [String: String]) -> (TransactionSimulator) throws -> Void {
        { simulator in
            for (key, value) in values.sorted(by: { $0.key < $1.key }) {
                try simulator.setPrivateValue(
                    Data(value.utf8),
                    namespace: "cc",
                    collection: "c",
                    key: key
                )
            }
        }
    }

    private func value(_ chain: TestChain, _ key: String) throws -> Data? {
        try chain.ledger.snapshot().privateValue(namespace: "cc", collection: "c", key: key)?.value
    }

    /// Commits a transaction without its private data, which is noted as missing.
    private func commitWithout(_ chain: TestChain, _ transaction: TestChain.Transaction) throws {
        _ = try chain.ledger.commit(Self.without(chain, transaction))
    }

    private static func without(_ chain: TestChain, _ transaction: TestChain.Transaction) -> BlockToCommit {
        var input = chain.input([transaction], withPrivateData: false)
        input.missingPrivateData = [
            MissingPrivateData(transaction: 0, namespace: "cc", collection: "c", isEligible: true)
        ]
        return input
    }

    private func late(_ block: BlockNumber, _ transaction: TestChain.Transaction) -> LatePrivateWrites {
        LatePrivateWrites(block: block, set: transaction.privateWriteSets(at: 0)[0])
    }

    private func missing(_ chain: TestChain) throws -> [BlockNumber] {
        var blocks: [BlockNumber] = []
        try chain.ledger.forEachMissingPrivateData { block, _ in
            blocks.append(block)
            return true
        }
        return blocks
    }

    /// The state as it is, and as it comes out when it is computed again from the log.
    private func expectSameStateAgain(_ chain: inout TestChain) throws {
        let before = try RecordedChainConformanceTests.everything(in: chain.stores.derived)
        chain.stores.derived = MemoryStore()
        try chain.reopen()
        #expect(try RecordedChainConformanceTests.everything(in: chain.stores.derived) == before)
    }

    @Test func lateDataIsReadAsIfItHadBeenThere() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction(self.put(["k": "1", "other": "2"]))
        try self.commitWithout(chain, transaction)
        let before = chain.ledger.snapshot()
        #expect(try self.missing(chain) == [0])
        #expect(try chain.ledger.add(late: [self.late(0, transaction)]) == [.added])
        #expect(try self.value(chain, "k") == Data("1".utf8))
        #expect(
            try before.privateValue(namespace: "cc", collection: "c", key: "k") == nil,
            "a view stays as it is"
        )
        #expect(try self.missing(chain).isEmpty)
        #expect(try chain.ledger.privateStore.writeSets(block: 0).count == 1)
        #expect(try chain.ledger.add(late: [self.late(0, transaction)]) == [.notMissing])
        try self.expectSameStateAgain(&chain)
    }

    @Test func whatWasNotEndorsedIsRefused() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction(self.put(["k": "1", "other": "2"]))
        try self.commitWithout(chain, transaction)
        var wrong = self.late(0, transaction)
        wrong.set.bytes = try Kvrwset_KVRWSet.with {
            $0.writes = [
                .with {
                    $0.key = "k"
                    $0.value = Data("2".utf8)
                }
            ]
        }.serializedBytes()
        var cut = self.late(0, transaction)
        cut.set.bytes = try Kvrwset_KVRWSet.with {
            $0.writes = [
                .with {
                    $0.key = "k"
                    $0.value = Data("1".utf8)
                }
            ]
        }.serializedBytes()
        var empty = self.late(0, transaction)
        empty.set.bytes = Data()
        for outcome in try chain.ledger.add(late: [wrong, cut, empty]) {
            guard case .refused = outcome else {
                Issue.record("\(outcome)")
                continue
            }
        }
        #expect(try self.missing(chain) == [0])
        #expect(try self.value(chain, "k") == nil)
    }

    @Test func whatWasWrittenSinceStaysAsItIs() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1", "gone": "1", "kept": "1"]))
        try self.commitWithout(chain, first)
        try chain.run(self.put(["k": "2"]))
        try chain.run { try $0.deletePrivateValue(namespace: "cc", collection: "c", key: "gone") }
        #expect(try chain.ledger.add(late: [self.late(0, first)]) == [.added])
        #expect(try self.value(chain, "k") == Data("2".utf8))
        #expect(try self.value(chain, "gone") == nil)
        #expect(try self.value(chain, "kept") == Data("1".utf8))
        try self.expectSameStateAgain(&chain)
    }

    @Test func dataThatIsOutOfDateBecauseNewerIsMissingIsNotShown() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1"]))
        try self.commitWithout(chain, first)
        let second = try chain.transaction(self.put(["k": "2"]))
        try self.commitWithout(chain, second)
        #expect(try self.missing(chain) == [1, 0])
        #expect(try chain.ledger.add(late: [self.late(0, first)]) == [.added])
        #expect(try self.value(chain, "k") == nil)
        try self.expectSameStateAgain(&chain)
        #expect(try chain.ledger.add(late: [self.late(1, second)]) == [.added])
        #expect(try self.value(chain, "k") == Data("2".utf8))
        try self.expectSameStateAgain(&chain)
    }

    @Test func aValueGoesWhenItIsWrittenAnewByATransactionWhoseDataIsMissing() throws {
        var chain = try TestChain()
        try chain.run(self.put(["k": "1"]))
        let second = try chain.transaction(self.put(["k": "2"]))
        try self.commitWithout(chain, second)
        #expect(try self.value(chain, "k") == nil)
        #expect(try chain.ledger.add(late: [self.late(1, second)]) == [.added])
        #expect(try self.value(chain, "k") == Data("2".utf8))
        try self.expectSameStateAgain(&chain)
    }

    @Test func newMetadataDoesNotMakeLateDataStale() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1"]))
        try self.commitWithout(chain, first)
        let second = try chain.transaction {
            try $0.setPrivateMetadata(
                [.init(name: "m", value: "v")],
                namespace: "cc",
                collection: "c",
                key: "k"
            )
        }
        try self.commitWithout(chain, second)
        #expect(try chain.ledger.add(late: [self.late(0, first)]) == [.added])
        let simulator = TransactionSimulator(snapshot: chain.ledger.snapshot(), transactionID: "t")
        #expect(
            try simulator.privateValue(namespace: "cc", collection: "c", key: "k") == Data("1".utf8),
            "its version is that of its hash"
        )
        try self.expectSameStateAgain(&chain)
    }

    @Test func theFirstOfEqualValuesIsReadWhileTheLastIsMissingAndVerificationAgrees() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1"]))
        try self.commitWithout(chain, first)
        for value in ["2", "1"] { try self.commitWithout(chain, chain.transaction(self.put(["k": value]))) }
        #expect(try chain.ledger.add(late: [self.late(0, first)]) == [.added])
        let simulator = TransactionSimulator(snapshot: chain.ledger.snapshot(), transactionID: "t")
        #expect(
            try simulator.privateValue(namespace: "cc", collection: "c", key: "k") == Data("1".utf8),
            "it has hash and version of the last write"
        )
        let computed = try self.computed(chain)
        #expect(try StateComparison.findings(stored: chain.stores.derived, computed: computed).isEmpty)

        // A value of another hash, or of another version, is still found.
        let key = DerivedKey.state(
            DerivedNamespace.values(Bytes("cc".utf8), Bytes("c".utf8)),
            Bytes("k".utf8)
        )
        for (value, block) in [("2", 2), ("1", 0)] as [(String, BlockNumber)] {
            var batch = WriteBatch()
            let version = Version(block: block, transaction: 0)
            batch.set(VersionedValue(value: Data(value.utf8), version: version).encoded, forKey: key)
            try chain.stores.derived.write(batch, durably: false)
            let findings = try StateComparison.findings(stored: chain.stores.derived, computed: computed)
            #expect(findings.count == 1 && findings.first?.message.contains("no transaction put it") == true)
        }
    }

    /// The state as verification computes it.
    private func computed(_ chain: TestChain) throws -> any KeyValueStore {
        var computed = try ComputedState(
            store: MemoryStore(),
            log: chain.ledger.log,
            privateStore: chain.ledger.privateStore
        )
        for number in 0..<chain.ledger.height {
            let block = try #require(try chain.ledger.block(number))
            let outcome = try computed.apply(
                block,
                block.data.data.map { TransactionToCommit(code: .valid, envelope: $0) }
            )
            #expect(outcome.wrongPrivateData.isEmpty)
        }
        return computed.store
    }

    @Test func purgedKeysDoNotComeBack() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1", "other": "2"]))
        try self.commitWithout(chain, first)
        try chain.commit(
            [chain.transaction { try $0.purgePrivateValue(namespace: "cc", collection: "c", key: "k") }],
            withPrivateData: false
        )
        #expect(try chain.ledger.add(late: [self.late(0, first)]) == [.added])
        #expect(try self.value(chain, "k") == nil)
        #expect(try self.value(chain, "other") == Data("2".utf8))
        let stored = try chain.ledger.privateStore.writeSets(block: 0, includingPurged: true)
        let keys = try stored.flatMap { try Kvrwset_KVRWSet(serializedBytes: $0.bytes).writes.map(\.key) }
        #expect(keys == ["other"], "the purged value never reaches the disk")
        try self.expectSameStateAgain(&chain)
    }

    @Test func dataWithoutTheKeysThatWerePurgedIsEnough() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1", "other": "2"]))
        try self.commitWithout(chain, first)
        try chain.commit(
            [chain.transaction { try $0.purgePrivateValue(namespace: "cc", collection: "c", key: "k") }],
            withPrivateData: false
        )
        var trimmed = self.late(0, first)
        trimmed.set.bytes = try Kvrwset_KVRWSet.with {
            $0.writes = [
                .with {
                    $0.key = "other"
                    $0.value = Data("2".utf8)
                }
            ]
        }.serializedBytes()
        #expect(try chain.ledger.add(late: [trimmed]) == [.added])
        #expect(try self.value(chain, "other") == Data("2".utf8))
        #expect(try self.missing(chain).isEmpty)
        try self.expectSameStateAgain(&chain)
    }

    @Test func nothingAtAllIsEnoughWhenAllOfItWasPurged() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1"]))
        try self.commitWithout(chain, first)
        try chain.commit(
            [chain.transaction { try $0.purgePrivateValue(namespace: "cc", collection: "c", key: "k") }],
            withPrivateData: false
        )
        var empty = self.late(0, first)
        empty.set.bytes = Data()
        #expect(try chain.ledger.add(late: [empty]) == [.forgotten])
        #expect(try self.missing(chain).isEmpty)
    }

    @Test func whatHasExpiredIsNeitherMissingNorStored() throws {
        var chain = try TestChain()
        try PrivateDataTests.define(&chain, blocks: 2)
        let transaction = try chain.transaction(self.put(["k": "1"]))
        try self.commitWithout(chain, transaction)
        for _ in 0..<3 { try chain.run { try $0.setValue(Data("x".utf8), namespace: "cc", key: "x") } }
        let late = self.late(1, transaction)
        #expect(try chain.ledger.add(late: [late]) == [.forgotten])
        #expect(try self.missing(chain).isEmpty)
        #expect(try chain.ledger.privateStore.writeSets(block: 1).isEmpty)
    }

    @Test func noteOfWhatHasExpiredGoesWhenItIsLookedFor() throws {
        var chain = try TestChain()
        try PrivateDataTests.define(&chain, blocks: 2)
        try self.commitWithout(chain, chain.transaction(self.put(["k": "1"])))
        #expect(try self.missing(chain) == [1])
        for _ in 0..<3 { try chain.run { try $0.setValue(Data("x".utf8), namespace: "cc", key: "x") } }
        #expect(try self.missing(chain).isEmpty)
        #expect(try chain.ledger.privateStore.missing(block: 1).isEmpty)
    }

    @Test func lateDataOfAnInvalidTransactionIsKeptButNotInTheState() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction(self.put(["k": "1"]))
        var input = Self.without(chain, transaction)
        input.transactions[0].code = .endorsementPolicyFailure
        _ = try chain.ledger.commit(input)
        #expect(try chain.ledger.add(late: [self.late(0, transaction)]) == [.added])
        #expect(try self.value(chain, "k") == nil)
        #expect(try chain.ledger.privateStore.writeSets(block: 0).count == 1)
    }

    @Test func whileBlocksAreStagedItWaitsForThem() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1", "other": "1"]))
        try self.commitWithout(chain, first)
        let second = try chain.transaction(self.put(["k": "2"]))
        _ = try chain.ledger.stage(chain.input([second]))
        #expect(try chain.ledger.add(late: [self.late(0, first)]) == [.added])
        #expect(try self.value(chain, "other") == nil)
        _ = try chain.ledger.commitStaged()
        #expect(try self.value(chain, "other") == Data("1".utf8))
        #expect(try self.value(chain, "k") == Data("2".utf8))
        try self.expectSameStateAgain(&chain)
    }

    @Test func verificationAcceptsLateDataAndWhatWasCutFromIt() throws {
        var chain = try TestChain()
        let first = try chain.transaction(self.put(["k": "1", "other": "2"]))
        try self.commitWithout(chain, first)
        try chain.commit(
            [chain.transaction { try $0.purgePrivateValue(namespace: "cc", collection: "c", key: "k") }],
            withPrivateData: false
        )
        #expect(try chain.ledger.add(late: [self.late(0, first)]) == [.added])
        #expect(
            try RecordedChainConformanceTests.everything(in: self.computed(chain))
                == RecordedChainConformanceTests.everything(in: chain.stores.derived)
        )
    }

    enum Target: CaseIterable, Sendable { case `private`, derived }

    @Test(arguments: Target.allCases, FailingStore.Failure.allCases)
    func aCrashLosesNothing(_ target: Target, _ failure: FailingStore.Failure) throws {
        for writes in 0...1 {
            let stores = LedgerStores.inMemory()
            var chain = try TestChain(stores)
            let transaction = try chain.transaction(self.put(["k": "1"]))
            try self.commitWithout(chain, transaction)
            let store = FailingStore(target == .private ? stores.private : stores.derived)
            var broken = stores
            switch target {
            case .private: broken.private = store
            case .derived: broken.derived = store
            }
            chain = try TestChain(broken)
            store.fail(after: writes, failure)
            let outcome = try? chain.ledger.add(late: [self.late(0, transaction)])
            #expect(outcome != nil || (try? self.value(chain, "k")) == .some(nil), "it is shown whole or not")

            chain = try TestChain(stores)
            if try self.missing(chain) == [0] {
                #expect(try chain.ledger.add(late: [self.late(0, transaction)]) == [.added])
            }
            #expect(try self.value(chain, "k") == Data("1".utf8))
            #expect(try self.missing(chain).isEmpty)
            #expect(try chain.ledger.privateStore.late().isEmpty)
            try self.expectSameStateAgain(&chain)
        }
    }
}
