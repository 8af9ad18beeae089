import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

/// Private data that is missing and asked for.
@Suite struct PrivateDataPullTests {
    private func answer(
        _ scene: inout PrivateDataScene,
        _ sent: (to: PKIID, message: Gossip_GossipMessage),
        _ payload: [Data]?,
        from peer: PKIID? = nil
    ) throws -> [GossipEffect] {
        try scene.receive(from: peer ?? sent.to) {
            $0.nonce = sent.message.nonce
            $0.privateRes.elements = sent.message.privateReq.digests.compactMap { digest in
                payload.map { payload in
                    .with {
                        $0.digest = digest
                        $0.payload = payload
                    }
                }
            }
        }
    }

    @Test func endorsersAreAskedFirst() throws {
        var scene = try PrivateDataScene()
        let endorser = try scene.id(2, 1)
        let effects = scene.step(
            .pull([try scene.wanted([0, 1, 2], endorsers: [endorser])], request: 1)
        )
        #expect(effects.sent.map(\.to) == [endorser])
        let message = try #require(effects.sent.first?.message)
        #expect(message.privateReq.digests == [PrivateDataScene.digest()] && message.tag == .chanOnly)
        let results = try self.answer(&scene, effects.sent[0], [PrivateDataScene.bytes]).pulled
        #expect(results?.map(\.bytes) == [PrivateDataScene.bytes])
        #expect(results?.first?.attempts.isEmpty == true)
    }

    @Test func onlyMembersOfTheCollectionAreAsked() throws {
        var scene = try PrivateDataScene()
        let stranger = try scene.id(2, 0)
        var asked = Set<PKIID>()
        var effects = scene.step(.pull([try scene.wanted([1], endorsers: [stranger])], request: 1))
        while let sent = effects.sent.first {
            asked.insert(sent.to)
            effects = try self.answer(&scene, sent, nil)
        }
        #expect(asked == [try scene.id(1, 0), try scene.id(1, 1)])
        let result = try #require(effects.pulled?.first)
        #expect(result.bytes == nil && result.attempts.count == 2)
        #expect(result.attempts.allSatisfy { $0.mspID?.description == "Org2MSP" })
        #expect(result.reason == "every peer that may have it was asked")
    }

    @Test func aSilentPeerIsFollowedByAnother() throws {
        var scene = try PrivateDataScene()
        let first = scene.step(.pull([try scene.wanted([1])], request: 1)).sent
        #expect(scene.tick(at: .milliseconds(4_900)).isEmpty)
        let second = scene.tick(at: .seconds(5)).sent
        #expect(first.count == 1 && second.count == 1 && first[0].to != second[0].to)
        #expect(try self.answer(&scene, first[0], [PrivateDataScene.bytes]).isEmpty, "too late")
        let result = try self.answer(&scene, second[0], [PrivateDataScene.bytes]).pulled?.first
        #expect(result?.bytes == PrivateDataScene.bytes)
        #expect(result?.attempts.map(\.reason) == ["did not answer within 5.0 seconds"])
    }

    @Test func falseDataIsNotTakenAndItsSenderIsNotedOnce() throws {
        var scene = try PrivateDataScene()
        let liar = try scene.id(1, 0)
        var notes: [String] = []
        for request in 1...2 {
            let wanted = try scene.wanted([1], endorsers: [liar])
            let first = scene.step(.pull([wanted], request: UInt64(request))).sent
            let effects = try self.answer(&scene, first[0], [PrivateDataScene.set(["k": "2", "other": "2"])])
            notes += effects.notes
            #expect(effects.sent.map(\.to) == [try scene.id(1, 1)])
            let result = try self.answer(&scene, effects.sent[0], [PrivateDataScene.bytes]).pulled?.first
            #expect(result?.bytes == PrivateDataScene.bytes)
        }
        #expect(notes.count == 1 && notes[0].contains("not what was endorsed"))
    }

    @Test func amongSeveralSetsTheRightOneIsTaken() throws {
        var scene = try PrivateDataScene()
        let sent = scene.step(.pull([try scene.wanted([1])], request: 1)).sent
        let results = try self.answer(
            &scene,
            sent[0],
            [PrivateDataScene.set(["k": "9"]), Data([0xFF]), PrivateDataScene.bytes]
        ).pulled
        #expect(results?.first?.bytes == PrivateDataScene.bytes)
    }

    @Test func dataWithoutPurgedKeysIsTakenIfNobodyHasMore() throws {
        var scene = try PrivateDataScene()
        let part = PrivateDataScene.set(["other": "2"])
        let first = scene.step(.pull([try scene.wanted([1])], request: 1)).sent
        let second = try self.answer(&scene, first[0], [part]).sent
        let result = try self.answer(&scene, second[0], [Data()]).pulled?.first
        #expect(result?.bytes == part)
        #expect(result?.attempts.count == 2)
    }

    @Test func answersOfOthersAndToOtherQuestionsAreIgnored() throws {
        var scene = try PrivateDataScene()
        let sent = scene.step(.pull([try scene.wanted([1])], request: 1)).sent
        let other = try scene.id(2, 0)
        #expect(try self.answer(&scene, sent[0], [PrivateDataScene.bytes], from: other).isEmpty)
        var strange = sent[0]
        strange.message.nonce &+= 1
        #expect(try self.answer(&scene, strange, [PrivateDataScene.bytes]).isEmpty)
        #expect(try self.answer(&scene, sent[0], [PrivateDataScene.bytes]).pulled != nil)
    }

    @Test func peersThatHaveForgottenItByNowAreNotAsked() throws {
        var scene = try PrivateDataScene()
        // Block 4 + 20: whoever has 14 blocks or more will forget it within the margin of 10.
        scene.members[try scene.id(1, 0)] = 14
        let effects = scene.step(.pull([try scene.wanted([1], blockToLive: 20)], request: 1))
        #expect(effects.sent.map(\.to) == [try scene.id(1, 1)])
        scene.members[try scene.id(1, 1)] = 30
        let none = scene.step(.pull([try scene.wanted([1], blockToLive: 20)], request: 2))
        #expect(none.pulled?.first?.reason.contains("expires so soon") == true)
    }

    @Test func withoutAnybodyToAskTheReasonNamesTheOrganizations() throws {
        var scene = try PrivateDataScene(present: [(0, 1)])
        let result = scene.step(.pull([try scene.wanted([1, 2])], request: 1)).pulled?.first
        #expect(result?.reason.hasPrefix("no other peer of Org2MSP, Org3MSP can be reached: ") == true)
        #expect(result?.bytes == nil && result?.attempts.isEmpty == true)
    }

    @Test func manyThingsGoIntoFewMessages() throws {
        var scene = try PrivateDataScene()
        let wanted = try (0..<2_500).map { try scene.wanted([1], block: UInt64($0)) }
        let sent = scene.step(.pull(wanted, request: 1)).sent
        #expect(sent.map(\.message.privateReq.digests.count).sorted() == [500, 1_000, 1_000])
        #expect(Set(sent.map(\.to)).count == 1)
        #expect(try self.answer(&scene, sent[0], [PrivateDataScene.bytes]).pulled == nil)
        #expect(try self.answer(&scene, sent[1], [PrivateDataScene.bytes]).pulled == nil)
        let results = try self.answer(&scene, sent[2], [PrivateDataScene.bytes]).pulled
        #expect(results?.count == 2_500)
        #expect(results?.allSatisfy { $0.bytes == PrivateDataScene.bytes } == true)
    }

    @Test func pullsAreBounded() throws {
        var scene = try PrivateDataScene()
        let wanted = [try scene.wanted([1])]
        for request in 0..<PrivateDataPulls.maximumPulls {
            #expect(scene.step(.pull(wanted, request: UInt64(request))).pulled == nil)
        }
        let effects = scene.step(.pull(wanted, request: .max))
        #expect(effects.sent.isEmpty && effects.pulled?.first?.reason.isEmpty == false)
    }
}
