import Channel
import FabricProtos
import Foundation
import GRPCCore
import SwiftProtobuf
import TestSupport
import Testing

@testable import Orderer

/// Envelopes and requests with bytes changed, cut off or repeated.
@Suite struct MutatedEnvelopeTests {
    /// Changes `bytes` in one to four places.
    private func mutated(_ bytes: Data, _ random: inout SplitMix64) -> Data {
        var bytes = [UInt8](bytes)
        for _ in 0..<Int.random(in: 1...4, using: &random) where !bytes.isEmpty {
            let place = Int.random(in: 0..<bytes.count, using: &random)
            switch Int.random(in: 0..<4, using: &random) {
            case 0: bytes[place] = UInt8.random(in: 0...255, using: &random)
            case 1: bytes.removeSubrange(place...)
            case 2: bytes.insert(contentsOf: bytes.suffix(from: place).prefix(40), at: place)
            default: bytes[place] ^= 1 << UInt8.random(in: 0..<8, using: &random)
            }
        }
        return Data(bytes)
    }

    @Test("each gets a status and none is ordered or answered with blocks", arguments: seeds(8))
    func refuses(seed: UInt64) async throws {
        let network = try TestNetwork()
        let orderer = try TestOrderer(network)
        await orderer.ready()
        let templates = [
            try network.envelope(),
            try network.batchSizeUpdate(from: orderer.channel.configuration.config, maxMessageCount: 5),
            try network.seek(Orderer_SeekInfo(from: .oldestBlock, to: .newestBlock)),
        ]
        try await orderer.withClient { client in
            var random = SplitMix64(seed: seed)
            for round in 0..<60 {
                var envelope = templates[round % templates.count]
                envelope.payload = self.mutated(envelope.payload, &random)
                // The signature no longer fits, unless the change undid itself.
                guard envelope.payload != templates[round % templates.count].payload else { continue }
                let sent = envelope
                let answer = try await client.broadcast {
                    try await $0.write(sent)
                } onResponse: { response in
                    for try await answer in response.messages { return answer }
                    return Orderer_BroadcastResponse()
                }
                #expect([.badRequest, .forbidden].contains(answer.status), "\(answer)")
                let delivered = try await client.deliver {
                    try await $0.write(sent)
                } onResponse: { response in
                    for try await answer in response.messages { return answer }
                    return Orderer_DeliverResponse()
                }
                #expect([.badRequest, .forbidden, .notFound].contains(delivered.status), "\(delivered)")
            }
        }
        #expect(orderer.channel.feed.height == 1)
        await orderer.stop()
    }
}
