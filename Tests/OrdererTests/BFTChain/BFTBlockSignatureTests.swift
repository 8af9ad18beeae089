import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@testable import Orderer

/// What consenters sign, and when it leaves them.
@Suite(.timeLimit(.minutes(10))) struct BFTBlockSignatureTests {
    @Test("a block signature leaves no consenter before a quorum's prepare votes are durable there")
    func leavesLate() async throws {
        let cluster = try TestBFTCluster(4)
        let faults = Mutex<[String]>([])
        let checked = Mutex(0)
        cluster.setObserver { message in
            guard case .vote(let vote) = message.content, vote.phase == .commit,
                let disk = cluster.member(message.from)?.disk
            else { return }
            var store = BFTStore(disk.durable("consensus"))
            let lock = (try? store.load())?.record?.lock
            let votes =
                lock.map { $0.ballot == vote.ballot ? Set($0.signatures.map(\.signer)).count : 0 } ?? 0
            if lock?.phase != .prepare || votes < 3 {
                faults.withLock {
                    $0.append(
                        "consenter \(message.from) signed block \(vote.ballot.round.height) with \(votes) votes"
                    )
                }
            }
            checked.withLock { $0 += 1 }
        }
        try cluster.start()
        try await cluster.ready()
        for _ in 0..<5 {
            let answer = try await cluster.order(cluster.network.envelope(), through: 2)
            #expect(answer.status == .success, "\(answer.info)")
        }
        await cluster.stopAll()
        #expect(faults.withLock { $0 } == [])
        #expect(checked.withLock { $0 } >= 4 * 3)
    }

    @Test("no other message holds a block signature before the block is final")
    func othersHoldNone() throws {
        let ballot = BFTBallot(
            round: BFTRound(height: 1, view: 2, decisionsInView: 3),
            digest: [UInt8](repeating: 7, count: 100)
        )
        let channel = try ChannelID("trade")
        let commit = try #require(BFTSignedBytes.block(ballot, identifierHeader: Data([1])))
        let others: [BFTStatement] = [
            .vote(.prepare, ballot), .timeout(height: 1, view: 2, lock: nil),
            .timeout(height: 1, view: 2, lock: 0),
            .timeout(height: 1, view: 2, lock: 2), .timeout(height: 2, view: 1, lock: nil),
        ]
        let bytes = others.map { BFTSignedBytes.statement($0, channel: channel) }
        #expect(Set(bytes).count == others.count && !bytes.contains(commit))
        // A protobuf message can't begin with this byte: its wire type is 7.
        #expect(bytes.allSatisfy { $0.first == 0x77 })
        let other = BFTSignedBytes.statement(others[0], channel: try ChannelID("trade2"))
        #expect(other != bytes[0])
    }

    /// The consenters of Fabric's channel in the vectors.
    private static func keys(_ genesis: Common_Block) throws -> BFTVoterKeys {
        let configuration = try ChannelConfiguration(configBlock: genesis)
        return BFTVoterKeys(try BFTConsenters(configuration), configuration)
    }

    private static func block(_ name: String) throws -> Common_Block {
        try Common_Block(
            serializedBytes: Data(
                contentsOf: VectorReport.folder("block-signatures").appending(path: "\(name).block")
            )
        )
    }

    @Test(
        "the signatures in a block of Fabric's are commit votes",
        arguments: [
            "28-bft-good-orderer0", "29-bft-good-orderer1", "30-bft-good-orderer2", "31-bft-good-orderer3",
        ]
    )
    func readsFabricBlocks(name: String) throws {
        let block = try Self.block(name)
        let keys = try Self.keys(Self.block("bft-genesis"))
        let certificate = try #require(try keys.certificate(of: block))
        #expect(certificate.signatures.count >= 3)
        #expect(certificate.claims.allSatisfy { keys.verify($0) })
        #expect(certificate.height == block.header.number)
        // What Weft makes of these votes is Fabric's block again, to the byte of its metadata.
        let proposed = try ProposedBlock(final: block)
        var made = try ProposedBlock(payload: proposed.payload).block
        let inOrder = try block.ordererMetadata().metadata.signatures.map { try $0.identifier }
        var ordered = certificate
        ordered.signatures.sort { first, second in
            (inOrder.firstIndex(of: first.signer) ?? 0) < (inOrder.firstIndex(of: second.signer) ?? 0)
        }
        try made.finish(with: ordered, lastConfig: proposed.lastConfig)
        #expect(made == block)
    }

    @Test(
        "forged signatures in a block count for nothing",
        arguments: [
            ("36-bft-same-signer-three-times", 1), ("38-bft-one-of-three-flipped", 2),
            ("34-bft-no-signature", 0),
            ("41-bft-header-changed", 0), ("40-bft-value-changed", 0),
        ]
    )
    func leavesOutForged(name: String, count: Int) throws {
        let keys = try Self.keys(Self.block("bft-genesis"))
        let certificate = try keys.certificate(of: Self.block(name))
        #expect(certificate?.signatures.count ?? 0 == count)
    }

    @Test("a proposal has one encoding, and its digest tells header and last config block")
    func encodesProposals() throws {
        let network = try TestNetwork()
        let envelopes = try (0..<3).map { _ in try network.envelope().serializedBytes() as Data }
        let block = Common_Block.next(after: network.genesis.header, envelopes: envelopes)
        let proposed = try ProposedBlock(block, lastConfig: 5)
        #expect(try ProposedBlock(payload: proposed.payload) == proposed)
        let digest = try #require(ProposalDigest(proposed.digest))
        #expect(digest.lastConfig == 5 && digest.header == block.header.der)
        #expect(proposed.digest.count <= BFTMessageBounds.digestBytes)
        // An unknown field, and what is no block at all.
        #expect(throws: (any Error).self) { try ProposedBlock(payload: proposed.payload + [0x78, 1]) }
        #expect(ProposalDigest(ProposedBlock.digest([1, 2, 3])) == nil)
        let reader = ProposalReader()
        for payload in [
            proposed.payload, proposed.payload, proposed.payload + [0x78, 1], [1, 2, 3], proposed.payload,
        ] {
            #expect(reader.digest(payload) == ProposedBlock.digest(payload))
            #expect((try? reader.block(payload)) == (try? ProposedBlock(payload: payload)))
        }
        #expect(ProposedBlock.digest(proposed.payload + [0x78, 1]) != proposed.digest)
    }
}

extension Common_MetadataSignature {
    fileprivate var identifier: NodeID {
        get throws { NodeID(try Common_IdentifierHeader(serializedBytes: self.identifierHeader).identifier) }
    }
}
