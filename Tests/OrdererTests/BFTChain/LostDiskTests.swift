import Channel
import FabricProtos
import Foundation
import KeyValueStore
import Ledger
import SwiftProtobuf
import Testing

@testable import Orderer

/// BFT consenters that come back without what they had on disk.
@Suite struct LostDiskTests {
    /// Four consenters, of which the last one lost some of its stores after some blocks, with the envelopes that were
    /// acknowledged.
    private func cluster(losing stores: [String]) async throws -> (TestBFTCluster, [Common_Envelope]) {
        let cluster = try TestBFTCluster(4)
        try cluster.start()
        try await cluster.ready()
        var acknowledged: [Common_Envelope] = []
        for number in 0..<4 {
            acknowledged.append(try await self.write("before \(number)", cluster))
        }
        try await cluster.reached(5)
        await cluster.stop(4)
        for store in stores { cluster.member(4)?.disk.lose(store) }
        acknowledged.append(try await self.write("meanwhile", cluster))
        return (cluster, acknowledged)
    }

    private func write(_ text: String, _ cluster: TestBFTCluster) async throws -> Common_Envelope {
        let envelope = try cluster.network.envelope(text)
        #expect(try await cluster.order(envelope, through: 1) == .accepted)
        return envelope
    }

    /// Takes another consenter away, so that nothing is ordered without the one that came back.
    private func check(_ cluster: TestBFTCluster, _ acknowledged: [Common_Envelope]) async throws {
        try await cluster.ready()
        await cluster.stop(3)
        let last = try await self.write("after", cluster)
        let height = try #require(cluster.height(of: 1))
        try await cluster.reached(height)
        let blocks = try cluster.blocks(of: 4)
        #expect(blocks.count >= Int(height))
        let ordered = blocks.flatMap(\.data.data)
        for envelope in acknowledged + [last] {
            let bytes: Data = try envelope.serializedBytes()
            #expect(ordered.count { $0 == bytes } == 1)
        }
        await cluster.stopAll()
    }

    @Test(
        "one that lost everything copies the channel, and votes behind what it may have voted on",
        .timeLimit(.minutes(3))
    )
    func comesBackWithoutADisk() async throws {
        var (cluster, acknowledged) = try await self.cluster(losing: ["log", "consensus"])
        try cluster.start([4])
        try await cluster.wait { cluster.channel(4)?.health == .following }
        try await cluster.reached(try #require(cluster.height(of: 1)), [4])
        // It follows without a voice: three blocks may be ones on which it has voted.
        #expect(cluster.channel(4)?.standing.relation == .follower)
        for number in 0..<3 {
            acknowledged.append(try await self.write("then \(number)", cluster))
        }
        try await self.check(cluster, acknowledged)
    }

    @Test("one that kept its promises but lost its ledger copies that and goes on", .timeLimit(.minutes(3)))
    func comesBackWithoutALedger() async throws {
        let (cluster, acknowledged) = try await self.cluster(losing: ["log"])
        try cluster.start([4])
        try await self.check(cluster, acknowledged)
    }

    @Test("one that lost its promises but kept its ledger waits, too", .timeLimit(.minutes(3)))
    func comesBackWithoutPromises() async throws {
        var (cluster, acknowledged) = try await self.cluster(losing: ["consensus"])
        try cluster.start([4])
        // It has asked the others how far they are.
        try await cluster.wait { cluster.channel(4)?.health == .following }
        for number in 0..<4 {
            acknowledged.append(try await self.write("then \(number)", cluster))
        }
        try await self.check(cluster, acknowledged)
    }

    @Test("one that lost its ledger before its first vote knows by its store where it takes part")
    func knowsItsBeginning() throws {
        let (consensus, log) = (MemoryStore(), try BlockLog(store: MemoryStore()))
        #expect(try LostStore.ledger(log, bft: consensus) == nil)
        // A founder's first block comes with its configuration.
        try BFTStore(consensus).begin(at: 1)
        #expect(try LostStore.ledger(log, bft: consensus) == nil)
        try BFTStore(consensus).begin(at: 93)
        #expect(try LostStore.ledger(log, bft: consensus) == .blocks(height: 93))
    }
}
