import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf
import Synchronization
import Testing

@testable import Orderer

/// A node that copies a channel from its orderers.
@Suite struct FollowerTests {
    /// Orderers that send these blocks, each time it is asked the next of the given chains.
    private final class CannedOrderers: BlockNetwork {
        private let chains: Mutex<[[Common_Block]]>

        init(_ chains: [[Common_Block]]) { self.chains = Mutex(chains) }

        func run(_ pull: BlockPull) {
            let chain = self.chains.withLock { chains in
                chains.count > 1 ? chains.removeFirst() : chains.first ?? []
            }
            guard let start = pull.seek?.start.specified.number else { return }
            Task {
                for block in chain where block.header.number >= start {
                    guard await pull.put(block) else { return }
                }
            }
        }
    }

    /// A chain of five blocks, of which the fourth is a config block.
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

    private func follower(
        _ network: TestNetwork,
        join: Common_Block,
        _ orderers: CannedOrderers,
        serverKey: (@Sendable () -> PublicKey?)? = nil
    ) throws -> ChannelThread {
        let other = try Certificate(pem: network.ordererOrganization.issueTLS("orderer9")).publicKey
        var settings = OrderingChannel.Settings.forTests(network)
        settings.network = orderers
        settings.serverKey = serverKey ?? { other }
        let channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: join),
            settings: settings
        )
        let disk = FaultyDisk()
        return ChannelThread(channel: channel, join: join) {
            ChannelThread.Stores(log: disk.open("log"), consensus: disk.open("consensus"))
        }
    }

    @Test("all blocks through the one that it joined with are copied, and those behind; forged ones are not")
    func copies() async throws {
        let network = try TestNetwork()
        let blocks = try await self.chain(network)
        var unsigned = blocks[2]
        unsigned.setMetadata(.signatures, blocks[1].metadata(.signatures))
        var changed = blocks[1]
        changed.data.data = blocks[2].data.data
        let thread = try self.follower(
            network,
            join: blocks[3],
            CannedOrderers([
                [blocks[0], changed], [blocks[0], blocks[1], unsigned, blocks[3]], blocks,
            ])
        )
        thread.start()
        await thread.wait { thread.channel.feed.height == 5 }
        let standing = thread.channel.standing
        #expect(standing.relation == .follower && !standing.isOnboarding)
        #expect(thread.channel.configuration.orderer?.batch.maxMessageCount == 7)
        for block in blocks { #expect(try thread.channel.feed.block(block.header.number) == block) }
        try await thread.stop()
    }

    @Test("a node that gets the key of a consenter orders, also if no block comes")
    func ordersWithANewKey() async throws {
        let network = try TestNetwork()
        let key = Mutex(try Certificate(pem: network.ordererOrganization.issueTLS("orderer9")).publicKey)
        let thread = try self.follower(
            network,
            join: network.genesis,
            CannedOrderers([[network.genesis]]),
            serverKey: { key.withLock(\.self) }
        )
        thread.start()
        await thread.wait { thread.channel.feed.height == 1 }
        #expect(thread.channel.standing.relation == .follower)
        let consenter = try Certificate(pem: network.consenter).publicKey
        key.withLock { $0 = consenter }
        await thread.wait { thread.channel.standing.relation == .consenter }
        try await thread.stop()
    }

    @Test("a chain that does not hold the block that it joined with stops the channel")
    func refusesAnotherChain() async throws {
        let network = try TestNetwork()
        let blocks = try await self.chain(network)
        var join = blocks[3]
        join.header.previousHash = Data(repeating: 1, count: 32)
        let thread = try self.follower(network, join: join, CannedOrderers([blocks]))
        thread.start()
        await thread.wait {
            if case .halted = thread.channel.health { true } else { false }
        }
        #expect(thread.channel.feed.height == 0)
        #expect(thread.channel.feed.failure?.contains("is another one") == true)
        try await thread.stop()
    }
}
