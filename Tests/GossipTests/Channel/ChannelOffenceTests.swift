import Channel
import FabricProtos
import Foundation
import GossipSimulation
import Simulation
import SwiftProtobuf
import Testing

@testable import Gossip

/// What bad peers may say in a channel, and what comes of it.
@Suite struct ChannelOffenceTests {
    /// Three organizations with two peers each; all have ten blocks.
    private func world(options: GossipOptions = GossipOptions()) throws -> BlockWorld {
        let test = try BlockWorld(
            organizations: 2,
            peers: 2,
            blocks: 10,
            heights: [10, 10, 10, 10],
            options: options
        )
        test.world.run(for: 20.seconds)
        for number in 0..<4 { #expect(test.gossip(number)?.members.count == 3) }
        return test
    }

    private func stateInfo(
        of author: Int,
        height: BlockNumber,
        seqNum: UInt64 = .max,
        chaincodes: Int = 0,
        _ test: BlockWorld
    ) -> Gossip_GossipMessage {
        .with { message in
            message.tag = .chanOrOrg
            message.stateInfo = .with {
                $0.pkiID = test.name(author).bytes
                $0.channelMac = test.channel.mac(of: test.name(author).bytes)
                $0.timestamp.incNum = GossipWorld.epoch + 1_000_000_000_000
                $0.timestamp.seqNum = seqNum
                $0.properties.ledgerHeight = height
                $0.properties.chaincodes = (0..<chaincodes).map { number in .with { $0.name = "c\(number)" } }
            }
        }
    }

    @Test func aStateInfoThatItsAuthorDidNotSignIsRefused() throws {
        let test = try self.world()
        for _ in 0..<3 {
            test.send(self.stateInfo(of: 1, height: 99, test), signedBy: 0, from: 0, to: 2)
            test.world.run(for: 1.seconds)
        }
        #expect(test.gossip(2)?.members[test.name(1)]?.height == 10)
        #expect(test.warnings(2).count { $0.contains("\(test.name(0))") && $0.contains("not signed") } == 1)
    }

    @Test func aStateInfoWithEndlessContractsIsRefused() throws {
        let test = try self.world()
        test.send(
            self.stateInfo(of: 1, height: 99, chaincodes: 1_001, test),
            signedBy: 1,
            from: 1,
            to: 2
        )
        test.world.run(for: 1.seconds)
        #expect(test.gossip(2)?.members[test.name(1)]?.height == 10)
        #expect(test.warnings(2).contains { $0.contains("1001 contracts") })
    }

    @Test func anOlderStateInfoChangesNothing() throws {
        let test = try self.world()
        test.send(self.stateInfo(of: 1, height: 20, seqNum: 8, test), signedBy: 1, from: 1, to: 2)
        test.world.run(for: 1.seconds)
        #expect(test.gossip(2)?.members[test.name(1)]?.height == 20)
        test.send(self.stateInfo(of: 1, height: 5, seqNum: 7, test), signedBy: 1, from: 0, to: 2)
        test.send(self.stateInfo(of: 1, height: 6, seqNum: 8, test), signedBy: 1, from: 0, to: 2)
        test.world.run(for: 1.seconds)
        #expect(test.gossip(2)?.members[test.name(1)]?.height == 20)
        #expect(test.warnings(2).isEmpty, "others may be late without being bad")
    }

    @Test func whoLeavesIsNoMemberAnyLonger() throws {
        let test = try self.world()
        test.world.give(.left(test.channel), to: 1)
        test.world.run(for: 3.seconds)
        for number in [0, 2, 3] { #expect(test.gossip(number)?.members[test.name(1)] == nil) }
        test.world.run(for: 20.seconds)
        for number in [0, 2, 3] { #expect(test.gossip(number)?.members[test.name(1)] == nil) }
    }

    @Test func whoDiesIsForgotten() throws {
        let test = try self.world()
        test.stop(1)
        test.world.run(for: 60.seconds)
        for number in [0, 2, 3] { #expect(test.gossip(number)?.members[test.name(1)] == nil) }
    }

    @Test func snapshotsThatNobodyAskedForOrThatHoldSomethingElseAreNotRead() throws {
        let test = try self.world()
        let forged = try Gossip_Envelope(
            self.stateInfo(of: 1, height: 99, test),
            signedBy: { _ in Data([1]) }
        )
        let snapshot = test.message(.chanOrOrg, .stateSnapshot(.with { $0.elements = [forged] }))
        test.send(snapshot, from: 0, to: 2)
        test.world.run(for: 1.milliseconds * 20)
        #expect(test.warnings(2).isEmpty)
        // The same as an answer.
        test.world.onSend = { _, number, envelope, _ in
            guard number == 0,
                case .stateSnapshot = (try? Gossip_GossipMessage(serializedBytes: envelope.payload))?.content
            else { return envelope }
            return try? Gossip_Envelope(unsigned: snapshot)
        }
        test.world.run(for: 20.seconds)
        #expect(test.gossip(2)?.members[test.name(1)]?.height == 10)
        #expect(test.warnings(2).count { $0.contains("\(test.name(0))") } == 1)
    }

    @Test func onlyTheOwnOrganizationHearsOfPeersWithoutAnExternalEndpoint() throws {
        let test = try BlockWorld(
            organizations: 2,
            peers: 3,
            blocks: 3,
            heights: [3, 3, 3, 3, 3, 3],
            hidden: [1]
        )
        test.world.run(for: 40.seconds)
        for number in [0, 2] { #expect(test.gossip(number)?.members[test.name(1)] != nil) }
        for number in 3..<6 { #expect(test.gossip(number)?.members[test.name(1)] == nil) }
    }

    // MARK: - Ranges of blocks

    private func request(_ start: UInt64, _ end: UInt64, nonce: UInt64, _ test: BlockWorld)
        -> Gossip_GossipMessage
    {
        test.message(
            .chanOrOrg,
            nonce: nonce,
            .stateRequest(
                .with {
                    $0.startSeqNum = start
                    $0.endSeqNum = end
                }
            )
        )
    }

    @Test(arguments: [(0, 11), (5, 4), (0, UInt64.max)] as [(UInt64, UInt64)])
    func rangesThatAreTooLongOrBackwardsAreNotRead(_ start: UInt64, _ end: UInt64) throws {
        let test = try self.world()
        var readings = 0
        test.serve = { _, payloads in
            readings += 1
            return payloads
        }
        for nonce in 1...3 { test.send(self.request(start, end, nonce: UInt64(nonce), test), from: 0, to: 2) }
        test.world.run(for: 1.seconds)
        #expect(readings == 0)
        #expect(test.warnings(2).count { $0.contains("asks for blocks \(start) to \(end)") } == 1)
    }

    @Test func aRangeIsAnsweredAsFarAsTheLedgerGoes() throws {
        let test = try self.world()
        var answers: [[UInt64]] = []
        test.world.onArrival = { _, envelope, _, number in
            guard number == 0,
                case .stateResponse(let response) =
                    (try? Gossip_GossipMessage(serializedBytes: envelope.payload))?
                    .content
            else { return }
            answers.append(response.payloads.map(\.seqNum))
        }
        // Fabric asks for eleven blocks at once.
        test.send(self.request(8, 18, nonce: 1, test), from: 0, to: 2)
        test.world.run(for: 1.seconds)
        test.send(self.request(10, 15, nonce: 2, test), from: 0, to: 2)
        test.world.run(for: 1.seconds)
        #expect(answers == [[8, 9], []])
    }

    @Test func aFloodOfRequestsIsReadInPart() throws {
        let test = try self.world()
        var readings = 0
        test.serve = { _, _ in
            readings += 1
            return nil
        }
        for nonce in 1...100 { test.send(self.request(1, 5, nonce: UInt64(nonce), test), from: 0, to: 2) }
        test.world.run(for: 1.seconds)
        #expect(readings == BlockServing.capacity.ofPeer)
        #expect(test.warnings(2).count { $0.contains("\(test.name(0))") } == 1)
    }

    @Test func aResponseThatNobodyAskedForIsNotRead() throws {
        let test = try self.world()
        try test.grow(by: 1)
        let response = try Gossip_RemoteStateResponse.with { $0.payloads = [try test.chain.payload(10)] }
        test.send(test.message(.chanOrOrg, nonce: 5, .stateResponse(response)), from: 0, to: 1)
        test.world.run(for: 1.seconds)
        #expect(test.gossip(1)?.bufferedBlocks == 0)
        #expect(test.commits == 0)
    }

    // MARK: - Single blocks

    private func push(_ block: Common_Block, _ test: BlockWorld) throws -> Gossip_GossipMessage {
        let payload = try TestChain.payload(block)
        return test.message(.chanAndOrg, .dataMsg(.with { $0.payload = payload }))
    }

    @Test func aBlockThatIsPushedIsCommittedAndPassedOn() throws {
        let test = try self.world()
        try test.grow(by: 1)
        test.send(try self.push(test.chain.blocks[10], test), from: 0, to: 1)
        test.world.run(for: 1.seconds)
        #expect(test.heights[1] == 11)
    }

    @Test func wrongBlocksThatArePushedAreRefused() throws {
        let test = try self.world()
        let last = test.chain.blocks[9].header
        var unsigned = try test.chain.next(after: last, text: "x")
        unsigned.setMetadata(.signatures, Data())
        test.send(try self.push(unsigned, test), from: 0, to: 1)
        let other = try test.chain.next(after: last, text: "x", channel: "other")
        test.send(try self.push(other, test), from: 2, to: 3)
        test.world.run(for: 1.seconds)
        #expect(test.commits == 0)
        #expect(test.warnings(1).contains { $0.contains("not signed by the orderers") })
        #expect(test.warnings(3).contains { $0.contains("not of this channel") })
    }

    @Test func blocksArePushedWithinTheOrganizationOnly() throws {
        let test = try self.world()
        try test.grow(by: 1)
        test.send(try self.push(test.chain.blocks[10], test), from: 0, to: 2)
        test.world.run(for: 1.seconds)
        #expect(test.heights[2] == 10)
        #expect(test.warnings(2).contains { $0.contains("only the own organization") })
    }

    @Test func aBlockFarAheadIsNotKept() throws {
        let test = try self.world()
        try test.grow(by: 30)
        for number in 11..<40 { test.send(try self.push(test.chain.blocks[number], test), from: 0, to: 1) }
        test.world.run(for: 1.seconds)
        // Block 10 is missing; 20 from there on are kept.
        #expect(test.gossip(1)?.bufferedBlocks == 19)
    }

    @Test func endlessDigestsAreRefusedAndPullsAreBounded() throws {
        var options = GossipOptions()
        options.blockGossipEnabled = true
        let test = try self.world(options: options)
        try test.grow(by: 1)
        test.give(.delivered(try test.chain.payload(10)), to: 0)
        var digests = 0
        test.world.onArrival = { _, envelope, _, number in
            guard number == 1, let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
                case .dataDig(let digest) = message.content, digest.msgType == .blockMsg, digest.nonce <= 50
            else { return }
            digests += 1
        }
        for nonce in 1...50 {
            let hello = Gossip_GossipHello.with {
                $0.nonce = UInt64(nonce)
                $0.msgType = .blockMsg
            }
            test.send(test.message(.chanAndOrg, .hello(hello)), from: 1, to: 0)
        }
        test.world.run(for: 100.milliseconds)
        #expect((1...BlockPull.visitCapacity.ofPeer).contains(digests))
        let digest = Gossip_DataDigest.with {
            $0.msgType = .blockMsg
            $0.digests = (0...200).map { Data("\($0)".utf8) }
        }
        test.send(test.message(.chanAndOrg, .dataDig(digest)), from: 1, to: 0)
        test.world.run(for: 100.milliseconds)
        #expect(test.warnings(0).contains { $0.contains("pulls of blocks") })
    }

    // MARK: - Leaders

    @Test func messagesOfLeaderElectionMustBeTheOwnOrganizationsAndSigned() throws {
        var options = GossipOptions()
        options.useLeaderElection = true
        let test = try self.world(options: options)
        test.world.run(for: 20.seconds)
        let leader = try #require(test.leaders.first { $0 < 2 })
        let follower = 1 - leader
        func declaration(of author: Int) -> Gossip_GossipMessage {
            test.message(
                .chanAndOrg,
                .leadershipMsg(
                    .with {
                        $0.pkiID = test.name(author).bytes
                        $0.timestamp.incNum = .max
                        $0.timestamp.seqNum = 1
                        $0.isDeclaration = true
                    }
                )
            )
        }
        test.send(declaration(of: follower), signedBy: 2, from: follower, to: leader)
        test.send(declaration(of: 2), signedBy: 2, from: 2, to: leader)
        test.world.run(for: 1.seconds)
        #expect(test.leaders.contains(leader))
        #expect(test.warnings(leader).contains { $0.contains("not signed") })
        #expect(test.warnings(leader).contains { $0.contains("not of the own organization") })
    }
}
