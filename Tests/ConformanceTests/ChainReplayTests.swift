import Channel
import FabricProtos
import Foundation
import Ledger
import Logging
import Peer
import SwiftProtobuf
import TestSupport
import Testing

/// Replays complete chains of a real network through validation and commit: every validation code and every
/// commit hash must be the one that the real peers came to.
@Suite struct ChainReplayTests {
    /// What a real peer decided: see `Vectors/blocks/README.md`.
    private struct Chain: Decodable {
        struct Transaction: Decodable {
            let validationCode: Int

            enum CodingKeys: String, CodingKey {
                case validationCode = "validation_code"
            }
        }
        struct Block: Decodable {
            let number: UInt64
            let commitHash: String?
            let transactionsFilter: String
            let transactions: [Transaction]

            enum CodingKeys: String, CodingKey {
                case number, transactions
                case commitHash = "commit_hash"
                case transactionsFilter = "transactions_filter"
            }
        }
        let channel: String
        let chain: [Block]
    }

    @Test(arguments: ["main", "side"])
    func aRealChainGetsTheSameCodesAndCommitHashes(name: String) async throws {
        let folder = VectorReport.folder("blocks")
        let expected = try JSONDecoder().decode(
            Chain.self,
            from: Data(contentsOf: folder.appendingPathComponent("\(name).json"))
        )
        let blocks = try BlockFile(contentsOf: folder.appendingPathComponent("\(name).peer.blocks"))
            .map(Self.asOrdered)

        let registry = ChannelRegistry { try Ledger(channelID: $0, stores: .inMemory()) }
        let channel = try registry.join(try #require(blocks.first))
        let pipeline = CommitPipeline(
            channel: channel,
            threads: VerificationThreads(),
            localIdentity: Data(),
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
        )
        try await pipeline.run(AsyncStream(blocks.dropFirst()))

        #expect(channel.ledger.height == UInt64(expected.chain.count))
        for block in expected.chain.dropFirst() {
            let committed = try #require(try channel.block(block.number))
            let codes = committed.metadata(.transactionsFilter).map(Int.init)
            let hash = try Common_Metadata(serializedBytes: committed.metadata(.commitHash)).value.hexadecimal
            let hasSameCodes = codes == block.transactions.map(\.validationCode)
            #expect(
                hasSameCodes,
                "block \(block.number): \(codes), not \(block.transactions.map(\.validationCode))"
            )
            #expect(hash == block.commitHash, "block \(block.number)")
            VectorReport.record(folder: "blocks", name: "\(name) \(block.number) codes", holds: hasSameCodes)
            VectorReport.record(
                folder: "blocks",
                name: "\(name) \(block.number) commit hash",
                holds: hash == block.commitHash
            )
        }
    }

    /// What `weft ledger verify` does: the verdicts follow from the genesis block, one block after the other.
    @Test func aStoredChainIsJudgedTheSameAgain() throws {
        let folder = VectorReport.folder("blocks")
        let blocks = try BlockFile(contentsOf: folder.appendingPathComponent("main.peer.blocks"))
            .map { try Common_Block(serializedBytes: $0) }
        let channelID = try ChannelConfiguration(configBlock: try #require(blocks.first)).channelID
        let ledger = try Ledger(channelID: channelID, stores: .inMemory())
        let judge = LedgerJudge()
        for block in blocks {
            let transactions = try judge.judge(block, ledger.snapshot())
            let committed = try ledger.commit(BlockToCommit(block: block, transactions: transactions))
            #expect(committed.block.metadata(.transactionsFilter) == block.metadata(.transactionsFilter))
            #expect(committed.block.metadata(.commitHash) == block.metadata(.commitHash))
        }
    }

    /// A block as the orderer delivered it: without what the peer wrote into its metadata.
    private static func asOrdered(_ bytes: Data) throws -> Common_Block {
        var block = try Common_Block(serializedBytes: bytes)
        block.setMetadata(.transactionsFilter, Data())
        block.setMetadata(.commitHash, Data())
        return block
    }
}

extension AsyncStream where Element: Sendable {
    init(_ elements: some Sequence<Element>) {
        self.init { continuation in
            for element in elements { continuation.yield(element) }
            continuation.finish()
        }
    }
}
