import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// What Deliver sends, over a chain of four blocks: genesis, one, one, and a configuration.
@Suite struct DeliverTests {
    let network: TestNetwork

    init() throws { self.network = try TestNetwork() }

    private func withOrderer(
        requiresClientCertificates: Bool = false,
        _ body: (TestOrderer) async throws -> Void
    ) async throws {
        let orderer = try TestOrderer(self.network, requiresClientCertificates: requiresClientCertificates)
        await orderer.ready()
        for _ in 0..<2 { #expect(try await orderer.broadcast(self.network.envelope()) == .accepted) }
        let config = orderer.channel.configuration.config
        let update = try self.network.batchSizeUpdate(from: config, maxMessageCount: 20)
        #expect(try await orderer.broadcast(update) == .accepted)
        await orderer.reached(4)
        try await body(orderer)
        await orderer.stop()
    }

    private func seek(
        _ start: Orderer_SeekPosition,
        _ stop: Orderer_SeekPosition,
        waits: Bool = true,
        _ content: Orderer_SeekInfo.SeekContentType = .block
    ) -> Orderer_SeekInfo {
        Orderer_SeekInfo(
            from: start,
            to: stop,
            behavior: waits ? .blockUntilReady : .failIfNotReady,
            contentType: content
        )
    }

    private func status(_ responses: [Orderer_DeliverResponse]) -> Common_Status? {
        if case .status(let status) = responses.last?.type { status } else { nil }
    }

    private func numbers(_ responses: [Orderer_DeliverResponse]) -> [UInt64] {
        responses.compactMap { if case .block(let block) = $0.type { block.header.number } else { nil } }
    }

    @Test("blocks from start to stop, then one status; the chain holds together")
    func delivers() async throws {
        try await self.withOrderer { orderer in
            let responses = try await orderer.deliver([
                self.network.seek(self.seek(.oldestBlock, .newestBlock))
            ])
            #expect(self.numbers(responses) == [0, 1, 2, 3])
            #expect(self.status(responses) == .success)
            var previous: Common_BlockHeader?
            for response in responses.dropLast() {
                try response.block.checkStructure(after: previous, expected: response.block.header.number)
                previous = response.block.header
            }
        }
    }

    @Test("requests on one stream are answered one after the other")
    func answersSeveralRequests() async throws {
        try await self.withOrderer { orderer in
            let responses = try await orderer.deliver([
                self.network.seek(self.seek(.newestBlock, .newestBlock)),
                self.network.seek(self.seek(.block(1), .block(2))),
            ])
            #expect(self.numbers(responses) == [3, 1, 2])
            #expect(responses.count == 5)
        }
    }

    @Test("header and signatures only: data is absent, but config blocks come whole")
    func deliversHeaders() async throws {
        try await self.withOrderer { orderer in
            let responses = try await orderer.deliver([
                self.network.seek(self.seek(.oldestBlock, .newestBlock, .headerWithSig))
            ])
            let blocks = responses.dropLast().map(\.block)
            #expect(blocks.map(\.hasData) == [true, false, false, true])
            #expect(blocks.allSatisfy { $0.metadata.metadata.count == 5 && $0.hasHeader })
        }
    }

    @Test("a request that does not wait ends with NOT_FOUND after the blocks that there are")
    func failsIfNotReady() async throws {
        try await self.withOrderer { orderer in
            let responses = try await orderer.deliver([
                self.network.seek(self.seek(.block(2), .block(.max), waits: false))
            ])
            #expect(self.numbers(responses) == [2, 3])
            #expect(self.status(responses) == .notFound)
        }
    }

    @Test("a request for the next block waits for it")
    func waits() async throws {
        try await self.withOrderer { orderer in
            async let responses = orderer.deliver([self.network.seek(self.seek(.nextCommitted, .block(4)))])
            #expect(try await orderer.broadcast(self.network.envelope()) == .accepted)
            let received = try await responses
            #expect(self.numbers(received).last == 4 || self.status(received) == .badRequest)
        }
    }

    @Test("what can't be answered has Fabric's status, and ends the stream")
    func refuses() async throws {
        try await self.withOrderer { orderer in
            let all = self.seek(.oldestBlock, .newestBlock)
            let expired = try self.network.organization.issue("late", "client", expiresIn: -60)
            let stranger = try self.network.stranger.issue("user1", "client")
            var wrong = try self.network.seek(all)
            wrong.signature = try self.network.seek(all).signature
            var garbled = try self.network.envelope("garbage \u{7f}", type: .deliverSeekInfo)
            garbled.payload = Data([0xff])
            let cases: [(Common_Envelope, Common_Status)] = [
                (garbled, .badRequest),
                (try self.network.envelope("no seek info", type: .deliverSeekInfo), .badRequest),
                (try self.network.seek(all, channel: "elsewhere"), .notFound),
                (try self.network.seek(all, at: Date(timeIntervalSinceNow: -1000)), .badRequest),
                (try self.network.seek(all, at: Date(timeIntervalSinceNow: 1000)), .badRequest),
                (try self.network.seek(Orderer_SeekInfo()), .badRequest),
                (try self.network.seek(self.seek(.block(3), .block(2))), .badRequest),
                (try self.network.seek(self.seek(.block(99), .block(100))), .notFound),
                (try self.network.seek(all, by: stranger), .forbidden),
                (try self.network.seek(all, by: expired), .forbidden),
                (wrong, .forbidden),
            ]
            for (request, status) in cases {
                let responses = try await orderer.deliver([request, self.network.seek(all)])
                #expect(responses.count == 1)
                #expect(self.status(responses) == status)
            }
        }
    }

    @Test("with mutual TLS a request without a client certificate is BAD_REQUEST")
    func requiresBinding() async throws {
        try await self.withOrderer(requiresClientCertificates: true) { orderer in
            let responses = try await orderer.deliver([
                self.network.seek(self.seek(.oldestBlock, .newestBlock))
            ])
            #expect(self.status(responses) == .badRequest)
        }
    }

    @Test("with mutual TLS the hash in the request must be that of the certificate")
    func checksBinding() throws {
        let certificate = Data(repeating: 7, count: 32)
        let seek = self.seek(.oldestBlock, .newestBlock)
        for (hash, isAccepted) in [
            (certificate, true), (Data(), false), (Data(repeating: 8, count: 32), false),
        ] {
            let request = try self.network.seek(seek, tlsCertificateHash: hash)
            let outcome = Result { () throws(Refusal) in
                try DeliverRequest(
                    request,
                    binding: .certificate(hash: certificate),
                    window: .seconds(900),
                    now: Date()
                )
            }
            if isAccepted {
                #expect(throws: Never.self) { try outcome.get() }
            } else {
                #expect(throws: Refusal.self) { try outcome.get() }
            }
        }
    }

    @Test("a configuration that takes the right away ends a running stream with FORBIDDEN")
    func reevaluatesAccess() async throws {
        try await self.withOrderer { orderer in
            async let responses = orderer.deliver([self.network.seek(self.seek(.block(3), .block(.max)))])
            let config = orderer.channel.configuration.config
            let admin = try self.network.organization.issue("admin", "admin")
            let update = try self.network.update(from: config, admin: admin) { group in
                // Nobody of Org1 may read any more.
                var nobody = Common_SignaturePolicyEnvelope()
                nobody.rule.nOutOf.n = 1
                var policy = Common_Policy()
                policy.type = Int32(Common_Policy.PolicyType.signature.rawValue)
                policy.value = try nobody.serializedBytes()
                group.groups["Application"]?.groups["Org1"]?.policies["Readers"]?.policy = policy
            }
            #expect(try await orderer.broadcast(update) == .accepted)
            _ = try await orderer.broadcast(self.network.envelope())
            let received = try await responses
            #expect(self.status(received) == .forbidden)
        }
    }

    @Test("before there is a leader a strict request is SERVICE_UNAVAILABLE, one of best effort is served")
    func refusesWithoutLeader() async throws {
        try await self.withOrderer { orderer in
            orderer.channel.feed.report(failure: "no leader")
            var seek = self.seek(.oldestBlock, .newestBlock)
            let strict = try await orderer.deliver([self.network.seek(seek)])
            #expect(self.status(strict) == .serviceUnavailable)
            seek.errorResponse = .bestEffort
            let lenient = try await orderer.deliver([self.network.seek(seek)])
            #expect(self.status(lenient) == .success)
        }
    }

    @Test("old blocks come from the disk, byte for byte as from memory")
    func readsFromDisk() async throws {
        try await self.withOrderer { orderer in
            let all = self.seek(.oldestBlock, .newestBlock)
            let fromMemory = try await orderer.deliver([self.network.seek(all)])
            await orderer.stop()
            let restarted = try TestOrderer(self.network, disk: orderer.disk)
            await restarted.ready()
            let fromDisk = try await restarted.deliver([self.network.seek(all)])
            #expect(fromMemory == fromDisk)
            await restarted.stop()
        }
    }
}
