import Channel
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import Testing

@testable import Peer

/// Cases that the recorded chains don't hold, or where real peers break.
@Suite struct BlockValidatorTests {
    private let factory: TransactionFactory
    private let registry = VectorNetwork.registry()
    private let channel: PeerChannel

    init() async throws {
        self.factory = TransactionFactory(
            creator: try VectorNetwork.user("alpha"),
            endorsers: [try VectorNetwork.peer("alpha")]
        )
        self.channel = try await VectorNetwork.sideChannel(in: self.registry)
    }

    /// Commits one block and returns the codes that its transactions got.
    private func commit(_ envelopes: [Common_Envelope]) async throws -> [Protos_TxValidationCode] {
        let block = try VectorNetwork.nextBlock(of: self.channel, envelopes, signer: VectorNetwork.orderer())
        try await VectorNetwork.pipeline(self.channel).run(AsyncStream([block]))
        return try #require(self.channel.committed.recentBlock(block.header.number)).codes
    }

    private func transaction(_ kv: Kvrwset_KVRWSet) throws -> Common_Envelope {
        try self.factory.transaction(TransactionFactory.set("othercc", kv))
    }

    @Test func aPlainWriteIsValid() async throws {
        let codes = try await self.commit([self.transaction(TransactionFactory.write("a", "1"))])
        #expect(codes == [.valid])
        #expect(
            try self.channel.ledger.snapshot().value(namespace: "othercc", key: "a")?.value == Data("1".utf8)
        )
    }

    /// Real v3.1.5 peers panic here.
    @Test func anUndefinedCollectionIsAPolicyFailure() async throws {
        var hashed = Kvrwset_HashedRWSet()
        hashed.hashedWrites = [
            Kvrwset_KVWriteHash.with {
                $0.keyHash = Data(repeating: 1, count: 32)
                $0.valueHash = Data(repeating: 2, count: 32)
            }
        ]
        let codes = try await self.commit([
            self.factory.transaction(TransactionFactory.set("othercc", collections: ["nosuch": hashed])),
            self.factory.transaction(
                TransactionFactory.set("othercc", collections: ["_implicit_org_NobodyMSP": hashed])
            ),
            self.factory.transaction(
                TransactionFactory.set("othercc", collections: ["_implicit_org_AlphaMSP": hashed])
            ),
            self.factory.transaction(
                TransactionFactory.set("othercc", collections: ["_implicit_org_BravoMSP": hashed])
            ),
        ])
        #expect(
            codes == [
                .endorsementPolicyFailure, .endorsementPolicyFailure, .valid, .endorsementPolicyFailure,
            ]
        )
    }

    /// Validation of real v3.1.5 peers hangs here.
    @Test func unreadableTransactionsMixWithOthers() async throws {
        let codes = try await self.commit([
            self.transaction(TransactionFactory.write("a", "1")),
            self.factory.transaction(results: Data([0xff, 0xff])),
            self.transaction(TransactionFactory.write("b", "1")),
            self.factory.transaction(results: Data([0x12, 0x7f])),
        ])
        #expect(codes == [.valid, .badRwset, .valid, .badRwset])
    }

    /// Real v3.1.5 peers panic here.
    @Test func metadataOfAKeyDeletedInTheSameBlockIsIgnored() async throws {
        var delete = Kvrwset_KVRWSet()
        delete.writes = [
            Kvrwset_KVWrite.with {
                $0.key = "a"
                $0.isDelete = true
            }
        ]
        let members = Common_SignaturePolicyEnvelope.members(of: [try MSPID("AlphaMSP")], atLeast: 1)
        _ = try await self.commit([self.transaction(TransactionFactory.write("a", "1"))])
        let codes = try await self.commit([
            self.transaction(delete),
            self.transaction(TransactionFactory.metadata("a", members)),
        ])
        #expect(codes == [.valid, .valid])
        #expect(try self.channel.ledger.snapshot().value(namespace: "othercc", key: "a") == nil)
    }

    @Test func aKeyWhosePolicyChangesInTheBlockCantBeWrittenAfterwards() async throws {
        let members = Common_SignaturePolicyEnvelope.members(of: [try MSPID("BravoMSP")], atLeast: 1)
        let codes = try await self.commit([
            self.transaction(TransactionFactory.write("a", "1")),
            self.transaction(TransactionFactory.metadata("a", members)),
            self.transaction(TransactionFactory.write("a", "2")),
            self.transaction(TransactionFactory.write("b", "2")),
        ])
        #expect(codes == [.valid, .valid, .endorsementPolicyFailure, .valid])
        // From the next block on Bravo's policy holds, and Alpha alone doesn't meet it.
        #expect(
            try await self.commit([self.transaction(TransactionFactory.write("a", "3"))])
                == [.endorsementPolicyFailure]
        )
        var bravo = self.factory
        bravo.endorsers = [try VectorNetwork.peer("bravo")]
        let set = try TransactionFactory.set("othercc", TransactionFactory.write("a", "4"))
        #expect(try await self.commit([bravo.transaction(set)]) == [.valid])
    }

    @Test func ofTwoCopiesInABlockTheFirstValidOneCounts() async throws {
        let good = try self.transaction(TransactionFactory.write("a", "1"))
        var forged = good
        forged.signature = try VectorNetwork.user("bravo").sign(good.payload)
        #expect(
            try await self.commit([forged, good, good]) == [.badCreatorSignature, .valid, .duplicateTxid]
        )
        #expect(try await self.commit([good]) == [.duplicateTxid])
    }

    @Test func aTransactionOfAnotherChannelIsNotItsCreators() async throws {
        var elsewhere = self.factory
        elsewhere.channel = "vecmain"
        let set = try TransactionFactory.set("othercc", TransactionFactory.write("a", "1"))
        #expect(try await self.commit([elsewhere.transaction(set)]) == [.badCreatorSignature])
    }

    @Test func namesAreComparedByteByByte() async throws {
        // U+212A KELVIN SIGN is the letter K to Swift's ==, and another name to every real peer.
        let members = Common_SignaturePolicyEnvelope.members(of: [try MSPID("BravoMSP")], atLeast: 1)
        let codes = try await self.commit([
            self.transaction(TransactionFactory.metadata("K", members)),
            self.transaction(TransactionFactory.write("\u{212A}", "1")),
        ])
        #expect(codes == [.valid, .valid])
        let unknown = try TransactionFactory.set("other\u{212A}", TransactionFactory.write("a", "1"))
        #expect(try await self.commit([self.factory.transaction(unknown)]) == [.invalidChaincode])
    }

    @Test func reasonsSayWhatIsMissing() async throws {
        var stranger = self.factory
        stranger.endorsers = [try VectorNetwork.user("alpha")]
        let set = try TransactionFactory.set("othercc", TransactionFactory.write("a", "1"))
        let bytes: Data = try stranger.transaction(set).serializedBytes()
        let prepared = PreparedTransaction(bytes, configuration: self.channel.configuration)
        var rules = NamespaceRulesCache()
        let verdict = try #require(
            try BlockValidator.verdicts(
                on: [prepared],
                configuration: self.channel.configuration,
                state: CommittedState(self.channel.ledger.snapshot()),
                rules: &rules
            ).first
        )
        #expect(verdict.code == .endorsementPolicyFailure)
        #expect(verdict.reason.contains("chaincode othercc"))
        #expect(verdict.reason.contains("AlphaMSP"))
    }
}
