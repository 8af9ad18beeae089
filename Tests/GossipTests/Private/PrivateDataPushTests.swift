import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

/// Private data on its way from the endorser to other members.
@Suite struct PrivateDataPushTests {
    private func acknowledge(
        _ scene: inout PrivateDataScene,
        _ sent: (to: PKIID, message: Gossip_GossipMessage),
        error: String = ""
    ) throws -> [GossipEffect] {
        try scene.receive(from: sent.to) {
            $0.channel = Data()
            $0.tag = .undefined
            $0.nonce = sent.message.nonce
            $0.ack.error = error
        }
    }

    @Test func oneOfEachOrganizationGetsItFirstAndNobodyElse() throws {
        var scene = try PrivateDataScene()
        for request in 0..<20 {
            let effects = scene.step(
                .push([try scene.payload([0, 1], required: 0, maximum: 2)], request: UInt64(request))
            )
            let organizations = effects.sent.map { scene.context.identities.mspID(of: $0.to)?.description }
            #expect(Set(organizations) == ["Org1MSP", "Org2MSP"])
            #expect(effects.sent.count == 2)
            #expect(effects.sent.allSatisfy { $0.message.tag == .chanOnly && $0.message.nonce != 0 })
            #expect(effects.sent.allSatisfy { $0.message.privateData.payload.txID == "tx" })
            #expect(effects.pushed == .some(nil), "nothing is required")
        }
    }

    @Test func furtherPeersGetItUpToTheMaximum() throws {
        var scene = try PrivateDataScene()
        let effects = scene.step(.push([try scene.payload([1, 2], required: 1, maximum: 9)], request: 1))
        #expect(effects.sent.count == 4)
        #expect(Set(effects.sent.map(\.to)).count == 4)
        #expect(effects.pushed == nil)
    }

    @Test func itSucceedsOnceEnoughHaveAcknowledged() throws {
        var scene = try PrivateDataScene()
        let sent = scene.step(.push([try scene.payload([1], required: 2, maximum: 2)], request: 1)).sent
        #expect(sent.count == 2)
        #expect(try self.acknowledge(&scene, sent[0]).pushed == nil)
        #expect(try self.acknowledge(&scene, sent[0]).pushed == nil, "it counts once")
        #expect(try self.acknowledge(&scene, (sent[0].to, sent[1].message)).pushed == nil, "not its own")
        #expect(try self.acknowledge(&scene, sent[1]).pushed == .some(nil))
        #expect(scene.tick(at: .seconds(10)).pushed == nil, "it ends once")
    }

    @Test func anySufficientNumberWillDo() throws {
        var scene = try PrivateDataScene()
        let sent = scene.step(.push([try scene.payload([1, 2], required: 1, maximum: 2)], request: 1)).sent
        #expect(try self.acknowledge(&scene, sent[0], error: "no room").pushed == nil)
        #expect(try self.acknowledge(&scene, sent[1]).pushed == .some(nil))
    }

    @Test func tooFewPeersFailItBeforeAnythingIsSent() throws {
        var scene = try PrivateDataScene(present: [(0, 1), (1, 0), (2, 0)])
        let effects = scene.step(.push([try scene.payload([1, 0], required: 3, maximum: 3)], request: 1))
        #expect(effects.sent.isEmpty)
        let failure = try #require(effects.pushFailure)
        #expect(failure.contains("collection c of cc wants 3 other peers"))
        #expect(failure.contains("2 can be reached: Org1MSP 1, Org2MSP 1"), "\(failure)")
    }

    @Test func silenceFailsItInTime() throws {
        var scene = try PrivateDataScene()
        let sent = scene.step(.push([try scene.payload([1], required: 2, maximum: 2)], request: 1)).sent
        #expect(try self.acknowledge(&scene, sent[0]).pushed == nil)
        #expect(scene.tick(at: .milliseconds(2_900)).pushed == nil)
        let failure = try #require(scene.tick(at: .seconds(3)).pushFailure)
        #expect(failure.contains("wants 2 other peers") && failure.contains("1 acknowledged it"))
        #expect(failure.contains("org2.sim:7051 of Org2MSP did not acknowledge within 3.0 seconds"))
    }

    @Test func refusalsFailItAtOnce() throws {
        var scene = try PrivateDataScene()
        let sent = scene.step(.push([try scene.payload([1], required: 2, maximum: 2)], request: 1)).sent
        let effects = try self.acknowledge(&scene, sent[0], error: "disk full")
        let failure = try #require(effects.pushFailure)
        #expect(failure.contains("answered: disk full"))
    }

    @Test func allCollectionsMustReachTheirPeers() throws {
        var scene = try PrivateDataScene()
        let sent = scene.step(
            .push(
                [
                    try scene.payload([1], required: 1, maximum: 1),
                    try scene.payload([2], required: 1, maximum: 1, collection: "d"),
                ],
                request: 1
            )
        ).sent
        #expect(sent.count == 2)
        #expect(try self.acknowledge(&scene, sent[1]).pushed == nil)
        #expect(try self.acknowledge(&scene, sent[0]).pushed == .some(nil))
    }

    @Test func peersThatAreNotInTheChannelGetNothing() throws {
        var scene = try PrivateDataScene()
        scene.members[try scene.id(1, 0)] = nil
        let effects = scene.step(.push([try scene.payload([1], required: 0, maximum: 5)], request: 1))
        #expect(effects.sent.map(\.to) == [try scene.id(1, 1)])
    }

    @Test func revokedPeersGetNothing() throws {
        var scene = try PrivateDataScene()
        let configuration = try scene.identities.channel(revoked: [1: [0]])
        scene.part.configure(configuration, &scene.context)
        let effects = scene.step(.push([try scene.payload([1], required: 0, maximum: 5)], request: 1))
        #expect(effects.sent.map(\.to) == [try scene.id(1, 1)])
    }

    @Test func pushesAreBounded() throws {
        var scene = try PrivateDataScene()
        let payload = try scene.payload([1], required: 1, maximum: 1)
        for request in 0..<PrivateDataPushes.maximumPushes {
            #expect(scene.step(.push([payload], request: UInt64(request))).pushed == nil)
        }
        let effects = scene.step(.push([payload], request: .max))
        #expect(effects.sent.isEmpty)
        #expect(try #require(effects.pushFailure).contains("try again later"))
    }

    // MARK: The other side

    private func pushed(_ scene: inout PrivateDataScene, from peer: PKIID, nonce: UInt64) throws
        -> [GossipEffect]
    {
        let payload = try scene.payload([0, 1], required: 1, maximum: 1)
        return try scene.receive(from: peer) {
            $0.nonce = nonce
            $0.privateData.payload = payload
        }
    }

    @Test func whatComesIsKeptAndThenAcknowledged() throws {
        var scene = try PrivateDataScene()
        let sender = try scene.id(1, 0)
        let effects = try self.pushed(&scene, from: sender, nonce: 9)
        #expect(effects.sent.isEmpty, "not before it is kept")
        guard case .keep(let payload, let peer, let nonce)? = effects.privateEffects.first else {
            Issue.record("\(effects)")
            return
        }
        #expect(payload.txID == "tx" && peer == sender && nonce == 9)
        let answer = scene.step(.kept(error: "", from: sender, nonce: 9)).sent
        #expect(answer.map(\.to) == [sender])
        #expect(answer.first?.message.nonce == 9 && answer.first?.message.ack.error == "")
        #expect(answer.first?.message.tag == .undefined && answer.first?.message.channel.isEmpty == true)
        #expect(scene.step(.kept(error: "", from: sender, nonce: 9)).sent.isEmpty)
    }

    @Test func emptyAndUnreadableSendersAreIgnored() throws {
        var scene = try PrivateDataScene()
        let effects = try scene.receive(from: scene.id(1, 0)) {
            $0.nonce = 1
            $0.privateData.payload.txID = "tx"
        }
        #expect(effects.isEmpty)
        // A connection whose proof is another peer's.
        let liar = try scene.id(1, 0)
        let honest = try scene.id(1, 1)
        let proof = try #require(scene.context.connections[honest]?.proof)
        scene.context.connections[liar]?.proof = proof
        let refused = try self.pushed(&scene, from: liar, nonce: 2)
        #expect(refused.privateEffects.isEmpty)
        #expect(refused.notes.count == 1)
        #expect(try self.pushed(&scene, from: liar, nonce: 3).notes.isEmpty, "it is noted once")
    }

    @Test func aPeerThatFloodsTheDiskIsDroppedAndNotedOnce() throws {
        var scene = try PrivateDataScene()
        let sender = try scene.id(1, 0)
        var kept = 0
        var notes: [String] = []
        for nonce in 1...1_000 {
            let effects = try self.pushed(&scene, from: sender, nonce: UInt64(nonce))
            kept += effects.privateEffects.count
            notes += effects.notes
        }
        #expect(kept == PrivateDataGossip.maximumQuestions.keep)
        #expect(notes.count == 1)
        #expect(try self.pushed(&scene, from: scene.id(1, 1), nonce: 1).privateEffects.count == 1)
        _ = scene.tick(at: PrivateDataGossip.questionLifetime)
        #expect(try self.pushed(&scene, from: sender, nonce: 5_000).privateEffects.count == 1)
    }
}
