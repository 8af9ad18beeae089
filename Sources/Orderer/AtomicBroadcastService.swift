internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
package import GRPCCore
internal import GRPCProtobuf
internal import Logging
internal import Operations
internal import RPC

/// The gRPC service `orderer.AtomicBroadcast`.
package struct AtomicBroadcastService: RegistrableRPCService {
    let channels: OrderingChannels
    let limits: OrdererLimits
    /// Whether clients must present a certificate, so that requests for blocks are bound to it.
    let requiresClientCertificates: Bool
    let checksExpiration: Bool
    /// Where envelopes are checked.
    let checks: EnvelopeChecks
    /// Where readers' signatures are checked and old blocks are read.
    let readers: WorkerThreads
    let date: @Sendable () -> Date
    let logger: Logger
    let metrics: Metrics

    /// - Parameters:
    ///   - channels: What can be broadcast to.
    ///   - limits: How far ahead of its answers a stream is read.
    ///   - requiresClientCertificates: Whether requests for blocks are bound to the client's certificate.
    ///   - checksExpiration: Whether readers with an expired certificate are refused.
    ///   - checkers: Where signatures of envelopes are checked.
    ///   - readers: Where readers' signatures are checked and old blocks are read.
    ///   - date: The time of day.
    ///   - logger: Told of what is refused.
    ///   - metrics: What is counted with.
    init(
        channels: OrderingChannels,
        limits: OrdererLimits,
        requiresClientCertificates: Bool,
        checksExpiration: Bool,
        checkers: WorkerThreads,
        readers: WorkerThreads,
        date: @escaping @Sendable () -> Date,
        logger: Logger,
        metrics: Metrics = Metrics()
    ) {
        self.channels = channels
        self.limits = limits
        self.requiresClientCertificates = requiresClientCertificates
        self.checksExpiration = checksExpiration
        let verdicts = EnvelopeVerdicts(
            channels: channels,
            logger: logger,
            metrics: BroadcastMetrics(metrics)
        )
        self.checks = EnvelopeChecks(on: checkers) { verdicts.verdict(on: $0) }
        self.readers = readers
        self.date = date
        self.logger = logger
        self.metrics = metrics
    }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Orderer_AtomicBroadcast.Method.Broadcast.descriptor,
            deserializer: ProtobufDeserializer<Common_Envelope>(),
            serializer: ProtobufSerializer<Orderer_BroadcastResponse>()
        ) { request, _ in self.broadcast(request) }
        router.registerHandler(
            forMethod: Orderer_AtomicBroadcast.Method.Deliver.descriptor,
            deserializer: ProtobufDeserializer<Common_Envelope>(),
            serializer: DeliverReplySerializer()
        ) { request, context in self.deliver(request, context) }
    }

    // MARK: - Broadcast

    /// Broadcast for a transport that serves streams itself; see ``BroadcastStream``.
    var directBroadcast: DirectStreamMethod {
        DirectStreamMethod(Orderer_AtomicBroadcast.Method.Broadcast.descriptor) { stream in
            BroadcastStream(stream, limits: self.limits, checks: self.checks)
        }
    }

    /// Reads ahead, has envelopes checked and ordered, and answers in the order of arrival; ends after the first
    /// answer that is not SUCCESS.
    ///
    /// For transports that don't serve ``directBroadcast``.
    private func broadcast(
        _ request: StreamingServerRequest<Common_Envelope>
    ) -> StreamingServerResponse<Orderer_BroadcastResponse> {
        StreamingServerResponse { writer in
            let exchange = BroadcastExchange(limits: self.limits)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { exchange.close() }
                    for try await message in request.messages {
                        let envelope = ReceivedEnvelope(message)
                        guard let number = await exchange.take(bytes: envelope.size) else { return }
                        self.checks.add(envelope, number: number, of: exchange)
                    }
                }
                defer { group.cancelAll() }
                while let last = try await self.writeAnswers(of: exchange, to: writer) {
                    guard last.status == .success else { return }
                }
                // Everything is answered; what ended the input early, such as bytes that are no envelope, ends the call.
                try await group.next()
            }
            return [:]
        }
    }

    /// Writes the answers that are there, at least one, and returns the last; `nil` if there will be none.
    private func writeAnswers(
        of exchange: BroadcastExchange,
        to writer: RPCWriter<Orderer_BroadcastResponse>
    ) async throws -> Orderer_BroadcastResponse? {
        let answers = await exchange.nextAnswers()
        try await writer.write(contentsOf: answers)
        return answers.last
    }

    // MARK: - Deliver

    private func deliver(
        _ request: StreamingServerRequest<Common_Envelope>,
        _ context: ServerContext
    ) -> StreamingServerResponse<DeliverReply> {
        let session = DeliverSession(
            channels: self.channels,
            binding: self.binding(context),
            window: self.limits.deliverTimeWindow,
            checksExpiration: self.checksExpiration,
            workers: self.readers,
            date: self.date,
            metrics: DeliverMetrics(self.metrics),
            logger: self.logger
        )
        return StreamingServerResponse { writer in
            session.metrics.streamOpened()
            defer { session.metrics.streamClosed() }
            for try await envelope in request.messages {
                let goesOn = try await session.answer(envelope) { try await writer.write($0) }
                guard goesOn else { break }
            }
            return [:]
        }
    }

    private func binding(_ context: ServerContext) -> TLSBinding {
        guard self.requiresClientCertificates else { return .none }
        let certificate = context.transportSpecific as? PeerCertificate
        return .certificate(hash: certificate.map { Digest.sha256($0.der) })
    }
}
