import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf
import Testing

@testable import Ledger

/// Private collections: values for members, hashes for all, expiry and purge.
@Suite struct PrivateDataTests {
    private func bytes(_ text: String) -> Data { Data(text.utf8) }

    private func put(_ key: String, _ value: String) -> (TransactionSimulator) throws -> Void {
        { try $0.setPrivateValue(Data(value.utf8), namespace: "cc", collection: "c", key: key) }
    }

    private func value(_ chain: TestChain, _ key: String) throws -> Data? {
        let simulator = TransactionSimulator(snapshot: chain.ledger.snapshot(), transactionID: "t")
        return try simulator.privateValue(namespace: "cc", collection: "c", key: key)
    }

    private func hash(_ chain: TestChain, _ key: String) throws -> Data? {
        let simulator = TransactionSimulator(snapshot: chain.ledger.snapshot(), transactionID: "t")
        return try simulator.privateHash(namespace: "cc", collection: "c", key: key)
    }

    @Test func membersReadValuesAndAllReadHashes() throws {
        var chain = try TestChain()
        try chain.run(self.put("k", "1"))
        #expect(try self.value(chain, "k") == bytes("1"))
        #expect(try self.hash(chain, "k") == Digest.sha256(bytes("1")))
        #expect(try self.value(chain, "none") == nil)
        #expect(try chain.ledger.privateStore.writeSets(block: 0).count == 1)
    }

    @Test func withoutTheDataReadingFailsInFabricsWords() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction(self.put("k", "1"))
        var input = chain.input([transaction], withPrivateData: false)
        let missing = MissingPrivateData(transaction: 0, namespace: "cc", collection: "c", isEligible: true)
        input.missingPrivateData = [missing]
        _ = try chain.ledger.commit(input)
        #expect(try chain.ledger.privateStore.missing(block: 0) == [missing])
        #expect(try self.hash(chain, "k") == Digest.sha256(bytes("1")))
        let error = #expect(throws: SimulationError.self) { try self.value(chain, "k") }
        #expect(
            error?.description
                == "private data matching public hash version is not available. "
                + "Public hash version = {BlockNum: 0, TxNum: 0}, Private data version = <nil>"
        )
    }

    @Test func dataThatDoesNotMatchItsHashIsLeftOutAndNotedAsMissing() throws {
        var chain = try TestChain()
        var input = chain.input([try chain.transaction(self.put("k", "1"))])
        var forged = Kvrwset_KVRWSet()
        forged.writes = [
            .with {
                $0.key = "k"; $0.value = Data("2".utf8)
            }
        ]
        input.privateWriteSets[0].bytes = try forged.serializedBytes()
        _ = try chain.ledger.commit(input)
        #expect(try chain.ledger.privateStore.writeSets(block: 0).isEmpty)
        #expect(try chain.ledger.privateStore.missing(block: 0).count == 1)
    }

    @Test func privateDataOfInvalidTransactionsIsKeptButNotInTheState() throws {
        var chain = try TestChain()
        var input = chain.input([try chain.transaction(self.put("k", "1"))])
        input.transactions[0].code = .endorsementPolicyFailure
        _ = try chain.ledger.commit(input)
        #expect(try chain.ledger.privateStore.writeSets(block: 0).count == 1)
        #expect(try self.value(chain, "k") == nil)
        #expect(try self.hash(chain, "k") == nil)
    }

    @Test func deletedKeysAreGone() throws {
        var chain = try TestChain()
        try chain.run(self.put("k", "1"))
        try chain.run { try $0.deletePrivateValue(namespace: "cc", collection: "c", key: "k") }
        #expect(try self.value(chain, "k") == nil)
        #expect(try self.hash(chain, "k") == nil)
    }

    @Test func purgedKeysAreGoneFromWhatWasStoredToo() throws {
        var chain = try TestChain()
        try chain.run {
            try self.put("k", "1")($0)
            try self.put("other", "2")($0)
        }
        try chain.commit(
            [chain.transaction { try $0.purgePrivateValue(namespace: "cc", collection: "c", key: "k") }],
            withPrivateData: false
        )
        #expect(try self.value(chain, "k") == nil)
        #expect(try self.value(chain, "other") == bytes("2"))
        let sets = try chain.ledger.privateStore.writeSets(block: 0)
        let writes = try sets.flatMap { try Kvrwset_KVRWSet(serializedBytes: $0.bytes).writes }
        #expect(writes.map(\.key) == ["other"])

        let before = try RecordedChainConformanceTests.everything(in: chain.stores.derived)
        chain.stores.derived = MemoryStore()
        try chain.reopen()
        #expect(try RecordedChainConformanceTests.everything(in: chain.stores.derived) == before)
    }

    @Test func newMetadataGivesTheValueANewVersion() throws {
        var chain = try TestChain()
        try chain.run(self.put("k", "1"))
        try chain.run {
            try $0.setPrivateMetadata(
                [.init(name: "m", value: "v")],
                namespace: "cc",
                collection: "c",
                key: "k"
            )
        }
        #expect(try self.value(chain, "k") == bytes("1"))
        let snapshot = chain.ledger.snapshot()
        #expect(
            try snapshot.hashedMetadata(
                namespace: "cc",
                collection: "c",
                keyHash: Digest.sha256(bytes("k"))
            ).map(\.name) == ["m"]
        )
        #expect(snapshot.collectionHasMetadata(namespace: "cc", collection: "c"))
        #expect(!snapshot.namespaceHasMetadata("cc"))
    }

    /// Defines contract "cc" with collection "c" that forgets after `blocks` blocks.
    static func define(_ chain: inout TestChain, blocks: UInt64) throws {
        var collection = Protos_StaticCollectionConfig()
        collection.name = "c"
        collection.blockToLive = blocks
        var package = Protos_CollectionConfigPackage()
        package.config = [.with { $0.staticCollectionConfig = collection }]
        var state = Lifecycle_StateData()
        state.bytes = try package.serializedBytes()
        let stored: Data = try state.serializedBytes()
        try chain.run {
            try $0.setValue(stored, namespace: "_lifecycle", key: "namespaces/fields/cc/Collections")
        }
    }

    @Test func privateDataExpires() throws {
        var chain = try TestChain()
        try Self.define(&chain, blocks: 2)
        try chain.run(self.put("k", "1"))
        try chain.run(self.put("kept", "1"))
        try chain.run(self.put("kept", "2"))
        #expect(try self.value(chain, "k") == bytes("1"))
        // Written in block 1: the last block that still sees it is 3.
        try chain.run { try $0.setValue(bytes("x"), namespace: "cc", key: "x") }
        #expect(try self.value(chain, "k") == nil)
        #expect(try self.hash(chain, "k") == nil)
        try chain.run { try $0.setValue(bytes("x"), namespace: "cc", key: "x") }
        #expect(try self.value(chain, "kept") == bytes("2"))
        let before = try RecordedChainConformanceTests.everything(in: chain.stores.derived)

        try chain.ledger.privateStore.removeExpired(through: 4)
        #expect(try chain.ledger.privateStore.writeSets(block: 1).isEmpty)
        #expect(try chain.ledger.privateStore.writeSets(block: 3).count == 1)
        chain.stores.derived = MemoryStore()
        try chain.reopen()
        #expect(try RecordedChainConformanceTests.everything(in: chain.stores.derived) == before)
    }

    @Test func transientDataIsKeptUntilCommitOrTooOld() throws {
        var chain = try TestChain()
        let transaction = try chain.transaction(self.put("k", "1"))
        let store = chain.ledger.transient
        try store.add(transaction: transaction.id, height: 0, bytes: bytes("a"))
        try store.add(transaction: transaction.id, height: 3, bytes: bytes("b"))
        try store.add(transaction: "never committed", height: 1, bytes: bytes("c"))
        #expect(try Set(store.entries(transaction: transaction.id).map(\.bytes)) == [bytes("a"), bytes("b")])
        try chain.commit([transaction])
        #expect(try store.entries(transaction: transaction.id).isEmpty)
        try store.removeAll(below: 1)
        #expect(try store.entries(transaction: "never committed").map(\.height) == [1])
        try store.removeAll(below: 2)
        #expect(try store.entries(transaction: "never committed").isEmpty)
    }
}
