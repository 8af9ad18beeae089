import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import Testing

@testable import Orderer

/// Whole clusters of BFT consenters in one process.
@Suite(.serialized, .timeLimit(.minutes(10))) struct BFTClusterTests {
    /// Orders some envelopes through each running consenter in turn, and waits for their answers.
    private func order(_ count: Int, on cluster: TestBFTCluster, through ids: [NodeID]? = nil) async throws {
        let running = ids ?? cluster.running
        try await withThrowingTaskGroup(of: Orderer_BroadcastResponse.self) { group in
            for index in 0..<count {
                let envelope = try cluster.network.envelope()
                group.addTask {
                    try await cluster.order(envelope, through: running[index % running.count])
                }
            }
            for try await answer in group { #expect(answer.status == .success, "\(answer.info)") }
        }
    }

    /// Whether all have the same blocks, which a quorum has signed, each envelope once.
    private func check(_ cluster: TestBFTCluster, envelopes: Int) async throws {
        let height = cluster.running.compactMap { cluster.channel($0)?.feed.height }.max() ?? 0
        try await cluster.reached(height)
        var first: [Common_Block]?
        for id in cluster.running {
            let blocks = try cluster.blocks(of: id)
            if let first { #expect(blocks.map(\.header) == first.map(\.header)) }
            first = blocks
            var configuration = try ChannelConfiguration(configBlock: cluster.genesis)
            var seen: Set<Data> = []
            for block in blocks.dropFirst() {
                try block.verifySignatures(under: configuration)
                let consenters = configuration.orderer?.consenters.count ?? 0
                let signatures = try block.ordererMetadata().metadata.signatures
                #expect(signatures.count >= BFTBlockValidation.quorum(of: consenters))
                for signature in signatures {
                    #expect(signature.signatureHeader.isEmpty && !signature.identifierHeader.isEmpty)
                }
                let round = try #require(try BFTRound(of: block))
                #expect(round.height == block.header.number)
                #expect(block.metadata.metadata.count == 5)
                if block.isConfigBlock {
                    configuration = try ChannelConfiguration(configBlock: block)
                } else {
                    for envelope in block.data.data { #expect(seen.insert(envelope).inserted) }
                }
            }
            #expect(seen.count == envelopes)
        }
    }

    @Test("consenters make the same blocks, signed by a quorum", arguments: [1, 4, 5, 6])
    func orders(count: Int) async throws {
        let cluster = try TestBFTCluster(count)
        try cluster.start()
        try await cluster.ready()
        for _ in 0..<3 { try await self.order(20, on: cluster) }
        try await self.check(cluster, envelopes: 60)
        await cluster.stopAll()
    }

    @Test("one of four may be down; when it comes it gets the blocks")
    func goesOnWithOneDown() async throws {
        let cluster = try TestBFTCluster(4)
        try cluster.start([1, 2, 3])
        try await cluster.ready()
        try await self.order(20, on: cluster)
        // One that comes late gets the blocks, and orders three blocks further: it can't know that it was never there.
        try cluster.start([4])
        try await cluster.wait { cluster.channel(4)?.health == .following }
        for _ in 0..<3 { try await self.order(1, on: cluster, through: [1]) }
        try await cluster.ready()
        try await self.order(20, on: cluster)
        try await self.check(cluster, envelopes: 43)
        await cluster.stopAll()
    }

    @Test("a leader that is gone is replaced, and nobody who waits is refused")
    func replacesLeader() async throws {
        let cluster = try TestBFTCluster(4)
        try cluster.start()
        try await cluster.ready()
        try await self.order(20, on: cluster)
        let leader = try #require(cluster.channel(1)?.standing.leader)
        await cluster.stop(leader)
        try await self.order(20, on: cluster)
        #expect(cluster.running.allSatisfy { cluster.channel($0)?.standing.leader != leader })
        try cluster.start([leader])
        try await cluster.ready()
        try await self.order(20, on: cluster)
        try await self.check(cluster, envelopes: 60)
        await cluster.stopAll()
    }

    @Test("after a loss of power of all, the channel goes on", arguments: [1, 4])
    func survivesLossOfPower(count: Int) async throws {
        let cluster = try TestBFTCluster(count)
        try cluster.start()
        try await cluster.ready()
        try await self.order(30, on: cluster)
        for id in cluster.running { await cluster.stop(id, losingPower: true) }
        try cluster.start()
        try await cluster.ready()
        try await self.order(30, on: cluster)
        try await self.check(cluster, envelopes: 60)
        await cluster.stopAll()
    }

    @Test("an envelope that was ordered is answered SUCCESS again, through whichever consenter it comes")
    func answersDuplicates() async throws {
        let cluster = try TestBFTCluster(4)
        try cluster.start()
        try await cluster.ready()
        let envelope = try cluster.network.envelope()
        for id in cluster.running {
            let answer = try await cluster.order(envelope, through: id)
            #expect(answer.status == .success, "\(answer.info)")
        }
        try await self.check(cluster, envelopes: 1)
        await cluster.stopAll()
    }
}
