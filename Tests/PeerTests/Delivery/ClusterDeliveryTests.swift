import Channel
import Cryptography
import FabricProtos
import Foundation
import GRPCCore
import GRPCInProcessTransport
import Ledger
import SwiftProtobuf
import Synchronization
import Testing

@testable import Peer

/// How a peer takes the blocks of a BFT channel from four orderers of which one is faulty.
@Suite struct ClusterDeliveryTests {
    /// Four consenters on a channel, and its first blocks.
    private struct Network {
        let chain: [Common_Block]
        let endpoints: [String]

        init() throws {
            let orderers = try (0..<4).map { try VectorNetwork.orderer($0) }
            let consenters = orderers.enumerated().map { index, orderer in
                Common_Consenter.with {
                    $0.id = UInt32(index + 1)
                    $0.host = "orderer\(index)"
                    $0.port = 7050
                    $0.mspID = orderer.mspID.description
                    $0.identity = orderer.certificate.pem
                }
            }
            self.endpoints = consenters.map { "\($0.host):\($0.port)" }
            let source = try ChannelConfiguration(configBlock: VectorNetwork.chain("side")[0])
            var config = source.config
            var orderer = config.channelGroup.groups["Orderer"] ?? Common_ConfigGroup()
            orderer.values["ConsensusType"]?.value = try Orderer_ConsensusType.with {
                $0.type = "BFT"
                $0.metadata = try Orderer_Smartbft_Options.fabricDefault.serializedBytes()
            }.serializedBytes()
            orderer.values["Orderers"] = try .with {
                $0.modPolicy = "Admins"
                $0.value = try Common_Orderers.with { $0.consenterMapping = consenters }.serializedBytes()
            }
            orderer.policies["BlockValidation"]?.policy = try BFTBlockValidation.policy(
                consenters: consenters
            )
            for name in orderer.groups.keys {
                orderer.groups[name]?.values["Endpoints"] = try .with { [endpoints] in
                    $0.modPolicy = "Admins"
                    $0.value = try Common_OrdererAddresses.with { $0.addresses = endpoints }.serializedBytes()
                }
            }
            config.channelGroup.groups["Orderer"] = orderer
            config.channelGroup.values["OrdererAddresses"] = nil
            config.channelGroup.values["Capabilities"]?.value = try Common_Capabilities.with {
                $0.capabilities = ["V3_0": Common_Capability()]
            }.serializedBytes()
            var chain = [
                try GenesisBlock.make(
                    channelID: source.channelID,
                    config: config,
                    nonce: secureRandomBytes(24),
                    timestamp: Date()
                )
            ]
            for number in 1...6 {
                chain.append(try Self.block(after: chain[number - 1].header, source.channelID, orderers))
            }
            self.chain = chain
        }

        /// A block that three of the four consenters have signed.
        private static func block(
            after previous: Common_BlockHeader,
            _ channel: ChannelID,
            _ orderers: [SigningIdentity]
        ) throws -> Common_Block {
            let envelope = try Common_Envelope.signed(
                .message,
                channel: channel.description,
                data: Data("message".utf8),
                signer: VectorNetwork.user("alpha"),
                nonce: secureRandomBytes(24),
                timestamp: Date()
            )
            var block = Common_Block.next(after: previous, envelopes: [try envelope.serializedBytes()])
            let value = try Common_OrdererBlockMetadata.with { $0.lastConfig = .init() }.serializedData()
            let metadata = try Common_Metadata.with {
                $0.value = value
                $0.signatures = try [0, 2, 3].map { place in
                    try .with {
                        $0.identifierHeader = try Common_IdentifierHeader.with {
                            $0.identifier = UInt32(place + 1)
                            $0.nonce = try secureRandomBytes(24)
                        }.serializedBytes()
                        $0.signature = try orderers[place].sign(
                            value + $0.identifierHeader + block.header.der
                        )
                    }
                }
            }
            block.setMetadata(.signatures, try metadata.serializedBytes())
            return block
        }
    }

    /// One of the orderers: has the whole chain, and may misbehave when it is asked for blocks.
    private final class Orderer: Orderer_AtomicBroadcast.SimpleServiceProtocol {
        let chain: [Common_Block]
        /// What becomes of a block that is to be sent; `nil` sends none, and the stream stays open.
        let corrupt: @Sendable (Common_Block) -> Common_Block?
        let seeks = Mutex<[Orderer_SeekInfo]>([])

        init(_ chain: [Common_Block], corrupt: @escaping @Sendable (Common_Block) -> Common_Block? = { $0 }) {
            self.chain = chain
            self.corrupt = corrupt
        }

        var asked: [Orderer_SeekInfo.SeekContentType] { self.seeks.withLock { $0.map(\.contentType) } }

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
                let seek = try Orderer_SeekInfo(
                    serializedBytes: EnvelopeHeaders(envelope).payload.data
                )
                self.seeks.withLock { $0.append(seek) }
                for block in self.chain.dropFirst(Int(seek.start.specified.number)) {
                    var sent = block
                    if seek.contentType == .headerWithSig {
                        if !block.isConfigBlock { sent.clearData() }
                    } else {
                        guard let corrupted = self.corrupt(block) else { break }
                        sent = corrupted
                    }
                    try await response.write(.with { [sent] in $0.block = sent })
                }
                // Further blocks may come, or what is withheld: the client ends the stream.
                if seek.stop.specified.number >= self.chain.count {
                    try await Task.sleep(for: .seconds(3_600))
                }
            }
        }
    }

    /// Has a peer take the chain from the orderers; `orderers` has one for each endpoint.
    ///
    /// With `isPatient` no time of the test's machine makes it leave an orderer.
    private func deliver(
        _ network: Network,
        from orderers: [Orderer],
        options: ClusterDeliveryOptions,
        isPatient: Bool = false
    ) async throws -> PeerChannel {
        let channel = try VectorNetwork.registry().join(network.chain[0])
        let (servers, addServer) = AsyncStream.makeStream(of: (InProcessTransport.Server, Orderer).self)
        var times = BlockDelivery<InProcessTransport.Client>.Options(
            firstPause: .milliseconds(1),
            longestPause: .milliseconds(5),
            cluster: options
        )
        if isPatient {
            times.firstProcessCheck = .seconds(3_600)
            times.firstStallCheck = .seconds(3_600)
            times.cluster.timeouts = BFTDeliveryTimeouts(
                censorship: .seconds(3_600),
                silence: .seconds(3_600)
            )
        }
        let delivery = BlockDelivery(
            channel: channel,
            pipeline: try VectorNetwork.pipeline(channel),
            signer: RenewableIdentity(try VectorNetwork.peer("alpha")),
            certificateHash: { Data() },
            options: times,
            disk: BlockingExecutor(name: "disk", threads: 1),
            logger: VectorNetwork.logger
        ) { endpoint in
            let transport = InProcessTransport()
            let place = network.endpoints.firstIndex(of: endpoint.address) ?? 0
            addServer.yield((transport.server, orderers[place]))
            return transport.client
        }
        let last = BlockNumber(network.chain.count - 1)
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for await (server, orderer) in servers {
                        group.addTask {
                            try? await GRPCServer(transport: server, services: [orderer]).serve()
                        }
                    }
                    group.cancelAll()
                }
            }
            // The orderers outlive the delivery, which would ask others if they ended first.
            await withTaskGroup(of: Void.self) { group in
                group.addTask { await delivery.run() }
                group.addTask { try? await channel.committed.waitForBlock(last) }
                await group.next()
                group.cancelAll()
            }
            group.cancelAll()
        }
        return channel
    }

    private static let options = ClusterDeliveryOptions(
        timeouts: BFTDeliveryTimeouts(
            censorship: .milliseconds(200),
            silence: .milliseconds(50),
            firstPause: .milliseconds(1),
            firstHeaderPause: .milliseconds(1)
        )
    )

    @Test func takesBlocksFromOneOrdererAndHeadersFromTheOthers() async throws {
        let network = try Network()
        let orderers = network.endpoints.map { _ in Orderer(network.chain) }
        let channel = try await self.deliver(
            network,
            from: orderers,
            options: ClusterDeliveryOptions(),
            isPatient: true
        )
        #expect(channel.ledger.height == 7)
        #expect(channel.status == .running)
        let asked = orderers.map(\.asked)
        #expect(asked.count { $0 == [.block] } == 1)
        #expect(asked.count { $0.allSatisfy { $0 == .headerWithSig } } == 3)
    }

    @Test func asksOneOrdererAtATimeWithTheSimplePolicy() async throws {
        let network = try Network()
        let orderers = network.endpoints.map { _ in Orderer(network.chain) }
        let channel = try await self.deliver(
            network,
            from: orderers,
            options: ClusterDeliveryOptions(policy: .simple),
            isPatient: true
        )
        #expect(channel.ledger.height == 7)
        let asked = orderers.flatMap { $0.asked }
        #expect(asked == [.block])
    }

    /// Whichever orderer is asked first: three of four withhold block 3, so that the source is changed.
    @Test func leavesOrderersThatWithholdABlock() async throws {
        let network = try Network()
        let honest = Int.random(in: 0..<4)
        let orderers = network.endpoints.indices.map { place in
            Orderer(network.chain) { place != honest && $0.header.number == 3 ? nil : $0 }
        }
        let channel = try await self.deliver(network, from: orderers, options: Self.options)
        #expect(channel.ledger.height == 7)
        #expect(try channel.ledger.block(3)?.header == network.chain[3].header)
    }

    @Test func takesNoBlockThatAQuorumHasNotSigned() async throws {
        let network = try Network()
        let honest = Int.random(in: 0..<4)
        let orderers = network.endpoints.indices.map { place in
            Orderer(network.chain) { block in
                guard place != honest, block.header.number == 2 else { return block }
                var forged = block
                guard var metadata = try? Common_Metadata(serializedBytes: block.metadata(.signatures))
                else { return nil }
                metadata.signatures.removeLast()
                guard let bytes: Data = try? metadata.serializedBytes() else { return nil }
                forged.setMetadata(.signatures, bytes)
                return forged
            }
        }
        let channel = try await self.deliver(network, from: orderers, options: Self.options)
        #expect(channel.ledger.height == 7)
        let block = try #require(try channel.ledger.block(2))
        let kept = try Common_Metadata(serializedBytes: block.metadata(.signatures))
        #expect(kept.signatures.count == 3)
    }
}
