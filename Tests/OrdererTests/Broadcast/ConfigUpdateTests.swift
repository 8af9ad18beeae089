import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

@testable import Orderer

/// Configuration updates, from the client's envelope to the block.
@Suite struct ConfigUpdateTests {
    let network: TestNetwork

    init() throws { self.network = try TestNetwork() }

    @Test("an update becomes a CONFIG transaction, alone in its block, which is in force from then on")
    func becomesABlock() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let update = try self.network.batchSizeUpdate(
            from: orderer.channel.configuration.config,
            maxMessageCount: 3
        )
        let before = try (0..<5).map { try self.network.envelope("before \($0)") }
        let after = try (0..<5).map { try self.network.envelope("after \($0)") }
        let answers = try await orderer.broadcast(before + [update] + after)
        #expect(answers.allSatisfy { $0 == .accepted })
        #expect(answers.count == 11)

        try await orderer.published(10)
        var blocks: [Common_Block] = []
        for number in 1..<orderer.channel.feed.height {
            blocks.append(try #require(try orderer.block(number)))
        }
        let configs = blocks.filter(\.isConfigBlock)
        let config = try #require(configs.first)
        #expect(configs.count == 1)
        #expect(try config.lastConfigNumber() == config.header.number)
        for block in blocks where block.header.number > config.header.number {
            #expect(try block.lastConfigNumber() == config.header.number)
            #expect(block.data.data.count <= 3)
        }
        let content = try config.configEnvelope()
        #expect(content.config.sequence == 1)
        #expect(content.lastUpdate == update)
        #expect(orderer.channel.configuration.orderer?.batch.maxMessageCount == 3)

        let headers = try EnvelopeHeaders(Common_Envelope(serializedBytes: config.data.data[0]))
        #expect(headers.channel.version == 0 && headers.channel.txID.isEmpty)
        #expect(headers.channel.timestamp.nanos == 0)
        #expect(headers.signature.creator == self.network.orderer.serialized)
        await orderer.stop()

        let restarted = try TestOrderer(self.network, disk: orderer.disk)
        await restarted.ready()
        #expect(restarted.channel.configuration.sequence == 1)
        await restarted.stop()
    }

    @Test("an update without the signatures that it needs is BAD_REQUEST, and the element is named")
    func needsSignatures() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let update = try self.network.batchSizeUpdate(
            from: orderer.channel.configuration.config,
            maxMessageCount: 3,
            admin: self.network.client
        )
        let answer = try await orderer.broadcast(update)
        #expect(answer.status == .badRequest)
        #expect(answer.info.contains("/Channel/Orderer/BatchSize"))
        await orderer.stop()
    }

    @Test("an update that has been applied is BAD_REQUEST when it is sent again")
    func refusesReplay() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let update = try self.network.batchSizeUpdate(
            from: orderer.channel.configuration.config,
            maxMessageCount: 3
        )
        #expect(try await orderer.broadcast(update) == .accepted)
        await orderer.reached(2)
        #expect(try await orderer.broadcast(update).status == .badRequest)
        await orderer.stop()
    }

    @Test("of two updates sent together the second is checked again and gets its real status")
    func rechecksTheSecond() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let config = orderer.channel.configuration.config
        let updates = try [3, 4].map { try self.network.batchSizeUpdate(from: config, maxMessageCount: $0) }
        let answers = try await orderer.broadcast(updates)
        #expect(answers.map(\.status) == [.success, .badRequest])
        #expect(orderer.channel.configuration.sequence == 1)
        await orderer.stop()
    }

    @Test("an update sent by who is no writer is FORBIDDEN")
    func needsAWriter() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let stranger = try self.network.stranger.issue("user1", "client")
        let update = try self.network.update(from: orderer.channel.configuration.config, sender: stranger) {
            group in
            group.groups["Orderer"]?.values["BatchSize"]?.modPolicy = "Writers"
        }
        #expect(try await orderer.broadcast(update).status == .forbidden)
        await orderer.stop()
    }

    @Test("consensus metadata that nobody could order with is BAD_REQUEST", arguments: Broken.allCases)
    func refusesBrokenConsensus(broken: Broken) async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let update = try self.network.update(from: orderer.channel.configuration.config) { group in
            let value = group.groups["Orderer"]?.values["ConsensusType"]?.value ?? Data()
            var type = try Orderer_ConsensusType(serializedBytes: value)
            var metadata = try Etcdraft_ConfigMetadata(serializedBytes: type.metadata)
            try broken.apply(&metadata, self.network)
            type.metadata = try metadata.serializedBytes()
            group.groups["Orderer"]?.values["ConsensusType"]?.value = try type.serializedBytes()
        }
        let answer = try await orderer.broadcast(update)
        #expect(answer.status == .badRequest)
        #expect(answer.info.contains(broken.reason), "\(answer.info)")
        await orderer.stop()
    }

    enum Broken: CaseIterable, Sendable {
        case noConsenters, twoMore, garbage, foreign, expired, electionBelowHeartbeat, noTick

        func apply(_ metadata: inout Etcdraft_ConfigMetadata, _ network: TestNetwork) throws {
            func add(_ certificate: Data) {
                var consenter = Etcdraft_Consenter()
                consenter.host = "localhost"
                consenter.clientTlsCert = certificate
                consenter.serverTlsCert = certificate
                metadata.consenters.append(consenter)
            }
            let orderers = network.ordererOrganization
            switch self {
            case .noConsenters: metadata.consenters = []
            case .twoMore:
                add(try orderers.issueTLS("second"))
                add(try orderers.issueTLS("third"))
            case .garbage: metadata.consenters[0].serverTlsCert = Data("garbage".utf8)
            case .foreign:
                metadata.consenters[0].serverTlsCert = try network.organization.issueTLS("orderer0")
            case .expired:
                metadata.consenters = []
                add(try orderers.issueTLS("orderer0", expiresIn: -10))
            case .electionBelowHeartbeat:
                metadata.options.electionTick = 1
                metadata.options.heartbeatTick = 5
            case .noTick: metadata.options.tickInterval = "soon"
            }
        }

        var reason: String {
            switch self {
            case .noConsenters: "empty consenter set"
            case .twoMore: "add 2 node(s), remove 0 node(s)"
            case .garbage: "the tls server certificate of a consenter can't be read"
            case .foreign: "verifying the tls server certificate"
            case .expired: "is outside of"
            case .electionBelowHeartbeat: "ElectionTick (1) must be greater than HeartbeatTick (5)"
            case .noTick: "TickInterval"
            }
        }
    }

    @Test("in maintenance mode normal envelopes are SERVICE_UNAVAILABLE")
    func entersMaintenance() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let update = try self.network.update(from: orderer.channel.configuration.config) { group in
            let value = group.groups["Orderer"]?.values["ConsensusType"]?.value ?? Data()
            var type = try Orderer_ConsensusType(serializedBytes: value)
            type.state = .maintenance
            group.groups["Orderer"]?.values["ConsensusType"]?.value = try type.serializedBytes()
        }
        #expect(try await orderer.broadcast(update) == .accepted)
        await orderer.reached(2)
        #expect(try await orderer.broadcast(self.network.envelope()).status == .serviceUnavailable)
        let seek = try self.network.seek(Orderer_SeekInfo(from: .oldestBlock, to: .newestBlock))
        let responses = try await orderer.deliver([seek])
        #expect(responses.last?.status == .forbidden)
        await orderer.stop()
    }

    @Test("an unknown capability of the orderers is BAD_REQUEST, and named")
    func refusesUnknownCapabilities() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let answer = try await self.requireUnknownCapability(
            "Orderer",
            self.network.ordererAdmin,
            of: orderer
        )
        #expect(answer.status == .badRequest)
        #expect(answer.info.contains("V9_9"))
        await orderer.stop()
    }

    @Test("an unknown capability of the application is the peers' matter, as in Fabric")
    func leavesCapabilitiesOfTheApplicationToPeers() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let admin = try self.network.organization.issue("admin", "admin")
        #expect(try await self.requireUnknownCapability("Application", admin, of: orderer) == .accepted)
        await orderer.reached(2)
        #expect(orderer.channel.configuration.capabilities.application == ["V9_9"])
        #expect(try await orderer.broadcast(self.network.envelope()) == .accepted)
        await orderer.stop()
    }

    /// Has a group of the channel's configuration require a capability that nobody knows.
    private func requireUnknownCapability(
        _ name: String,
        _ admin: SigningIdentity,
        of orderer: TestOrderer
    ) async throws -> Orderer_BroadcastResponse {
        let update = try self.network.update(from: orderer.channel.configuration.config, admin: admin) {
            group in
            var capabilities = Common_Capabilities()
            capabilities.capabilities = ["V9_9": Common_Capability()]
            group.groups[name]?.values["Capabilities"]?.value = try capabilities.serializedBytes()
        }
        return try await orderer.broadcast(update)
    }
}
