import Channel
import Consensus
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// The ways of clients' envelopes among the consenters, where time decides nothing.
@Suite(.serialized, .timeLimit(.minutes(2))) struct BFTRequestTests {
    private func cluster() async throws -> TestBFTCluster {
        let cluster = try TestBFTCluster(4, options: .timeless)
        try cluster.start()
        try await cluster.ready()
        return cluster
    }

    @Test("what a client sends to one consenter goes to the leader only")
    func givesToLeader() async throws {
        let cluster = try await self.cluster()
        let leader = try #require(cluster.channel(1)?.standing.leader)
        for id: NodeID in [3, 4] {
            let answer = try await cluster.order(cluster.network.envelope(), through: id)
            #expect(answer.status == .success, "\(answer.info)")
        }
        #expect(
            cluster.given == [
                TestBFTCluster.Gift(from: 3, to: leader, count: 1),
                TestBFTCluster.Gift(from: 4, to: leader, count: 1),
            ]
        )
        await cluster.stopAll()
    }

    @Test("what a client sends to the leader goes to nobody but in a block")
    func leaderKeepsIt() async throws {
        let cluster = try await self.cluster()
        let leader = try #require(cluster.channel(1)?.standing.leader)
        let answer = try await cluster.order(cluster.network.envelope(), through: leader)
        #expect(answer.status == .success, "\(answer.info)")
        try await cluster.reached(2)
        #expect(cluster.given.isEmpty)
        await cluster.stopAll()
    }

    @Test("a leader whose node is to stop hands over at once, and what its clients sent is ordered")
    func handsOver() async throws {
        let cluster = try await self.cluster()
        let leader = try #require(cluster.channel(1)?.standing.leader)
        let channel = try #require(cluster.channel(leader))
        // Nothing comes of its blocks, so that its client waits when it leaves.
        cluster.setRoute { message in
            if message.from == leader, case .proposal = message.content { nil } else { message }
        }
        let envelope = try cluster.network.envelope()
        async let answer = cluster.order(envelope, through: leader)
        try await cluster.wait { channel.monitor.withLock { $0.inFlight == 1 } }
        channel.leave()
        cluster.setRoute { $0 }
        #expect(try await answer.status == .success)
        try await cluster.wait { channel.hasLeft }
        try await cluster.wait {
            cluster.running.allSatisfy { cluster.channel($0)?.standing.leader != leader }
        }
        await cluster.stop(leader)
        let other = try #require(cluster.running.first)
        let next = try await cluster.order(cluster.network.envelope(), through: other)
        #expect(next.status == .success, "\(next.info)")
        await cluster.stopAll()
    }

    @Test("an idle leader whose node is to stop hands over, too")
    func handsOverIdly() async throws {
        let cluster = try await self.cluster()
        let leader = try #require(cluster.channel(1)?.standing.leader)
        cluster.channel(leader)?.leave()
        try await cluster.wait {
            cluster.running.allSatisfy { cluster.channel($0)?.standing.leader != leader }
                && cluster.channel(leader)?.hasLeft == true
        }
        await cluster.stopAll()
    }
}
