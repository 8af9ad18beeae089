import GRPCCore
import Operations
import Synchronization
import Testing

@Suite struct CallMetricsTests {
    private let metrics = Metrics()

    private func context(_ service: String, _ method: String) -> ServerContext {
        ServerContext(
            descriptor: MethodDescriptor(fullyQualifiedService: service, method: method),
            remotePeer: "in-process:1",
            localPeer: "in-process:1",
            cancellation: ServerContext.RPCCancellationHandle()
        )
    }

    private func request(_ messages: [String]) -> StreamingServerRequest<String> {
        let stream = AsyncThrowingStream<String, any Error> { continuation in
            for message in messages { continuation.yield(message) }
            continuation.finish()
        }
        return StreamingServerRequest(metadata: [:], messages: RPCAsyncSequence(wrapping: stream))
    }

    @Test func `Unary calls are counted by their outcome`() async throws {
        let interceptor = CallMetrics(self.metrics)
        let context = self.context("gateway.Gateway", "Endorse")
        for _ in 0..<2 {
            _ = try await interceptor.intercept(request: self.request(["a"]), context: context) { _, _ in
                StreamingServerResponse(single: ServerResponse(message: "b"))
            }
        }
        _ = try await interceptor.intercept(request: self.request(["a"]), context: context) { _, _ in
            StreamingServerResponse(of: String.self, error: RPCError(code: .aborted, message: "refused"))
        }
        await #expect(throws: RPCError.self) {
            _ = try await interceptor.intercept(request: self.request(["a"]), context: context) {
                _,
                _ -> StreamingServerResponse<String> in
                throw RPCError(code: .permissionDenied, message: "forbidden")
            }
        }
        let text = self.metrics.exposition()
        let labels = #"service="gateway_Gateway",method="Endorse""#
        #expect(text.contains("grpc_server_unary_requests_received{\(labels)} 4\n"))
        #expect(text.contains("grpc_server_unary_requests_completed{\(labels),code=\"OK\"} 2\n"))
        #expect(text.contains("grpc_server_unary_requests_completed{\(labels),code=\"Aborted\"} 1\n"))
        #expect(
            text.contains("grpc_server_unary_requests_completed{\(labels),code=\"PermissionDenied\"} 1\n")
        )
        #expect(text.contains("grpc_server_unary_request_duration_count{\(labels),code=\"OK\"} 2\n"))
        #expect(!text.contains("Evaluate"))
    }

    @Test func `Streams are counted with their messages, and end with their code`() async throws {
        let interceptor = CallMetrics(self.metrics)
        let context = self.context("orderer.AtomicBroadcast", "Broadcast")
        let response = try await interceptor.intercept(
            request: self.request(["a", "b", "c"]),
            context: context
        ) { request, _ in
            StreamingServerResponse(of: String.self) { writer in
                for try await message in request.messages { try await writer.write(message) }
                throw RPCError(code: .unavailable, message: "stopping")
            }
        }
        let written = WrittenMessages()
        let contents = try response.accepted.get()
        await #expect(throws: RPCError.self) { _ = try await contents.producer(RPCWriter(wrapping: written)) }
        #expect(written.all == ["a", "b", "c"])
        let text = self.metrics.exposition()
        let labels = #"service="orderer_AtomicBroadcast",method="Broadcast""#
        #expect(text.contains("grpc_server_stream_requests_received{\(labels)} 1\n"))
        #expect(text.contains("grpc_server_stream_messages_received{\(labels)} 3\n"))
        #expect(text.contains("grpc_server_stream_messages_sent{\(labels)} 3\n"))
        #expect(text.contains("grpc_server_stream_requests_completed{\(labels),code=\"Unavailable\"} 1\n"))
    }
}

/// Keeps what is written to it.
private final class WrittenMessages: RPCWriterProtocol {
    private let messages = Mutex<[String]>([])
    var all: [String] { self.messages.withLock { $0 } }

    func write(_ element: String) async throws { self.messages.withLock { $0.append(element) } }

    func write(contentsOf elements: some Sequence<String>) async throws {
        for element in elements { try await self.write(element) }
    }
}
