import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// What Broadcast answers, in the order of Fabric's checks.
@Suite struct BroadcastTests {
    let network: TestNetwork

    init() throws { self.network = try TestNetwork() }

    private func answer(_ envelope: Common_Envelope) async throws -> Orderer_BroadcastResponse {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let answer = try await orderer.broadcast(envelope)
        await orderer.stop()
        return answer
    }

    @Test("an envelope of a member is in a durable block when SUCCESS is answered")
    func orders() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let envelope = try self.network.envelope()
        let answer = try await orderer.broadcast(envelope)
        #expect(answer == .accepted)
        await orderer.stop()
        orderer.disk.losePower()
        let restarted = try TestOrderer(self.network, disk: orderer.disk)
        await restarted.ready()
        #expect(try restarted.block(1)?.data.data == [envelope.serializedBytes()])
        await restarted.stop()
    }

    @Test("bytes that are no payload are BAD_REQUEST")
    func refusesGarbage() async throws {
        var envelope = try self.network.envelope()
        envelope.payload = Data("no payload".utf8)
        #expect(try await self.answer(envelope).status == .badRequest)
        #expect(try await self.answer(Common_Envelope()).status == .badRequest)
    }

    @Test("a truncated payload is BAD_REQUEST")
    func refusesTruncated() async throws {
        var envelope = try self.network.envelope()
        envelope.payload = envelope.payload.prefix(envelope.payload.count / 2)
        #expect(try await self.answer(envelope).status == .badRequest)
    }

    @Test("an unknown channel is BAD_REQUEST, and named")
    func refusesUnknownChannel() async throws {
        let answer = try await self.answer(self.network.envelope(channel: "elsewhere"))
        #expect(answer.status == .badRequest)
        #expect(answer.info.contains("elsewhere"))
    }

    @Test(
        "types that only orderers make are BAD_REQUEST",
        arguments: [Common_HeaderType.config, .ordererTransaction]
    )
    func refusesOrderersTypes(type: Common_HeaderType) async throws {
        #expect(try await self.answer(self.network.envelope(type: type)).status == .badRequest)
    }

    @Test(
        "any other type is ordered",
        arguments: [Common_HeaderType.message, .deliverSeekInfo, .endorserTransaction]
    )
    func ordersOtherTypes(type: Common_HeaderType) async throws {
        #expect(try await self.answer(self.network.envelope(type: type)) == .accepted)
    }

    @Test("an envelope above AbsoluteMaxBytes is BAD_REQUEST, and the bound is named")
    func refusesOversized() async throws {
        let answer = try await self.answer(self.network.envelope(String(repeating: "x", count: 20_000)))
        #expect(answer.status == .badRequest)
        #expect(answer.info.contains("20000"))
    }

    @Test("the creator's expired certificate is BAD_REQUEST")
    func refusesExpired() async throws {
        let expired = try self.network.organization.issue("late", "client", expiresIn: -60)
        let answer = try await self.answer(self.network.envelope(by: expired))
        #expect(answer.status == .badRequest)
        #expect(answer.info.contains("expired"))
    }

    @Test("who is no writer is FORBIDDEN, and the policy is named")
    func refusesStrangers() async throws {
        let stranger = try self.network.stranger.issue("user1", "client")
        for envelope in [
            try self.network.envelope(by: stranger), try self.network.envelope(by: self.network.peer),
        ] {
            let answer = try await self.answer(envelope)
            #expect(answer.status == .forbidden)
            #expect(answer.info.contains("/Channel/Writers"))
        }
    }

    @Test("a wrong or missing signature is FORBIDDEN")
    func refusesWrongSignature() async throws {
        var envelope = try self.network.envelope()
        envelope.signature = try self.network.envelope().signature
        #expect(try await self.answer(envelope).status == .forbidden)
        envelope.signature = Data()
        #expect(try await self.answer(envelope).status == .forbidden)
    }

    @Test("answers come in order, and the stream ends after the first that is not SUCCESS")
    func endsAfterRefusal() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let good = try (0..<4).map { _ in try self.network.envelope() }
        let bad = try self.network.envelope(channel: "elsewhere")
        let answers = try await orderer.broadcast([good[0], good[1], bad, good[2], good[3]])
        #expect(answers.map(\.status) == [.success, .success, .badRequest])
        await orderer.stop()
        // Nothing behind the refused one was ordered.
        orderer.disk.losePower()
        let restarted = try TestOrderer(self.network, disk: orderer.disk)
        await restarted.ready()
        var ordered: [Data] = []
        for number in 1..<restarted.channel.feed.height {
            ordered += try #require(try restarted.block(number)).data.data
        }
        #expect(ordered == [try good[0].serializedBytes(), try good[1].serializedBytes()])
        await restarted.stop()
    }

    @Test("many envelopes on one stream stand in their order in blocks within the bounds")
    func keepsOrder() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let envelopes = try (0..<95).map { try self.network.envelope("\($0)") }
        let answers = try await orderer.broadcast(envelopes)
        #expect(answers.count == 95 && answers.allSatisfy { $0 == .accepted })
        try await orderer.published(95)
        var ordered: [Data] = []
        for number in 1..<orderer.channel.feed.height {
            let block = try #require(try orderer.block(number))
            #expect(block.data.data.count <= 10)
            ordered += block.data.data
        }
        #expect(ordered == (try envelopes.map { try $0.serializedBytes() }))
        await orderer.stop()
    }

    @Test("an envelope that is sent again gets SUCCESS and is not ordered again, also after a restart")
    func answersDuplicates() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let envelope = try self.network.envelope()
        #expect(try await orderer.broadcast([envelope, envelope, envelope]).allSatisfy { $0 == .accepted })
        #expect(try await orderer.broadcast(envelope) == .accepted)
        try await orderer.published(1)
        #expect(orderer.channel.feed.height == 2)
        await orderer.stop()

        let restarted = try TestOrderer(self.network, disk: orderer.disk)
        await restarted.ready()
        #expect(try await restarted.broadcast(envelope) == .accepted)
        #expect(restarted.channel.feed.height == 2)
        await restarted.stop()
    }

    @Test("a queue that is full is SERVICE_UNAVAILABLE and says that nothing was ordered")
    func refusesWhenFull() async throws {
        var limits = OrdererLimits.forTests
        limits.waitingEnvelopes = 0
        let orderer = try TestOrderer(self.network, limits: limits)
        await orderer.ready()
        let answer = try await orderer.broadcast(self.network.envelope())
        #expect(answer.status == .serviceUnavailable)
        #expect(answer.info.contains("not ordered, safe to resubmit"))
        await orderer.stop()
    }

    @Test("with the key for it SUCCESS is answered when an envelope is queued")
    func answersOnReceipt() async throws {
        let network = try TestNetwork(timeout: .seconds(3600))
        let orderer = try TestOrderer(network, cutting: .fabric, acknowledgesWhenDurable: false)
        await orderer.ready()
        // No block is due for an hour.
        #expect(try await orderer.broadcast(network.envelope()) == .accepted)
        #expect(orderer.channel.feed.height == 1)
        await orderer.stop()
    }

    @Test("a stopped node answers SERVICE_UNAVAILABLE")
    func refusesWhenStopped() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        await orderer.stop()
        #expect(try await orderer.broadcast(self.network.envelope()).status == .serviceUnavailable)
    }

    @Test("a disk that fails is SERVICE_UNAVAILABLE and named; when it works again, so does the channel")
    func survivesAFullDisk() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        #expect(try await orderer.broadcast(self.network.envelope("before")) == .accepted)
        try await orderer.published(1)
        orderer.disk.breakDown()
        let lost = try self.network.envelope("lost")
        let first = try await orderer.broadcast(lost)
        #expect(first.status == .serviceUnavailable)
        #expect(first.info.contains("/disk/") && first.info.contains("safe to resubmit"))
        let second = try await orderer.broadcast(self.network.envelope("refused"))
        #expect(second.status == .serviceUnavailable)
        orderer.disk.repair()
        await orderer.ready()
        #expect(try await orderer.broadcast(lost) == .accepted)
        try await orderer.published(2)
        #expect(orderer.channel.feed.height == 3)
        await orderer.stop()
    }
}
