internal import Channel
internal import Consensus
internal import Cryptography
internal import FabricProtos
internal import Foundation
package import GRPCCore
internal import GRPCProtobuf
internal import Logging
internal import Operations
internal import RPC
internal import SwiftProtobuf

/// The gRPC service `orderer.Cluster`: what other consenters send this node.
///
/// Every message names a channel, and is taken only from a consenter of that channel, which is known by the key of the
/// TLS certificate that it connected with. Nothing is ever answered; a message that can't be taken ends the stream.
///
/// Source: Fabric v3.1, package `orderer/common/cluster`.
package struct ClusterService: RegistrableRPCService {
    let channels: OrderingChannels
    let logger: Logger
    var metrics = Metrics()
    /// The key of the certificate that the caller connected with.
    var senderKey: @Sendable (ServerContext) -> PublicKey? = { context in
        guard let certificate = context.transportSpecific as? PeerCertificate else { return nil }
        return (try? Certificate(der: certificate.der))?.publicKey
    }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Orderer_Cluster.Method.Step.descriptor,
            deserializer: ProtobufDeserializer<Orderer_StepRequest>(),
            serializer: ProtobufSerializer<Orderer_StepResponse>()
        ) { request, context in self.step(request, context) }
    }

    private func step(
        _ request: StreamingServerRequest<Orderer_StepRequest>,
        _ context: ServerContext
    ) -> StreamingServerResponse<Orderer_StepResponse> {
        let key = self.senderKey(context)
        let streams = self.metrics.gauge(.clusterIngressStreams)
        return StreamingServerResponse { _ in
            streams.increment(by: 1)
            defer { streams.decrement(by: 1) }
            do {
                for try await message in request.messages { try await self.take(message, from: key) }
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

    private func take(_ message: Orderer_StepRequest, from key: PublicKey?) async throws {
        switch message.payload {
        case .consensusRequest(let request): try self.receive(request, from: key)
        case .submitRequest(let request):
            let (envelope, channel, sender) = try self.read(request, from: key)
            try await self.submit(envelope, to: channel, from: sender)
        case nil:
            throw RPCError(code: .invalidArgument, message: "the message is empty")
        }
    }

    /// Gives a channel what another consenter's engine sent.
    func receive(_ request: Orderer_ConsensusRequest, from key: PublicKey?) throws(RPCError) {
        let (channel, sender) = try self.sender(key, of: request.channel)
        let raft: RaftMessage
        do {
            raft = try RaftMessage(Raftpb_Message(serializedBytes: request.payload))
        } catch {
            throw RPCError(code: .invalidArgument, message: "the message can't be read: \(error)")
        }
        guard raft.from == sender else {
            throw RPCError(
                code: .permissionDenied,
                message: "consenter \(sender) of channel \(channel.id) sent a message as \(raft.from)"
            )
        }
        channel.receive(raft, metadata: request.metadata)
    }

    /// An envelope that another consenter forwards, with the channel that it is for.
    func read(
        _ request: Orderer_SubmitRequest,
        from key: PublicKey?
    ) throws(RPCError) -> (envelope: OrderingChannel.Waiting, channel: OrderingChannel, sender: NodeID) {
        let (channel, sender) = try self.sender(key, of: request.channel)
        return (try channel.waiting(forwarded: request), channel, sender)
    }

    /// Queues an envelope once there is room; drops it, as Fabric does, if this node gets no leader in a while.
    private func submit(
        _ envelope: OrderingChannel.Waiting,
        to channel: OrderingChannel,
        from sender: NodeID
    ) async throws {
        let deadline = ContinuousClock.now + .seconds(3)
        while true {
            switch channel.take(envelope, from: sender) {
            case .taken: return
            case .early where ContinuousClock.now > deadline: return
            case .early, .full: try await Task.sleep(for: .milliseconds(10))
            }
        }
    }

    private func sender(_ key: PublicKey?, of name: String) throws(RPCError) -> (OrderingChannel, NodeID) {
        guard let key else {
            throw RPCError(code: .unauthenticated, message: "no TLS certificate sent")
        }
        guard let channel = self.channels[name], channel.membership != nil,
            channel.configuration.orderer?.consensusType == "etcdraft"
        else {
            throw RPCError(
                code: .notFound,
                message: "channel \(name) doesn't exist, or this node is no Raft consenter of it"
            )
        }
        guard let member = channel.consenter(clientKey: key) else {
            throw RPCError(
                code: .permissionDenied,
                message: "the TLS certificate is not that of a consenter of channel \(name)"
            )
        }
        return (channel, member.id)
    }
}
