import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Synchronization
import TestSupport
import Testing

@testable import Orderer

/// A channel's configuration changes while transactions flow.
@Suite struct LiveConfigurationTests {
    let network: TestNetwork

    init() throws { self.network = try TestNetwork() }

    /// The group of an organization as `configtxgen` makes it.
    private func group(_ name: String, _ organization: TestOrganization) throws -> Common_ConfigGroup {
        let genesis = try self.network.genesis(of: "other") { profile in
            profile.application?.organizations.append(
                .init(
                    name: name,
                    msp: try? organization.msp,
                    policies: .applicationOrganization("\(organization.mspID)")
                )
            )
        }
        let group = try genesis.configEnvelope().config.channelGroup.groups["Application"]?.groups[name]
        return try #require(group)
    }

    /// Tells a writer that it has written enough.
    private final class End: Sendable {
        let hasCome = Atomic(false)
    }

    @Test("organizations come and go while others' transactions flow, and nothing acknowledged is lost")
    func changesOrganizations() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let newcomer = try TestOrganization("NewMSP")
        let client = try newcomer.issue("user1", "client")
        let admin = try self.network.organization.issue("admin", "admin")
        let group = try self.group("New", newcomer)
        let network = self.network
        let end = End()

        let (accepted, statuses) = try await withThrowingTaskGroup(of: Int.self) { tasks in
            tasks.addTask {
                var accepted = 0
                while !end.hasCome.load(ordering: .relaxed) {
                    if try await orderer.broadcast(network.envelope()) == .accepted { accepted += 1 }
                }
                return accepted
            }
            var statuses: [Common_Status] = []
            func trySending() async throws {
                statuses.append(try await orderer.broadcast(network.envelope(by: client)).status)
            }
            func change(_ body: (inout Common_ConfigGroup) -> Void) async throws {
                let config = orderer.channel.configuration.config
                let answer = try await orderer.broadcast(network.update(from: config, admin: admin, body))
                #expect(answer == .accepted, "\(answer.info)")
            }
            try await trySending()
            try await change { $0.groups["Application"]?.groups["New"] = group }
            try await trySending()
            // Changed: its clients may write no more, its administrators may.
            try await changeByNewcomer(orderer, newcomer)
            try await trySending()
            // Two organizations are in the group now, and a majority of them has to agree.
            let config = orderer.channel.configuration.config
            let removal = try network.update(
                from: config,
                admins: [admin, newcomer.issue("admin", "admin")]
            ) { $0.groups["Application"]?.groups["New"] = nil }
            let answer = try await orderer.broadcast(removal)
            #expect(answer == .accepted, "\(answer.info)")
            try await trySending()
            end.hasCome.store(true, ordering: .relaxed)
            return (try await tasks.reduce(0, +), statuses)
        }
        #expect(statuses == [.forbidden, .success, .forbidden, .forbidden])
        #expect(accepted > 0)
        // One of the newcomer's is among them.
        try await orderer.published(accepted + 1)
        var transactions = 0
        for number in 1..<orderer.channel.feed.height {
            let block = try #require(try orderer.block(number))
            if !block.isConfigBlock { transactions += block.data.data.count }
        }
        #expect(transactions == accepted + 1)
        await orderer.stop()
    }

    private func changeByNewcomer(_ orderer: TestOrderer, _ newcomer: TestOrganization) async throws {
        let update = try self.network.update(
            from: orderer.channel.configuration.config,
            admin: newcomer.issue("admin", "admin")
        ) { group in
            let admins = group.groups["Application"]?.groups["New"]?.policies["Admins"]?.policy
            group.groups["Application"]?.groups["New"]?.policies["Writers"]?.policy = admins ?? .init()
        }
        let answer = try await orderer.broadcast(update)
        #expect(answer == .accepted, "\(answer.info)")
    }

    @Test("an orderer organization is added and removed")
    func changesOrdererOrganizations() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let newcomer = try TestOrganization("NewMSP")
        let admins = [self.network.ordererAdmin, try newcomer.issue("admin", "admin")]
        let genesis = try self.network.genesis(of: "other") { profile in
            profile.orderer?.organizations.append(
                .init(
                    name: "New",
                    msp: try? newcomer.msp,
                    policies: .ordererOrganization("NewMSP"),
                    ordererEndpoints: ["localhost:7051"]
                )
            )
        }
        let group = try genesis.configEnvelope().config.channelGroup.groups["Orderer"]?.groups["New"]
        for member in [group, nil] {
            let update = try self.network.update(from: orderer.channel.configuration.config, admins: admins) {
                $0.groups["Orderer"]?.groups["New"] = member
            }
            let answer = try await orderer.broadcast(update)
            #expect(answer == .accepted, "\(answer.info)")
            let count = orderer.channel.configuration.orderer?.organizations.count
            #expect(count == (member == nil ? 1 : 2))
        }
        #expect(try await orderer.broadcast(self.network.envelope()) == .accepted)
        await orderer.stop()
    }

    @Test("a shorter batch timeout holds from the next batch on")
    func changesTheTimeout() async throws {
        let network = try TestNetwork(maxMessageCount: 100, timeout: .seconds(3600))
        let orderer = try TestOrderer(network, cutting: .fabric)
        await orderer.ready()
        let update = try network.update(from: orderer.channel.configuration.config) { group in
            var timeout = Orderer_BatchTimeout()
            timeout.timeout = "10ms"
            group.groups["Orderer"]?.values["BatchTimeout"]?.value = try timeout.serializedBytes()
        }
        #expect(try await orderer.broadcast(update) == .accepted)
        // Would wait for an hour.
        #expect(try await orderer.broadcast(network.envelope()) == .accepted)
        await orderer.stop()
    }

    @Test("the consenter's TLS certificate is renewed, and the channel goes on, also after a restart")
    func renewsTheConsentersCertificate() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let renewed = try self.network.ordererOrganization.issueTLS("orderer0")
        let update = try self.network.update(from: orderer.channel.configuration.config) { group in
            let value = group.groups["Orderer"]?.values["ConsensusType"]?.value ?? Data()
            var type = try Orderer_ConsensusType(serializedBytes: value)
            var metadata = try Etcdraft_ConfigMetadata(serializedBytes: type.metadata)
            metadata.consenters[0].clientTlsCert = renewed
            metadata.consenters[0].serverTlsCert = renewed
            type.metadata = try metadata.serializedBytes()
            group.groups["Orderer"]?.values["ConsensusType"]?.value = try type.serializedBytes()
        }
        #expect(try await orderer.broadcast(update) == .accepted)
        #expect(try await orderer.broadcast(self.network.envelope()) == .accepted)
        await orderer.reached(3)
        let blocks = try (1...2).map { try #require(try orderer.block($0)) }
        let metadata = try blocks.map { try #require(try ConsenterMetadata(of: $0)) }
        #expect(metadata.map(\.identifiers) == [[1], [1]])
        await orderer.stop()

        let restarted = try TestOrderer(self.network, disk: orderer.disk)
        await restarted.ready()
        #expect(try await restarted.broadcast(self.network.envelope()) == .accepted)
        await restarted.reached(4)
        #expect(restarted.channel.feed.height == 4)
        await restarted.stop()
    }

    @Test("a refusal names the element, the policy, and what every signature was good for")
    func explainsRefusals() async throws {
        let orderer = try TestOrderer(self.network)
        await orderer.ready()
        let config = orderer.channel.configuration.config
        let update = try self.network.update(
            from: config,
            admins: [
                self.network.orderer, self.network.client, try self.network.stranger.issue("a", "admin"),
            ]
        ) { group in
            var timeout = Orderer_BatchTimeout()
            timeout.timeout = "7s"
            group.groups["Orderer"]?.values["BatchTimeout"]?.value = try timeout.serializedBytes()
        }
        let answer = try await orderer.broadcast(update)
        #expect(answer.status == .badRequest)
        for part in [
            "channel 'trade'", "value /Channel/Orderer/BatchTimeout", "policy /Channel/Orderer/Admins",
            "MAJORITY Admins requires 1 of 1 groups", "OrdererMSP.admin", "orderer0", "user1", "StrangerMSP",
        ] {
            #expect(answer.info.contains(part), "\(part) is not in: \(answer.info)")
        }
        await orderer.stop()
    }

    @Test("a channel that requires a capability of a later version stops with its name, and the others go on")
    func stopsAtUnknownCapabilities() async throws {
        let folder = TestRegistrar.newFolder()
        let future = try self.network.genesis(of: "future") { $0.orderer?.capabilities = ["V2_0", "V9_9"] }
        let node = try TestRegistrar(
            self.network,
            folder: folder,
            genesisBlocks: [self.network.genesis, future]
        )
        let channel = try #require(node.registrar.channels["future"])
        await channel.opened()
        guard case .halted(let reason) = channel.health else {
            Issue.record("\(channel.health)")
            return
        }
        #expect(reason.contains("Orderer capability V9_9"))
        #expect(try await node.order("a", on: "future").status == .serviceUnavailable)
        #expect(try await node.order("a", on: "trade") == .accepted)
        #expect(try node.registrar.info("future").status == .inactive)
        try await node.end()
    }
}
