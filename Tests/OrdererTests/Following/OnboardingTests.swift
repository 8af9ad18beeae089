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
    private final class Orderers: BlockNetwork {
        private let chains: Mutex<[String: [Common_Block]]>
        private let staysOpen: Bool

        init(_ chains: [String: [Common_Block]], staysOpen: Bool = false) {
            self.chains = Mutex(chains)
            self.staysOpen = staysOpen
        }

        func run(_ pull: BlockPull) {
            let chain = self.chains.withLock { $0[pull.source.address] ?? [] }
            guard let seek = pull.seek else { return }
            for block in chain where block.header.number >= seek.start.specified.number {
                _ = pull.offer(block)
            }
            if !self.staysOpen { pull.end(BlocksRefused(status: .notFound)) }
        }
    }

    /// Five blocks of a channel with four consenters, of which the fourth is a config block.
    private func chain(_ network: TestNetwork) throws -> [Common_Block] {
        let certificates = try (1...4).map { try network.ordererOrganization.issueTLS("orderer\($0)") }
        let genesis = try network.genesis(of: "trade", certificates: certificates) { profile in
            profile.orderer?.organizations[0].ordererEndpoints = Self.addresses
        }
        var config = try genesis.configEnvelope()
        config.config.sequence += 1
        let change = try Common_Envelope.signed(
            .config,
            channel: "trade",
            data: config.serializedBytes(),
            signer: network.ordererAdmin,
            nonce: Data(repeating: 2, count: 24),
            timestamp: Date()
        )
        var blocks = [genesis]
        for envelope in [try network.envelope(), try network.envelope(), change, try network.envelope()] {
            var block = Common_Block.next(
                after: blocks.last?.header,
                envelopes: [try envelope.serializedBytes()]
            )
            try block.sign(
                lastConfig: block.header.number < 3 ? 0 : 3,
                consenterMetadata: Data(),
                by: network.orderer,
                nonce: Data(repeating: 3, count: 24)
            )
            blocks.append(block)
        }
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

    private func expectCopied(_ blocks: [Common_Block], by thread: ChannelThread) async throws {
        thread.start()
        let channel = thread.channel
        await thread.wait { channel.feed.height == 5 && !channel.standing.isOnboarding }
        for block in blocks { #expect(try channel.feed.block(block.header.number) == block) }
        #expect(channel.configuration.sequence == 1)
        try await thread.stop()
    }

    @Test(
        "one orderer that gives a channel of its own making, whole or in part, doesn't keep a node from joining"
    )
    func joinsBesideALiar() async throws {
        let network = try TestNetwork()
        let honest = try self.chain(network)
        let forged = try self.chain(TestNetwork())
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
        let network = try TestNetwork()
        let honest = try self.chain(network)
        let forged = try self.chain(TestNetwork())
        let disk = FaultyDisk()
        try BlockLog(store: disk.open("log")).append(Array(forged.prefix(3)))
        let chains = Dictionary(uniqueKeysWithValues: Self.addresses.map { ($0, honest) })
        let thread = try self.joining(network, join: honest[3], Orderers(chains), disk: disk)
        try await self.expectCopied(honest, by: thread)
    }

    @Test("a block of another channel than the orderers have stops the channel")
    func refusesAnotherChannel() async throws {
        let network = try TestNetwork()
        let honest = try self.chain(network)
        let other = try self.chain(TestNetwork())
        let chains = Dictionary(uniqueKeysWithValues: Self.addresses.map { ($0, other) })
        let thread = try self.joining(network, join: honest[3], Orderers(chains))
        thread.start()
        let channel = thread.channel
        await thread.wait { if case .halted = channel.health { true } else { false } }
        #expect(channel.feed.failure?.contains("is another one") == true)
        try await thread.stop()
    }

    @Test("an orderer that falls silent is left while a node joins")
    func leavesASilentOrderer() async throws {
        let network = try TestNetwork()
        let honest = try self.chain(network)
        var chains = Dictionary(uniqueKeysWithValues: Self.addresses.map { ($0, Array(honest.prefix(2))) })
        chains[Self.addresses[3]] = honest
        let thread = try self.joining(network, join: honest[3], Orderers(chains, staysOpen: true))
        try await self.expectCopied(honest, by: thread)
    }
}
