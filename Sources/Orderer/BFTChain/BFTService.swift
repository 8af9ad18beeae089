internal import Channel
internal import Consensus
internal import Cryptography
internal import FabricProtos
internal import Foundation
package import GRPCCore
internal import GRPCProtobuf
internal import Logging
internal import RPC
internal import SwiftProtobuf

/// The gRPC service `weft.consensus.BFT`: what other consenters of BFT channels send this node.
///
/// Every message names a channel, and is taken only from a consenter of that channel, which is known by the key of the
/// TLS certificate that it connected with. Nothing is ever answered; a message that can't be taken ends the stream.
package struct BFTService: RegistrableRPCService {
    let channels: OrderingChannels
    let spread: SpreadEnvelopes
    let logger: Logger
    /// The key of the certificate that the caller connected with.
    var senderKey: @Sendable (ServerContext) -> PublicKey? = { context in
        guard let certificate = context.transportSpecific as? PeerCertificate else { return nil }
        return (try? Certificate(der: certificate.der))?.publicKey
    }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Weft_Consensus_BFT.Method.Step.descriptor,
            deserializer: ProtobufDeserializer<Weft_Consensus_StepRequest>(),
            serializer: ProtobufSerializer<Weft_Consensus_StepResponse>()
        ) { request, context in self.step(request, context) }
    }

    private func step(
        _ request: StreamingServerRequest<Weft_Consensus_StepRequest>,
        _ context: ServerContext
    ) -> StreamingServerResponse<Weft_Consensus_StepResponse> {
        let key = self.senderKey(context)
        return StreamingServerResponse { _ in
            var refused = 0
            do {
                for try await message in request.messages {
                    try await self.take(message, from: key, &refused)
                }
            } catch let error as RPCError {
                self.logger.notice(
                    "a consenter's stream ended",
                    metadata: ["from": "\(context.remotePeer)", "reason": "\(error.message)"]
                )
                throw error
            }
            return [:]
        }
    }

    private func take(
        _ request: Weft_Consensus_StepRequest,
        from key: PublicKey?,
        _ refused: inout Int
    ) async throws(RPCError) {
        let (channel, sender) = try Self.sender(key, of: request, among: self.channels)
        guard case .message = request.content else {
            let bounds = BFTMessageBounds(channel.configuration)
            refused += try await self.spread.take(request, within: bounds, from: sender, for: channel)
            guard refused <= SpreadEnvelopes.mostRefused else {
                throw RPCError(
                    code: .permissionDenied,
                    message:
                        "consenter \(sender) of channel \(channel.id) sent \(refused) envelopes that can't be ordered"
                )
            }
            return
        }
        try Self.receive(request, from: sender, for: channel)
    }

    /// Takes a message of the protocol.
    static func receive(
        _ request: Weft_Consensus_StepRequest,
        from sender: NodeID,
        for channel: OrderingChannel
    ) throws(RPCError) {
        let message: BFTMessage
        do {
            message = try BFTMessage(request, within: BFTMessageBounds(channel.configuration))
        } catch {
            throw RPCError(
                code: .invalidArgument,
                message: "a message of consenter \(sender) of channel \(channel.id) can't be read: \(error)"
            )
        }
        guard message.from == sender else {
            throw RPCError(
                code: .permissionDenied,
                message: "consenter \(sender) of channel \(channel.id) sent a message as \(message.from)"
            )
        }
        channel.receive(message)
    }

    /// Which channel a message is for, and which of its consenters sent it.
    static func sender(
        _ key: PublicKey?,
        of request: Weft_Consensus_StepRequest,
        among channels: OrderingChannels
    ) throws(RPCError) -> (OrderingChannel, NodeID) {
        guard request.version == Weft_Consensus_StepRequest.spokenVersion else {
            throw RPCError(
                code: .failedPrecondition,
                message:
                    "this node speaks version \(Weft_Consensus_StepRequest.spokenVersion) of the protocol, "
                    + "not \(request.version): run the same version of weft on all consenters"
            )
        }
        guard let key else { throw RPCError(code: .unauthenticated, message: "no TLS certificate sent") }
        guard let channel = channels[request.channel], let membership = channel.membership,
            channel.configuration.orderer?.consensusType == "BFT"
        else {
            throw RPCError(
                code: .notFound,
                message: "channel \(request.channel) doesn't exist, or this node is no BFT consenter of it"
            )
        }
        guard let member = membership.member(clientKey: key) else {
            throw RPCError(
                code: .permissionDenied,
                message: "the TLS certificate is not that of a consenter of channel \(request.channel)"
            )
        }
        return (channel, member.id)
    }
}
