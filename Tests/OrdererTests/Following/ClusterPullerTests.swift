import Channel
import Cryptography
import FabricProtos
import Foundation
import Logging
import SwiftProtobuf
import Testing

@testable import Orderer

/// How a node that is no consenter copies a BFT channel from orderers of which some withhold blocks.
@Suite struct ClusterPullerTests {
    /// Orderers by address; those that withhold show headers, and give blocks below a number only.
    private struct Orderers: BlockNetwork {
        let chain: [Common_Block]
        let withholdFrom: [String: BlockNumber]

        func run(_ pull: BlockPull) {
            guard let seek = pull.seek else { return }
            let limit = self.withholdFrom[pull.source.address]
            let wantsHeaders = seek.contentType == .headerWithSig
            Task {
                for block in self.chain.dropFirst(Int(seek.start.specified.number)) {
                    var sent = block
                    if wantsHeaders {
                        if !block.isConfigBlock { sent.clearData() }
                    } else if let limit, block.header.number >= limit {
                        return
                    }
                    guard await pull.put(sent) else { return }
                }
            }
        }
    }

    /// A BFT channel with one consenter and three endpoints, and its first blocks.
    private func chain(_ network: TestNetwork) throws -> [Common_Block] {
        let consenter = Common_Consenter.with {
            $0.id = 1
            $0.host = "orderer0"
            $0.port = 7050
            $0.mspID = network.orderer.mspID.description
            $0.identity = network.orderer.certificate.pem
            $0.clientTlsCert = network.consenter
            $0.serverTlsCert = network.consenter
        }
        var chain = [
            try network.genesis(of: "trade") { profile in
                profile.orderer?.consensus = .bft(options: .fabricDefault, consenters: [consenter])
                profile.orderer?.organizations[0].ordererEndpoints = Self.addresses
            }
        ]
        for number in 1..<8 {
            let envelope = try network.envelope("\(number)")
            var block = Common_Block.next(
                after: chain[number - 1].header,
                envelopes: [try envelope.serializedBytes()]
            )
            let value = try Common_OrdererBlockMetadata.with { $0.lastConfig = .init() }.serializedData()
            let metadata = try Common_Metadata.with {
                $0.value = value
                $0.signatures = [
                    try .with {
                        $0.identifierHeader = try Common_IdentifierHeader.with { $0.identifier = 1 }
                            .serializedBytes()
                        $0.signature = try network.orderer.sign(
                            value + $0.identifierHeader + block.header.der
                        )
                    }
                ]
            }
            block.setMetadata(.signatures, try metadata.serializedBytes())
            chain.append(block)
        }
        return chain
    }

    private static let addresses = ["orderer0:7050", "orderer1:7050", "orderer2:7050"]

    @Test func leavesOrderersThatWithholdBlocks() throws {
        let network = try TestNetwork()
        let chain = try self.chain(network)
        let honest = Int.random(in: 0..<3)
        var withholdFrom: [String: BlockNumber] = [:]
        for (place, address) in Self.addresses.enumerated() where place != honest {
            withholdFrom[address] = 3
        }
        var logger = Logger(label: "test")
        logger.handler = SwiftLogNoOpLogHandler()
        let start = ContinuousClock.now
        let configuration = try ChannelConfiguration(configBlock: chain[0])
        let channel = OrderingChannel(
            configuration: configuration,
            settings: OrderingChannel.Settings(
                signer: RenewableIdentity(network.orderer),
                limits: .forTests,
                cutting: .adaptive,
                acknowledgesWhenDurable: true,
                checksExpiration: true,
                clock: { ContinuousClock.now - start },
                date: { Date() },
                nonce: { (try? secureRandomBytes(24)) ?? Data() },
                logger: logger,
                network: Orderers(chain: chain, withholdFrom: withholdFrom),
                serverKey: { nil }
            )
        )
        let puller = ClusterPuller(
            BlockPuller(channel: channel),
            header: chain[0].header,
            configuration: configuration,
            timeouts: BFTDeliveryTimeouts(
                censorship: .milliseconds(300),
                silence: .milliseconds(100),
                firstPause: .milliseconds(1),
                firstHeaderPause: .milliseconds(1)
            )
        )
        var copied = [chain[0]]
        try puller.follow(while: { true }) { block in
            try block.checkStructure(after: copied.last?.header, expected: BlockNumber(copied.count))
            try block.verifySignatures(under: configuration)
            copied.append(block)
            return (configuration, copied.count < chain.count)
        }
        #expect(copied == chain)
    }
}
