internal import Channel
package import FabricProtos
package import Foundation
internal import GRPCCore
internal import GRPCProtobuf
internal import RPC

extension OrderingNode {
    /// Sends envelopes on one Broadcast stream, each after the answer to the one before.
    ///
    /// - Parameters:
    ///   - next: Makes the next envelope; `nil` ends the stream.
    ///   - answered: Takes the answer to each.
    /// - Throws: ``ClientError`` if the stream fails, or the error of a closure.
    package func broadcast(
        _ next: @Sendable @escaping () async throws -> Common_Envelope?,
        answered: @Sendable @escaping (Orderer_BroadcastResponse) async throws -> Void
    ) async throws {
        let (turns, turn) = AsyncStream.makeStream(of: Void.self)
        turn.yield()
        do {
            try await Orderer_AtomicBroadcast.Client(wrapping: self.connection.client).broadcast { writer in
                for await _ in turns {
                    guard let envelope = try await next() else { return }
                    try await writer.write(envelope)
                }
            } onResponse: { response in
                defer { turn.finish() }
                for try await answer in response.messages {
                    try await answered(answer)
                    turn.yield()
                }
            }
        } catch let error as RPCError {
            throw ClientError.from(error, at: self.connection.endpoint)
        }
    }

    /// An envelope of the type of transactions around bytes that are none: for measuring.
    package func message(_ data: Data) async throws -> Common_Envelope {
        try await self.identity.signing { signer in
            try .signed(
                .endorserTransaction,
                channel: self.channel,
                data: data,
                signer: signer,
                nonce: freshNonce(),
                timestamp: Date()
            )
        }
    }
}

extension Connection {
    /// Whether the process at the other end answers in time: one round trip and next to no work.
    package func answers(within timeout: Duration) async -> Bool {
        await HealthService.answers(self.client, within: timeout)
    }
}
