import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// Consenters of BFT channels come and go, and lose their disks.
@Suite(.serialized, .timeLimit(.minutes(10))) struct BFTMembershipTests {
    private func update(_ cluster: TestBFTCluster, to ids: [NodeID], through id: NodeID) async throws {
        let channel = try #require(cluster.channel(id))
        let members = ids.compactMap { cluster.member($0)?.consenter }
        let update = try cluster.network.update(from: channel.configuration.config) { group in
            group.groups["Orderer"]?.values["Orderers"]?.value = try Common_Orderers.with {
                $0.consenterMapping = members
            }.serializedBytes()
            group.groups["Orderer"]?.policies["BlockValidation"]?.policy =
                try BFTBlockValidation.policy(consenters: members)
        }
        let answer = try await cluster.order(update, through: id)
        #expect(answer.status == .success, "\(answer.info)")
    }

    private func order(_ count: Int, _ cluster: TestBFTCluster, through id: NodeID) async throws {
        for _ in 0..<count {
            let answer = try await cluster.order(cluster.network.envelope(), through: id)
            #expect(answer.status == .success, "\(answer.info)")
        }
    }

    @Test("a consenter is added by an update, votes, and is removed again")
    func addsAndRemoves() async throws {
        let cluster = try TestBFTCluster(4, spare: 1)
        try cluster.start()
        try await cluster.ready([1, 2, 3, 4])
        #expect(cluster.channel(5)?.standing.relation != .consenter || cluster.channel(5)?.standing.id == nil)
        try await self.order(3, cluster, through: 2)
        try await self.update(cluster, to: [1, 2, 3, 4, 5], through: 2)
        try await cluster.wait { cluster.channel(5)?.standing.id == 5 }
        try await cluster.ready()
        // Of five, four must agree: without 4 nothing goes on unless 5 votes.
        await cluster.stop(4)
        try await self.order(3, cluster, through: 5)
        try cluster.start([4])
        try await cluster.ready()
        try await self.order(1, cluster, through: 4)
        try await self.update(cluster, to: [2, 3, 4, 5], through: 3)
        try await cluster.wait { cluster.channel(1)?.standing.relation == .follower }
        try await self.order(3, cluster, through: 5)
        let height = try #require(cluster.channel(5)?.feed.height)
        // The one that was removed follows.
        try await cluster.reached(height)
        #expect(try cluster.blocks(of: 1).map(\.header) == cluster.blocks(of: 5).map(\.header))
        await cluster.stopAll()
    }

    @Test("a configuration is ordered once, whichever consenters it was sent to")
    func ordersConfigOnce() async throws {
        let cluster = try TestBFTCluster(4)
        try cluster.start()
        try await cluster.ready()
        let config = try #require(cluster.channel(1)).configuration.config
        let update = try cluster.network.batchSizeUpdate(from: config, maxMessageCount: 7)
        async let first = cluster.order(update, through: 1)
        async let second = cluster.order(update, through: 3)
        let answers = try await [first, second]
        #expect(answers.contains { $0.status == .success })
        try await cluster.reached(2)
        try await self.order(2, cluster, through: 2)
        try await cluster.reached(4)
        let blocks = try cluster.blocks(of: 4)
        #expect(blocks.count { $0.isConfigBlock } == 2)
        let number = try #require(blocks.last).lastConfigNumber()
        #expect(blocks[Int(number)].isConfigBlock && number > 0)
        await cluster.stopAll()
    }

    @Test("a channel of Raft goes on as one of BFT behind the block that says so, also after a restart")
    func migrates() async throws {
        let network = try TestNetwork()
        let disk = FaultyDisk()
        var orderer = try TestOrderer(network, disk: disk)
        await orderer.ready()
        #expect(try await orderer.broadcast(network.envelope()).status == .success)
        let consenter = Common_Consenter.with {
            $0.id = 1
            $0.host = "localhost"
            $0.port = 7050
            $0.mspID = "OrdererMSP"
            $0.identity = network.orderer.certificate.pem
            $0.clientTlsCert = network.consenter
            $0.serverTlsCert = network.consenter
        }
        let changes: [(inout Common_ConfigGroup) throws -> Void] = [
            { try Self.consensus(&$0) { $0.state = .maintenance } },
            { group in
                try Self.consensus(&group) {
                    $0.type = "BFT"
                    $0.metadata = try Orderer_Smartbft_Options.forTests.serializedBytes()
                }
                group.groups["Orderer"]?.values["Orderers"] = try .with {
                    $0.modPolicy = "Admins"
                    $0.value = try Common_Orderers.with { $0.consenterMapping = [consenter] }
                        .serializedBytes()
                }
                group.groups["Orderer"]?.policies["BlockValidation"]?.policy =
                    try BFTBlockValidation.policy(consenters: [consenter])
            }, { try Self.consensus(&$0) { $0.state = .normal } },
        ]
        for change in changes {
            let update = try network.update(
                from: orderer.channel.configuration.config,
                sender: network.ordererAdmin,
                change
            )
            let answer = try await orderer.broadcast(update)
            #expect(answer.status == .success, "\(answer.info)")
            await orderer.ready()
        }
        #expect(try await orderer.broadcast(network.envelope()).status == .success)
        await orderer.stop()
        orderer = try TestOrderer(network, disk: disk)
        await orderer.ready()
        #expect(try await orderer.broadcast(network.envelope()).status == .success)
        // Block 3 changes the type: it has the metadata of neither protocol, and Raft's signature.
        await orderer.reached(7)
        let metadata = try (0...6).map { try #require(try orderer.block($0)).ordererMetadata().orderer }
        #expect(metadata[3].consenterMetadata.isEmpty && !metadata[2].consenterMetadata.isEmpty)
        let rounds = try (4...6).map { try BFTRound(of: #require(try orderer.block($0))) }
        #expect(
            rounds == [
                BFTRound(height: 4, view: 0, decisionsInView: 0),
                BFTRound(height: 5, view: 0, decisionsInView: 1),
                BFTRound(height: 6, view: 0, decisionsInView: 2),
            ]
        )
        await orderer.stop()
    }

    private static func consensus(
        _ group: inout Common_ConfigGroup,
        _ change: (inout Orderer_ConsensusType) throws -> Void
    ) throws {
        let bytes = group.groups["Orderer"]?.values["ConsensusType"]?.value ?? Data()
        var type = try Orderer_ConsensusType(serializedBytes: bytes)
        try change(&type)
        group.groups["Orderer"]?.values["ConsensusType"]?.value = try type.serializedBytes()
    }
}

/// What other consenters sent waits within bounds.
@Suite struct BFTInboxTests {
    private func message(from node: NodeID, height: UInt64, bytes: Int) -> BFTMessage {
        BFTMessage(
            from: node,
            to: 1,
            content: .payload(height: height, [UInt8](repeating: 0, count: bytes))
        )
    }

    @Test("a consenter that floods displaces only its own messages, by number and by bytes")
    func boundsFloods() {
        var inbox = BFTInbox()
        inbox.add(self.message(from: 3, height: 1, bytes: 10))
        for height in 0..<1000 { inbox.add(self.message(from: 2, height: UInt64(height), bytes: 10)) }
        #expect(inbox.count == BFTInbox.capacity + 1)
        var taken = inbox.take(.max)
        #expect(taken.filter { $0.from == 3 }.count == 1)
        #expect(taken.last { $0.from == 2 }?.height == 999)
        #expect(inbox.isEmpty && inbox.blockBytes == 0)

        inbox.add(self.message(from: 3, height: 1, bytes: 10))
        for height in 0..<40 { inbox.add(self.message(from: 2, height: UInt64(height), bytes: 4 << 20)) }
        #expect(inbox.blockBytes <= BFTInbox.byteCapacity + 10)
        inbox.add(self.message(from: 2, height: 99, bytes: BFTInbox.byteCapacity + 1))
        taken = inbox.take(.max)
        #expect(taken.map(\.from) == [2, 3] && taken.first?.height == 99)
        #expect(inbox.blockBytes == 0)
    }

    @Test("each consenter gets its turn")
    func takesShares() {
        var inbox = BFTInbox()
        for height in 0..<10 { inbox.add(self.message(from: 2, height: UInt64(height), bytes: 1)) }
        inbox.add(self.message(from: 3, height: 7, bytes: 1))
        #expect(inbox.take(4).map(\.height) == [0, 1, 2, 3, 7])
        #expect(inbox.take(4).map(\.height) == [4, 5, 6, 7])
        #expect(inbox.count == 2 && inbox.blockBytes == 2)
    }
}
