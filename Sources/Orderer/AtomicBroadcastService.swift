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
    /// Where signatures of envelopes are checked.
    let checkers: WorkerThreads
    /// Where readers' signatures are checked and old blocks are read.
    let readers: WorkerThreads
    let date: @Sendable () -> Date
    let logger: Logger
    var metrics = Metrics()

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

    /// Reads ahead, has envelopes checked and ordered, and answers in the order of arrival; ends after the first
    /// answer that is not SUCCESS.
    private func broadcast(
        _ request: StreamingServerRequest<Common_Envelope>
    ) -> StreamingServerResponse<Orderer_BroadcastResponse> {
        StreamingServerResponse { writer in
            let exchange = BroadcastExchange(limits: self.limits)
            let checks = EnvelopeChecks(for: exchange, on: self.checkers) { self.verdict(on: $0) }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { exchange.close() }
                    for try await envelope in request.messages {
                        let size = envelope.payload.count + envelope.signature.count
                        guard let number = await exchange.take(bytes: size) else { return }
                        checks.add(envelope, number: number)
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

    /// Checks one envelope; runs on a thread for it.
    private func verdict(on envelope: Common_Envelope) -> BroadcastExchange.Verdict {
        let count = BroadcastMetrics(self.metrics)
        do {
            let headers: EnvelopeHeaders
            do {
                headers = try EnvelopeHeaders(envelope)
            } catch {
                throw Refusal.badRequest("\(error)")
            }
            guard let channel = self.channels[headers.channel.channelID], channel.isServed else {
                throw Refusal.badRequest(
                    "channel \"\(headers.channel.channelID)\" is not ordered by this node: check its name"
                )
            }
            count.envelope(of: channel.id, type: headers.channel.type)
            let waiting = try channel.check(envelope, headers)
            let answered = count.checked()
            return .accepted { completion in
                let answer = channel.submit(waiting) { response in
                    answered(response.status)
                    completion(response)
                }
                if let answer { answered(answer.status) }
                return answer
            }
        } catch let refusal as Refusal {
            count.refused(refusal.status)
            self.logger.notice("envelope refused", metadata: ["reason": "\(refusal)"])
            return .refused(refusal)
        } catch {
            count.refused(.internalServerError)
            return .refused(Refusal(status: .internalServerError, info: "\(error)"))
        }
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
