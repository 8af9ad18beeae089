import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

/// Questions of other peers for private data: nobody gets what it is not entitled to.
@Suite struct PrivateDataAnswerTests {
    private func ask(
        _ scene: inout PrivateDataScene,
        from peer: PKIID,
        nonce: UInt64 = 1,
        count: Int = 1
    ) throws -> [GossipEffect] {
        try scene.receive(from: peer) {
            $0.nonce = nonce
            $0.privateReq.digests = Array(repeating: PrivateDataScene.digest(), count: count)
        }
    }

    private func held(_ scene: PrivateDataScene, _ organizations: [Int], _ bytes: Data) throws
        -> HeldPrivateData
    {
        HeldPrivateData(
            element: .with {
                $0.digest = PrivateDataScene.digest()
                $0.payload = [bytes]
            },
            members: try scene.policy(organizations)
        )
    }

    @Test func aMemberGetsItsCollectionsAndNoOthers() throws {
        var scene = try PrivateDataScene()
        let peer = try scene.id(1, 0)
        let effects = try self.ask(&scene, from: peer)
        guard case .read(let digests, let requester, let nonce)? = effects.privateEffects.first else {
            Issue.record("\(effects)")
            return
        }
        #expect(digests == [PrivateDataScene.digest()] && requester.peer == peer && nonce == 1)
        let answer = scene.step(
            .read(
                [
                    try self.held(scene, [0, 1], Data([1])), try self.held(scene, [0, 2], Data([2])),
                    try self.held(scene, [1], Data([3])),
                ],
                for: peer,
                nonce: 1
            )
        )
        let message = try #require(answer.sent.first)
        #expect(message.to == peer && message.message.nonce == 1 && message.message.tag == .chanOnly)
        #expect(message.message.privateRes.elements.map(\.payload) == [[Data([1])], [Data([3])]])
        #expect(answer.notes.count == 1, "that it asked for more is noted")
    }

    @Test func aNameWithoutTheSignatureIsNotEnough() throws {
        var scene = try PrivateDataScene()
        let peer = try scene.id(1, 0)
        _ = try self.ask(&scene, from: peer)
        scene.context.connections[peer]?.proof.signature = Data(repeating: 1, count: 64)
        let answer = scene.step(.read([try self.held(scene, [1], Data([1]))], for: peer, nonce: 1))
        #expect(answer.sent.first?.message.privateRes.elements.isEmpty == true)
    }

    @Test func whoLostItsRightsMeanwhileGetsNothing() throws {
        var scene = try PrivateDataScene()
        let peer = try scene.id(1, 0)
        _ = try self.ask(&scene, from: peer)
        scene.part.configure(try scene.identities.channel(revoked: [1: [0]]), &scene.context)
        let answer = scene.step(.read([try self.held(scene, [1], Data([1]))], for: peer, nonce: 1))
        #expect(answer.sent.first?.message.privateRes.elements.isEmpty == true)
        #expect(try self.ask(&scene, from: peer, nonce: 2).privateEffects.isEmpty)
    }

    @Test func thoseWhoAreGoneAndThoseWhoNeverAskedGetNothing() throws {
        var scene = try PrivateDataScene()
        let peer = try scene.id(1, 0)
        let held = try self.held(scene, [1], Data([1]))
        #expect(scene.step(.read([held], for: peer, nonce: 1)).isEmpty)
        _ = try self.ask(&scene, from: peer)
        scene.context.connections[peer] = nil
        #expect(scene.step(.read([held], for: peer, nonce: 1)).isEmpty)
    }

    @Test func aMalformedPolicyLetsNobodyHaveAnything() throws {
        var scene = try PrivateDataScene()
        let peer = try scene.id(1, 0)
        _ = try self.ask(&scene, from: peer)
        var held = try self.held(scene, [1], Data([1]))
        held.members.rule.nOutOf.rules = [.with { $0.signedBy = 77 }]
        let answer = scene.step(.read([held], for: peer, nonce: 1))
        #expect(answer.sent.first?.message.privateRes.elements.isEmpty == true)
    }

    @Test func questionsAreBounded() throws {
        var scene = try PrivateDataScene()
        let peer = try scene.id(1, 0)
        let large = try self.ask(&scene, from: peer, count: 20_000)
        guard case .read(let digests, _, _)? = large.privateEffects.first else {
            Issue.record("\(large)")
            return
        }
        #expect(digests.count == PrivateDataGossip.maximumDigests)
        var reads = 1
        var notes = 0
        for nonce in 2...100 {
            let effects = try self.ask(&scene, from: peer, nonce: UInt64(nonce))
            reads += effects.privateEffects.count
            notes += effects.notes.count
        }
        #expect(reads == PrivateDataGossip.maximumQuestions.read && notes == 1)
    }

    @Test func answersAreBounded() throws {
        var scene = try PrivateDataScene()
        let peer = try scene.id(1, 0)
        _ = try self.ask(&scene, from: peer)
        let half = try self.held(scene, [1], Data(count: PrivateDataGossip.maximumAnswerBytes / 2 + 1))
        let answer = scene.step(.read([half, half, half], for: peer, nonce: 1))
        #expect(answer.sent.first?.message.privateRes.elements.count == 1)
    }
}
