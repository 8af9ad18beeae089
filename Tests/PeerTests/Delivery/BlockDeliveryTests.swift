import Channel
import FabricProtos
import Foundation
import GRPCCore
import GRPCInProcessTransport
import KeyValueStore
import Ledger
import SwiftProtobuf
import Synchronization
import Testing

@testable import Peer

@Suite struct BlockDeliveryTests {
    /// An orderer that answers each request with the next of the prepared answers.
    private final class Orderer: Orderer_AtomicBroadcast.SimpleServiceProtocol {
        struct Answer: Sendable {
            var blocks: [Common_Block]
            var status: Common_Status?
        }

        private let answers: Mutex<[Answer]>
        let seeks = Mutex<[Orderer_SeekInfo]>([])

        init(_ answers: [Answer]) {
            self.answers = Mutex(answers)
        }

        func broadcast(
            request: RPCAsyncSequence<Common_Envelope, any Error>,
            response: RPCWriter<Orderer_BroadcastResponse>,
            context: ServerContext
        ) async throws {}

        func deliver(
            request: RPCAsyncSequence<Common_Envelope, any Error>,
            response: RPCWriter<Orderer_DeliverResponse>,
            context: ServerContext
        ) async throws {
            for try await envelope in request {
                let headers = try EnvelopeHeaders(envelope)
                let seek = try Orderer_SeekInfo(serializedBytes: headers.payload.data)
                self.seeks.withLock { $0.append(seek) }
                let answer = self.answers.withLock { $0.isEmpty ? nil : $0.removeFirst() }
                for block in answer?.blocks ?? [] {
                    try await response.write(.with { $0.block = block })
                }
                if let status = answer?.status { try await response.write(.with { $0.status = status }) }
            }
        }
    }

    /// Runs `orderer` and a delivery from it until block `last` is committed.
    private func deliver(from orderer: Orderer, to channel: PeerChannel, until last: UInt64) async throws {
        let (servers, addServer) = AsyncStream.makeStream(of: InProcessTransport.Server.self)
        let delivery = BlockDelivery(
            channel: channel,
            pipeline: try VectorNetwork.pipeline(channel),
            signer: RenewableIdentity(try VectorNetwork.peer("alpha")),
            certificateHash: { Data() },
            options: .init(firstPause: .milliseconds(1), longestPause: .milliseconds(5)),
            disk: BlockingExecutor(name: "disk", threads: 1),
            logger: VectorNetwork.logger
        ) { _ in
            let transport = InProcessTransport()
            addServer.yield(transport.server)
            return transport.client
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for await server in servers {
                        group.addTask {
                            try? await GRPCServer(transport: server, services: [orderer]).serve()
                        }
                    }
                    group.cancelAll()
                }
            }
            group.addTask { await delivery.run() }
            group.addTask {
                // Waiting fails while the channel is suspended.
                while channel.ledger.height <= last, !Task.isCancelled {
                    try? await channel.committed.waitForBlock(last)
                    await Task.yield()
                }
            }
            await group.next()
            group.cancelAll()
        }
    }

    @Test func goesOnWhereItWasWhenAnOrdererFails() async throws {
        let chain = try VectorNetwork.chain("side")
        let channel = try VectorNetwork.registry().join(chain[0])
        let orderer = Orderer([
            .init(blocks: [chain[1]], status: .serviceUnavailable),
            .init(blocks: [], status: .notFound),
            .init(blocks: [chain[2]], status: nil),
            .init(blocks: [chain[3]], status: nil),
        ])
        try await self.deliver(from: orderer, to: channel, until: 3)
        #expect(channel.ledger.height == 4)
        #expect(orderer.seeks.withLock { $0.prefix(4).map(\.start.specified.number) } == [1, 2, 2, 3])
        #expect(channel.status == .running)
    }

    @Test(arguments: [KeyValueStoreError.Code.diskFull, .notWritable])
    func goesOnByItselfOnceTheDiskTakesBlocksAgain(_ code: KeyValueStoreError.Code) async throws {
        let chain = try VectorNetwork.chain("side")
        var stores = LedgerStores.inMemory()
        let disk = FailingDisk(stores.log, failures: 3, code: code)
        stores.log = disk
        let channel = try ChannelRegistry { [stores] in try Ledger(channelID: $0, stores: stores) }
            .join(chain[0])
        disk.begin { [weak channel] in channel?.status }
        let orderer = Orderer([
            .init(blocks: [chain[1]], status: nil),
            .init(blocks: Array(chain.dropFirst()), status: nil),
        ])
        try await self.deliver(from: orderer, to: channel, until: 3)
        #expect(channel.ledger.height == 4)
        #expect(channel.status == .running)
        let seen = disk.statuses
        #expect(!seen.isEmpty && seen.allSatisfy { !$0.isHealthy && $0.outage != nil }, "\(seen)")
        #expect(seen.allSatisfy { "\($0)".contains("\(code)") }, "\(seen)")
    }

    @Test func takesNothingFromAnOrdererThatLies() async throws {
        let chain = try VectorNetwork.chain("side")
        let channel = try VectorNetwork.registry().join(chain[0])
        var forged = chain[1]
        forged.header.dataHash = Data(repeating: 7, count: 32)
        var unsigned = chain[1]
        unsigned.setMetadata(.signatures, Data())
        let orderer = Orderer([
            .init(blocks: [forged], status: nil),
            .init(blocks: [unsigned], status: nil),
            .init(blocks: [chain[2]], status: nil),
            .init(blocks: Array(chain.dropFirst()), status: nil),
        ])
        try await self.deliver(from: orderer, to: channel, until: 3)
        #expect(channel.ledger.height == 4)
    }

    @Test func changesTheOrdererAsSoonAsAConfigurationNamesAnother() async throws {
        let chain = try VectorNetwork.chain("side")
        let channel = try VectorNetwork.registry().join(chain[0])
        var editor = ConfigurationEditor(channel.configuration.config.channelGroup)
        let organization = try #require(channel.configuration.orderer?.organizations.first)
        try editor.apply(.addOrdererEndpoint("moved.example:7050", of: organization.name))
        for address in organization.endpoints {
            try editor.apply(.removeOrdererEndpoint(address, of: organization.name))
        }
        var config = channel.configuration.config
        config.channelGroup = editor.channelGroup
        let next = try ChannelConfiguration(channelID: channel.id, config: config)

        let (attempts, attempt) = AsyncStream.makeStream(of: String.self)
        let delivery = BlockDelivery(
            channel: channel,
            pipeline: try VectorNetwork.pipeline(channel),
            signer: RenewableIdentity(try VectorNetwork.peer("alpha")),
            certificateHash: { Data() },
            options: .init(firstPause: .milliseconds(1), longestPause: .milliseconds(5)),
            disk: BlockingExecutor(name: "disk", threads: 1),
            logger: VectorNetwork.logger
        ) { endpoint in
            attempt.yield(endpoint.address)
            // Nobody serves it: the call waits.
            return InProcessTransport().client
        }
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await delivery.run() }
            group.addTask {
                for await address in attempts {
                    if address == "moved.example:7050" { return }
                    channel.adopt(next)
                }
            }
            await group.next()
            group.cancelAll()
        }
        #expect(channel.configuration === next)
    }

    @Test func ordererAddressesComeFromTheConfigurationOrAnOverride() throws {
        let chain = try VectorNetwork.chain("side")
        let configuration = try ChannelConfiguration(configBlock: chain[0])
        let plain = configuration.ordererEndpoints(overrides: [])
        let first = try #require(plain.first)
        #expect(first.tlsRootsPEM.contains("BEGIN CERTIFICATE"))
        let overridden = configuration.ordererEndpoints(
            overrides: [OrdererOverride(from: first.address, to: "127.0.0.1:1", tlsRootsPEM: "other")]
        )
        #expect(
            overridden.first
                == OrdererEndpoint(
                    address: "127.0.0.1:1",
                    tlsRootsPEM: "other",
                    organization: first.organization
                )
        )
        #expect(overridden.dropFirst().elementsEqual(plain.dropFirst()))
    }
}
