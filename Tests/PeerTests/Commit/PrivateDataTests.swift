import Channel
import Cryptography
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import Testing

@testable import Peer

/// Private data from the endorsement to the ledger and on to those who may have it.
@Suite struct PrivateDataTests {
    private let registry = VectorNetwork.registry()
    private let channel: PeerChannel
    private let factory: TransactionFactory
    private let writes = TransactionFactory.write("secret", "42")

    init() async throws {
        self.channel = try await VectorNetwork.sideChannel(in: self.registry)
        self.factory = TransactionFactory(
            creator: try VectorNetwork.user("alpha"),
            endorsers: [try VectorNetwork.peer("alpha")]
        )
    }

    /// A transaction that writes `secret` to Alpha's implicit collection.
    private func transaction() throws -> (envelope: Common_Envelope, identifier: String) {
        let privateBytes: Data = try self.writes.serializedBytes()
        var hashed = Kvrwset_HashedRWSet()
        hashed.hashedWrites = [
            Kvrwset_KVWriteHash.with {
                $0.keyHash = Digest.sha256(Data("secret".utf8))
                $0.valueHash = Digest.sha256(Data("42".utf8))
            }
        ]
        let envelope = try self.factory.transaction(
            TransactionFactory.set(
                "othercc",
                collections: ["_implicit_org_AlphaMSP": hashed],
                privateHash: Digest.sha256(privateBytes)
            )
        )
        return (envelope, try EnvelopeHeaders(envelope).channel.txID)
    }

    /// Keeps private writes for a transaction, as an endorsement does.
    private func keep(_ writes: Kvrwset_KVRWSet, for identifier: String) throws {
        var collection = Rwset_CollectionPvtReadWriteSet()
        collection.collectionName = "_implicit_org_AlphaMSP"
        collection.rwset = try writes.serializedBytes()
        var namespace = Rwset_NsPvtReadWriteSet()
        namespace.namespace = "othercc"
        namespace.collectionPvtRwset = [collection]
        var kept = Transientstore_TxPvtReadWriteSetWithConfigInfo()
        kept.pvtRwset.nsPvtRwset = [namespace]
        let bytes: Data = try kept.serializedBytes()
        try self.channel.ledger.transient.add(transaction: identifier, height: 4, bytes: bytes)
    }

    private func commit(_ envelope: Common_Envelope) async throws -> [Protos_TxValidationCode] {
        let block = try VectorNetwork.nextBlock(of: self.channel, [envelope], signer: VectorNetwork.orderer())
        try await VectorNetwork.pipeline(self.channel).run(AsyncStream([block]))
        return try #require(self.channel.committed.recentBlock(block.header.number)).codes
    }

    private func value() throws -> Data? {
        try self.channel.ledger.snapshot()
            .privateValue(namespace: "othercc", collection: "_implicit_org_AlphaMSP", key: "secret")?.value
    }

    @Test func whatWasKeptAtEndorsementIsCommitted() async throws {
        let (envelope, identifier) = try self.transaction()
        try self.keep(self.writes, for: identifier)
        #expect(try await self.commit(envelope) == [.valid])
        #expect(try self.value() == Data("42".utf8))
        #expect(try self.channel.ledger.transient.entries(transaction: identifier).isEmpty)
    }

    @Test func dataThatIsNotWhatWasEndorsedIsLeftOut() async throws {
        let (envelope, identifier) = try self.transaction()
        try self.keep(TransactionFactory.write("secret", "43"), for: identifier)
        #expect(try await self.commit(envelope) == [.valid])
        #expect(try self.value() == nil)
        let missing = try self.channel.ledger.privateStore.missing(block: 4)
        #expect(missing.map(\.collection) == ["_implicit_org_AlphaMSP"])
        #expect(missing.map(\.isEligible) == [true])
    }

    @Test func onlyMembersOfTheCollectionSeeIt() async throws {
        let (envelope, identifier) = try self.transaction()
        try self.keep(self.writes, for: identifier)
        _ = try await self.commit(envelope)
        let own = PrivateDataView(
            channel: self.channel,
            requester: try VectorNetwork.user("alpha").serialized
        )
        let set = try #require(try own.privateData(of: 4)[0])
        #expect(set.nsPvtRwset.map(\.namespace) == ["othercc"])
        #expect(set.nsPvtRwset.first?.collectionPvtRwset.first?.rwset == (try self.writes.serializedData()))
        let other = PrivateDataView(
            channel: self.channel,
            requester: try VectorNetwork.user("bravo").serialized
        )
        #expect(try other.privateData(of: 4).isEmpty)
    }
}
