import Channel
import FabricProtos
import Foundation
import KeyValueStore
import Ledger
import Synchronization
import Testing

@testable import Peer

@Suite struct ChannelRegistryTests {
    @Test func joinsAChannelFromItsGenesisBlockOnce() throws {
        let registry = VectorNetwork.registry()
        let genesis = try VectorNetwork.chain("side")[0]
        let channel = try registry.join(genesis)
        #expect(channel.ledger.height == 1)
        #expect(registry.list.map(\.id.description) == ["vecside"])
        #expect(throws: JoinError.self) { try registry.join(genesis) }
    }

    @Test func refusesBlocksThatNoChannelStartsFrom() throws {
        let registry = VectorNetwork.registry()
        let chain = try VectorNetwork.chain("side")
        #expect(throws: JoinError.self) { try registry.join(chain[1]) }
        var renamed = chain[0]
        renamed.data.data = [Data("no envelope".utf8)]
        #expect(throws: JoinError.self) { try registry.join(renamed) }
        #expect(throws: JoinError.self) { try registry.join(Common_Block()) }
        #expect(registry.list.isEmpty)
    }

    @Test func opensWhatWasJoinedBefore() throws {
        let stores = LedgerStores.inMemory()
        let genesis = try VectorNetwork.chain("side")[0]
        let first = ChannelRegistry { try Ledger(channelID: $0, stores: stores) }
        let id = try first.join(genesis).id
        let second = ChannelRegistry { try Ledger(channelID: $0, stores: stores) }
        #expect(try second.open(id)?.configuration.channelID == id)
        #expect(second[id] != nil)
    }

    @Test func joinsNoChannelOfTheSameNameThatBeganOtherwise() throws {
        let stores = LedgerStores.inMemory()
        let genesis = try VectorNetwork.chain("side")[0]
        _ = try ChannelRegistry { try Ledger(channelID: $0, stores: stores) }.join(genesis)
        let configuration = try ChannelConfiguration(configBlock: genesis)
        let other = try GenesisBlock.make(
            channelID: configuration.channelID,
            config: configuration.config,
            nonce: Data(count: 24),
            timestamp: Date(timeIntervalSince1970: 0)
        )
        let again = ChannelRegistry { try Ledger(channelID: $0, stores: stores) }
        #expect(throws: JoinError.self) { try again.join(other) }
        #expect(try again.join(genesis).ledger.height == 1)
    }

    @Test func anEmptyLedgerIsNoChannel() throws {
        let registry = VectorNetwork.registry()
        #expect(try registry.open(ChannelID("nothing")) == nil)
        #expect(registry.list.isEmpty)
    }

    @Test func announcesChannelsAsTheyAreJoined() async throws {
        let registry = VectorNetwork.registry()
        var joined = registry.joined().makeAsyncIterator()
        try registry.join(VectorNetwork.chain("side")[0])
        #expect(await joined.next()?.id.description == "vecside")
    }

    @Test func goesOnWithoutAChannelThatCannotBeOpened() async throws {
        let disk = Mutex(true)
        let stores = LedgerStores.inMemory()
        let genesis = try VectorNetwork.chain("side")[0]
        let id = try ChannelRegistry { try Ledger(channelID: $0, stores: stores) }.join(genesis).id
        let registry = ChannelRegistry { id in
            guard disk.withLock({ $0 }) else { return try Ledger(channelID: id, stores: stores) }
            throw Self.failure(.diskFull)
        }
        try registry.openStored(id)
        #expect(registry.list.isEmpty)
        let failure = try #require(registry.failure(of: id))
        #expect("\(failure)".contains("vecside") && "\(failure)".contains("disk full"))
        #expect(throws: JoinError.self) { try registry.join(genesis) }
        #expect(registry.failure(ofChannel: "vecside") != nil)

        disk.withLock { $0 = false }
        let opening = UnopenedChannels(
            channels: registry,
            disk: BlockingExecutor(name: "disk", threads: 1),
            logger: VectorNetwork.logger,
            firstPause: .milliseconds(1)
        )
        try await opening.openAll()
        #expect(registry[id]?.ledger.height == 1)
        #expect(registry.unopened.isEmpty)
    }

    @Test func doesNotTryAgainWhatOnlyAnOperatorCanMend() async throws {
        let registry = ChannelRegistry { _ in throw Self.failure(.damaged) }
        try registry.openStored(ChannelID("broken"))
        #expect(registry.unopened.map(\.mayPass) == [false])
        let opening = UnopenedChannels(
            channels: registry,
            disk: BlockingExecutor(name: "disk", threads: 1),
            logger: VectorNetwork.logger
        )
        try await opening.openAll()
        #expect(registry.unopened.count == 1)
    }

    @Test(arguments: [KeyValueStoreError.Code.locked, .notWritable])
    func aDataFolderThatIsOfNoUseIsNoMatterOfOneChannel(_ code: KeyValueStoreError.Code) throws {
        let registry = ChannelRegistry { _ in throw Self.failure(code) }
        #expect(throws: UnopenedChannel.self) { try registry.openStored(ChannelID("any")) }
    }

    private static func failure(_ code: KeyValueStoreError.Code) -> KeyValueStoreError {
        KeyValueStoreError(code: code, folder: "/disk", operation: "open", reason: "test")
    }
}
