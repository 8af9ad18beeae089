import Channel
import Cryptography
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import Testing

@testable import Orderer

/// Whether a Raft consenter with empty stores and the genesis block founds the channel.
@Suite struct LateStartTests {
    /// Other orderers, all of which have this block as their newest one.
    private struct Others: BlockNetwork {
        let newest: Common_Block?

        func run(_ pull: BlockPull) {
            guard let newest else { return pull.end(BlocksRefused(status: .notFound)) }
            _ = pull.offer(newest)
        }
    }

    private let disk = FaultyDisk()

    /// The first of so many consenters.
    private func thread(of consenters: Int, othersHave height: BlockNumber) throws -> ChannelThread {
        let network = try TestNetwork()
        let certificates = try (1...consenters).map {
            try network.ordererOrganization.issueTLS("orderer\($0)")
        }
        let genesis = try network.genesis(of: network.channelID.description, certificates: certificates) {
            $0.orderer?.organizations[0].ordererEndpoints = ["localhost:7050", "localhost:7051"]
        }
        let key = try Certificate(pem: certificates[0]).publicKey
        var newest = genesis
        newest.header.number = height - 1
        var settings = OrderingChannel.Settings.forTests(network)
        settings.serverKey = { key }
        settings.network = Others(newest: newest)
        let channel = OrderingChannel(
            configuration: try ChannelConfiguration(configBlock: genesis),
            settings: settings
        )
        let disk = self.disk
        return ChannelThread(channel: channel, join: genesis) {
            ChannelThread.Stores(log: disk.open("log"), consensus: disk.open("consensus"))
        }
    }

    private func loss(_ thread: ChannelThread) throws -> LostStore? {
        let stores = try thread.openStores()
        return try thread.loss(BlockLog(store: stores.log), stores.consensus, isBFT: false)
    }

    @Test("looking at a channel's stores begins nothing")
    func looksOnly() throws {
        let thread = try self.thread(of: 3, othersHave: 5)
        try thread.check()
        #expect(try BlockLog(store: self.disk.open("log")).height == 0)
        #expect(try RaftStore(self.disk.open("consensus")).isEmpty)
    }

    @Test("when others have more blocks, it may have promised something")
    func forgets() throws {
        let thread = try self.thread(of: 3, othersHave: 5)
        try thread.check()
        #expect(try self.loss(thread) == nil)
        #expect(try RaftStore(self.disk.open("consensus")).isForgetful)
    }

    @Test("when nobody has more blocks, it founds the channel")
    func founds() throws {
        let thread = try self.thread(of: 3, othersHave: 1)
        try thread.check()
        #expect(try self.loss(thread) == nil)
        #expect(try RaftStore(self.disk.open("consensus")).isEmpty)
    }

    @Test(
        "when it ordered alone at first, and others have more blocks by now, it copies them and makes no second chain"
    )
    func copies() throws {
        let thread = try self.thread(of: 1, othersHave: 5)
        #expect(try self.loss(thread) == .blocks(height: 5))
        #expect(try RaftStore(self.disk.open("consensus")).isEmpty)
    }
}
