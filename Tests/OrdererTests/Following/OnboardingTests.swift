import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import Ledger
import SwiftProtobuf
import Synchronization
import Testing

@testable import Orderer

/// A node that joins a channel of which some orderers give it blocks of another one.
@Suite struct OnboardingTests {
    private static let addresses = (1...4).map { "localhost:705\($0)" }

    /// Orderers that give the blocks of the chain that each has, and then nothing more.
    private final class Orderers: ClusterNetwork {
        private let chains: Mutex<[String: [Common_Block]]>
        private let staysOpen: Bool

        init(_ chains: [String: [Common_Block]], staysOpen: Bool = false) {
            self.chains = Mutex(chains)
            self.staysOpen = staysOpen
        }

        func open(_ stream: any ClusterStream, rootsPEM: String) { stream.close() }

        func ask(
            _ member: ClusterMember,
            rootsPEM: String,
            patience: Duration,
            silent: @escaping @Sendable () -> Void
        ) {
            silent()
        }

        func run(_ pull: BlockPull) {
            let chain = self.chains.withLock { $0[pull.source.address] ?? [] }
            guard let request = try? pull.request(), let headers = try? EnvelopeHeaders(request),
                let seek = try? Orderer_SeekInfo(serializedBytes: headers.payload.data)
            else { return }
            for block in chain where block.header.number >= seek.start.specified.number {
                _ = pull.offer(block)
            }
            if !self.staysOpen { pull.end(BlocksRefused(status: .notFound)) }
        }
    }

    /// Five blocks, of which the fourth is a config block.
    private func chain(_ network: TestNetwork) async throws -> [Common_Block] {
        let orderer = try TestOrderer(network)
        await orderer.ready()
        for _ in 0..<2 { #expect(try await orderer.broadcast(network.envelope()) == .accepted) }
        let update = try network.batchSizeUpdate(
            from: orderer.channel.configuration.config,
            maxMessageCount: 7
        )
        #expect(try await orderer.broadcast(update) == .accepted)
        #expect(try await orderer.broadcast(network.envelope()) == .accepted)
        await orderer.reached(5)
        let blocks = try (0..<5).map { try #require(try orderer.block($0)) }
        await orderer.stop()
        return blocks
    }

    /// A joining node that asks the orderers in an order of its own for each `seed`.
    private func joining(
        _ network: TestNetwork,
        join: Common_Block,
        _ orderers: Orderers,
        disk: FaultyDisk = FaultyDisk(),
        seed: UInt64 = 0
    ) throws -> ChannelThread {
        let other = try Certificate(pem: network.ordererOrganization.issueTLS("orderer9")).publicKey
        var settings = OrderingChannel.Settings.forTests(network)
        settings.network = orderers
        settings.serverKey = { other }
        let asked = Mutex(seed)
        settings.random = {
            asked.withLock { state in
                state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
                return state ^ state >> 29
            }
        }
        let channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: join),
            settings: settings
        )
        return ChannelThread(channel: channel, join: join) {
            ChannelThread.Stores(log: disk.open("log"), consensus: disk.open("consensus"))
        }
    }

    private func wait(_ channel: OrderingChannel, until isDone: () -> Bool) async {
        while !isDone() {
            let version = channel.feed.find(0, insistsOnHealth: false).version
            if isDone() { return }
            await channel.feed.change(since: version)
        }
    }

    private func stop(_ thread: ChannelThread) async throws {
        thread.channel.stop()
        try await WorkerThreads(name: "wait", count: 1).run { thread.end.wait() }
    }

    private func expectCopied(_ blocks: [Common_Block], by thread: ChannelThread) async throws {
        thread.start()
        let channel = thread.channel
        await self.wait(channel) { channel.feed.height == 5 && !channel.standing.isOnboarding }
        for block in blocks { #expect(try channel.feed.block(block.header.number) == block) }
        #expect(channel.configuration.orderer?.batch.maxMessageCount == 7)
        try await self.stop(thread)
    }

    @Test(
        "one orderer that gives a channel of its own making, whole or in part, doesn't keep a node from joining"
    )
    func joinsBesideALiar() async throws {
        let network = try TestNetwork(ordererEndpoints: Self.addresses)
        let honest = try await self.chain(network)
        let forged = try await self.chain(TestNetwork(ordererEndpoints: Self.addresses))
        var other = honest[3]
        other.data.data = forged[3].data.data
        other.header = Common_Block.next(after: honest[2].header, envelopes: other.data.data).header
        var damaged = honest[1]
        damaged.data.data = honest[2].data.data
        let lies = [
            forged, Array(forged.prefix(3)), Array(forged.prefix(2)), Array(forged.prefix(1)),
            honest.prefix(3) + [other], [honest[0], damaged], [honest[0], forged[1]],
        ]
        for (index, lie) in lies.enumerated() {
            for seed in 0..<UInt64(6) {
                var chains = Dictionary(uniqueKeysWithValues: Self.addresses.map { ($0, honest) })
                chains[Self.addresses[0]] = lie
                try await self.expectCopied(
                    honest,
                    by: self.joining(
                        network,
                        join: honest[3],
                        Orderers(chains),
                        seed: UInt64(index) << 8 | seed
                    )
                )
            }
        }
    }

    @Test("what was copied of another channel before a crash is removed")
    func beginsAnewAfterACrash() async throws {
        let network = try TestNetwork(ordererEndpoints: Self.addresses)
        let honest = try await self.chain(network)
        let forged = try await self.chain(TestNetwork(ordererEndpoints: Self.addresses))
        let disk = FaultyDisk()
        try BlockLog(store: disk.open("log")).append(Array(forged.prefix(3)))
        let chains = Dictionary(uniqueKeysWithValues: Self.addresses.map { ($0, honest) })
        let thread = try self.joining(network, join: honest[3], Orderers(chains), disk: disk)
        try await self.expectCopied(honest, by: thread)
    }

    @Test("a block of another channel than the one that half of the orderers have stops the channel")
    func refusesAnotherChannel() async throws {
        let network = try TestNetwork(ordererEndpoints: Self.addresses)
        let honest = try await self.chain(network)
        let other = try await self.chain(TestNetwork(ordererEndpoints: Self.addresses))
        let chains = Dictionary(uniqueKeysWithValues: Self.addresses.map { ($0, other) })
        let thread = try self.joining(network, join: honest[3], Orderers(chains))
        thread.start()
        let channel = thread.channel
        await self.wait(channel) { if case .halted = channel.health { true } else { false } }
        #expect(channel.feed.failure?.contains("is another one") == true)
        try await self.stop(thread)
    }

    @Test("an orderer that falls silent is left while a node joins")
    func leavesASilentOrderer() async throws {
        let network = try TestNetwork(ordererEndpoints: Self.addresses)
        let honest = try await self.chain(network)
        var chains = Dictionary(uniqueKeysWithValues: Self.addresses.map { ($0, Array(honest.prefix(2))) })
        chains[Self.addresses[3]] = honest
        let thread = try self.joining(network, join: honest[3], Orderers(chains, staysOpen: true))
        try await self.expectCopied(honest, by: thread)
    }
}
