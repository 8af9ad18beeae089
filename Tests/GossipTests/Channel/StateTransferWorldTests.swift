import Channel
import FabricProtos
import Foundation
import GossipSimulation
import Simulation
import SwiftProtobuf
import Testing

@testable import Gossip

/// Peers that fill each other's ledgers.
@Suite struct StateTransferWorldTests {
    @Test func membersLearnHeightsAndContracts() throws {
        let test = try BlockWorld(blocks: 5, heights: [5, 4, 3, 2])
        let contract = Gossip_Chaincode.with {
            $0.name = "trade"
            $0.version = "7"
        }
        test.world.give(.contracts(test.channel, [contract]), to: 0)
        test.world.run(for: 20.seconds)
        for number in 0..<4 {
            let members = try #require(test.gossip(number)?.members)
            #expect(members.count == 3)
            for other in 0..<4 where other != number {
                #expect(members[test.name(other)]?.height == test.heights[other])
            }
        }
        #expect(test.gossip(3)?.members[test.name(0)]?.chaincodes == [contract])
        #expect((0..<4).flatMap { test.warnings($0) } == [])
    }

    @Test func aPeerWithoutOrderersCatchesUpFromOthers() throws {
        let test = try BlockWorld(peers: 3, blocks: 300, heights: [300, 300, 1, 300, 300, 300])
        var asked: Set<Int> = []
        test.serve = { number, payloads in
            asked.insert(number)
            return payloads
        }
        test.give(.ordererReachable(false), to: 2)
        test.world.run(for: 30.seconds)
        #expect(test.heights[2] == 300)
        #expect(test.forgeries == 0)
        #expect(test.commits == 299, "each block is committed once")
        #expect(asked.count >= 2, "several peers are asked")
    }

    @Test func aPeerWhoseOrdererIsSilentAsksOthersAfterAWhile() throws {
        let test = try BlockWorld(blocks: 30, heights: [30, 1, 30, 30])
        test.world.run(for: 9.seconds)
        #expect(test.heights[1] == 1)
        test.world.run(for: 31.seconds)
        #expect(test.heights[1] == 30)
    }

    @Test func aPeerThatGetsBlocksFromOrderersAsksNobody() throws {
        let test = try BlockWorld(blocks: 2, heights: [2, 2, 2, 2])
        test.world.onSend = { _, _, envelope, _ in
            if case .stateRequest = (try? Gossip_GossipMessage(serializedBytes: envelope.payload))?.content {
                Issue.record("blocks were asked for")
            }
            return envelope
        }
        test.world.run(for: 2.seconds)
        for _ in 0..<60 {
            try test.order()
            test.world.run(for: 1.seconds)
        }
        #expect(test.heights == [62, 62, 62, 62])
    }

    @Test func aPeerThatClaimsNoEndOfBlocksStallsNobody() throws {
        let test = try BlockWorld(peers: 3, blocks: 100, heights: [100, 1, 100, 100, 100, 100])
        // It says so, and never answers.
        test.world.give(.height(test.channel, 1 << 63), to: 0)
        test.serve = { number, payloads in number == 0 ? nil : payloads }
        test.give(.ordererReachable(false), to: 1)
        test.world.run(for: 30.seconds)
        #expect(test.heights[1] == 100)
    }

    @Test func aPeerThatServesWrongBlocksIsNamedAndAvoided() throws {
        let test = try BlockWorld(blocks: 100, heights: [100, 1, 100, 100])
        var lies = 0
        test.serve = { number, payloads in
            guard number != 1 else { return payloads }
            guard number == 0 else { return payloads }
            lies += 1
            return payloads.map { payload in
                // Well-formed, and signed by nobody.
                var block = (try? Common_Block(serializedBytes: payload.data)) ?? Common_Block()
                block.setMetadata(.signatures, Data())
                return (try? TestChain.payload(block)) ?? payload
            }
        }
        test.give(.ordererReachable(false), to: 1)
        test.world.run(for: 30.seconds)
        #expect(test.heights[1] == 100)
        #expect(test.forgeries == 0)
        #expect((1...4).contains(lies), "it was asked again: \(lies)")
        #expect(test.warnings(1).count { $0.contains("\(test.name(0))") && $0.contains("block") } == 1)
    }

    @Test func lossAndRestartsDoNotStopACatchUp() throws {
        let test = try BlockWorld(blocks: 120, heights: [120, 1, 120, 120], seed: 7)
        test.give(.ordererReachable(false), to: 1)
        test.world.lossPerMille = 200
        test.world.run(for: 12.seconds)
        test.stop(0)
        test.world.run(for: 10.seconds)
        try test.restart(0)
        test.world.run(for: 60.seconds)
        #expect(test.heights[1] == 120)
        #expect(test.forgeries == 0)
    }

    @Test func blocksArePushedAndPulledWhereThatIsOn() throws {
        var options = GossipOptions()
        options.blockGossipEnabled = true
        options.useLeaderElection = true
        let test = try BlockWorld(
            organizations: 1,
            peers: 5,
            blocks: 1,
            heights: [1, 1, 1, 1, 1],
            options: options
        )
        test.world.run(for: 40.seconds)
        #expect(test.leaders.count == 1)
        for _ in 0..<20 {
            try test.order()
            test.world.run(for: 1.seconds)
        }
        test.world.run(for: 5.seconds)
        #expect(test.heights == [21, 21, 21, 21, 21])
        #expect(test.forgeries == 0)
    }
}
