import Channel
import Foundation
import Gossip
import Ledger
import Operations
import Testing

@testable import Peer

/// What a peer tells of the private data that it lacks: `/private` of its operations service.
@Suite struct PrivateDataReportTests {
    private let scene: PrivateDataScene

    init() async throws {
        self.scene = try await PrivateDataScene()
    }

    private func answer(_ method: String = "GET") async throws -> HTTPExchangeResponse {
        let route = PrivateDataRoute(
            channels: self.scene.registry,
            identity: RenewableIdentity(try VectorNetwork.peer("alpha")),
            link: self.scene.link,
            readers: BlockingExecutor(name: "test-read", threads: 1)
        ).route
        #expect(route.path == "/private" && route.requiresClientCertificate)
        return await route.answer(HTTPExchangeRequest(method: method, path: "/private"))
    }

    /// What the report says of the one channel, and of the blocks that the test has committed.
    private func report() async throws -> PrivateDataReport.Channel {
        let answer = try await self.answer()
        #expect(answer.status == 200)
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        let report = try decoder.decode(PrivateDataReport.self, from: answer.body)
        #expect(report.channels.count == 1)
        return self.withoutRecorded(try #require(report.channels.first))
    }

    private func withoutRecorded(_ report: PrivateDataReport.Channel) -> PrivateDataReport.Channel {
        var report = report
        let count = report.missing.count
        report.missing.removeAll { $0.block < self.scene.start }
        report.total -= count - report.missing.count
        return report
    }

    @Test func nothingIsMissingOfWhatIsHereOrOfOthers() async throws {
        let bytes = self.scene.bytes
        self.scene.connect(ScriptedExchange { _ in PulledPrivateData(bytes: bytes) })
        try await self.scene.commit()
        try await self.scene.commit(to: PrivateDataScene.foreign)
        let report = try await self.report()
        #expect(report.channel == self.scene.channel.id.description)
        #expect(report.height == self.scene.channel.ledger.height)
        #expect(report.total == 0 && report.missing.isEmpty && report.idle == nil && report.interval == 60)
    }

    @Test func whatIsMissingIsToldWithWhoWasAskedAndWhyInVain() async throws {
        self.scene.connect(
            ScriptedExchange { _ in
                PulledPrivateData(
                    bytes: nil,
                    attempts: [.init(mspID: try? MSPID("BravoMSP"), peer: "peer1:7051", reason: "is silent")],
                    reason: "every peer that may have it was asked"
                )
            }
        )
        let (block, transaction) = try await self.scene.commit()
        let report = try await self.report()
        #expect(report.total == 1)
        let missing = try #require(report.missing.first)
        #expect(missing.block == block && missing.transaction == 0 && missing.transactionID == transaction)
        #expect(missing.contract == PrivateDataScene.contract && missing.collection == PrivateDataScene.own)
        #expect(
            missing.attempts == [.init(peer: "peer1:7051", organization: "BravoMSP", reason: "is silent")]
        )
        #expect(missing.reason == "every peer that may have it was asked" && missing.time != nil)
        let tried = try #require(missing.lastTried)
        #expect(missing.nextTry == tried + 60)

        var reconciler = try self.scene.reconciler()
        for pause in [60.0, 120] {
            _ = try await reconciler.run(now: .now + .seconds(10_000 * pause))
            let again = try #require(try await self.report().missing.first)
            #expect(again.nextTry == again.lastTried.map { $0 + pause })
        }
    }

    @Test func aPeerThatAsksNobodySaysWhy() async throws {
        try await self.scene.commit()
        let alone = try await self.report()
        #expect(alone.total == 1 && alone.idle == "the peer has no gossip")
        #expect(alone.missing.first?.lastTried == nil)
        var options = GossipOptions()
        options.reconciliationEnabled = false
        self.scene.link.connect(ScriptedExchange(), options: options)
        #expect(try await self.report().idle?.contains("reconciliationEnabled is false") == true)
    }

    @Test func whatThePeerIsNoMemberForAnyMoreIsToldAsSuch() async throws {
        self.scene.connect(ScriptedExchange())
        try await self.scene.commit(to: PrivateDataScene.foreign)
        try self.scene.channel.ledger.claimPrivateData { _, _ in true }
        let missing = try #require(try await self.report().missing.first)
        #expect(missing.reason.contains("AlphaMSP is no member of the collection any more"))
        #expect(missing.nextTry == nil)
    }

    @Test func dataOfBeforeTheMembershipIsMissingBeforeAnybodyIsAsked() async throws {
        self.scene.connect(ScriptedExchange())
        try await self.scene.commit(to: PrivateDataScene.foreign)
        let member = self.withoutRecorded(
            try PrivateDataReport.Channel(
                self.scene.channel,
                self.scene.link,
                RenewableIdentity(try VectorNetwork.peer("bravo"))
            )
        )
        #expect(member.missing.map(\.collection) == [PrivateDataScene.foreign])
        #expect(member.missing.first?.reason == "")
    }

    @Test func moreThanCanBeDescribedIsCounted() async throws {
        let before = try await self.report().total
        for _ in 0..<PrivateDataReport.describedLimit + 2 { try await self.scene.commit() }
        let report = try await self.report()
        #expect(before == 0 && report.total > PrivateDataReport.describedLimit)
        #expect(report.missing.count == PrivateDataReport.describedLimit)
        #expect(report.missing.first?.block == self.scene.channel.ledger.height - 1, "the newest first")
    }

    @Test func theAnswerHasNoPrivateDataAndNoHashes() async throws {
        try await self.scene.commit()
        let text = String(decoding: try await self.answer().body, as: UTF8.self)
        #expect(text.contains(PrivateDataScene.own))
        #expect(!text.contains("secret") && !text.contains("hash"))
    }

    @Test func onlyReadingIsOffered() async throws {
        let answer = try await self.answer("POST")
        #expect(answer.status == 405 && answer.body.isEmpty)
    }
}
