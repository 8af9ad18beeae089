package import GRPCCore

/// The gRPC health service, by which tools learn that a node is ready.
///
/// `Check` answers for the node as a whole (empty service name) and for no other name. `Watch` sends the state at
/// once and whenever it has changed.
///
/// Source: gRPC health checking protocol, `grpc.health.v1.Health`. Its two messages have one field each, so they are
/// written here by hand.
package struct HealthService: RegistrableRPCService {
    /// How often a watcher looks for a change.
    private static let watchInterval: Duration = .milliseconds(250)

    private let isServing: @Sendable () -> Bool

    /// - Parameter isServing: Asked at each check; must not block.
    package init(isServing: @escaping @Sendable () -> Bool) {
        self.isServing = isServing
    }

    package func registerMethods<Transport: ServerTransport>(with router: inout RPCRouter<Transport>) {
        router.registerHandler(
            forMethod: Self.method("Check", .unary),
            deserializer: HealthRequest.Deserializer(),
            serializer: HealthStatus.Serializer()
        ) { request, _ in
            StreamingServerResponse(single: try self.check(try await ServerRequest(stream: request).message))
        }
        router.registerHandler(
            forMethod: Self.method("Watch", .serverStreaming),
            deserializer: HealthRequest.Deserializer(),
            serializer: HealthStatus.Serializer()
        ) { request, _ in self.watch(try await ServerRequest(stream: request).message) }
    }

    private static func method(_ name: String, _ type: MethodDescriptor.RPCType) -> MethodDescriptor {
        MethodDescriptor(fullyQualifiedService: "grpc.health.v1.Health", method: name, type: type)
    }

    private var status: HealthStatus { self.isServing() ? .serving : .notServing }

    private func check(_ request: HealthRequest) throws(RPCError) -> ServerResponse<HealthStatus> {
        guard request.service.isEmpty else {
            throw RPCError(
                code: .notFound,
                message: "the health of \"\(request.service)\" is not known; ask for \"\""
            )
        }
        return ServerResponse(message: self.status)
    }

    /// Whether the process at the other end of a client's connection answers in time.
    ///
    /// Any answer will do, also that there is no such service, or that the node can't serve: of its many channels another
    /// one may be the reason.
    package static func answers<Transport: ClientTransport>(
        _ client: GRPCClient<Transport>,
        within timeout: Duration
    ) async -> Bool {
        var options = CallOptions.defaults
        options.timeout = timeout
        do {
            return try await client.unary(
                request: ClientRequest(message: HealthRequest(service: "")),
                descriptor: Self.method("Check", .unary),
                serializer: HealthRequest.Serializer(),
                deserializer: HealthStatus.Deserializer(),
                options: options
            ) { response in
                switch response.accepted {
                case .success: return true
                case .failure(let error): return Self.isAnswer(error)
                }
            }
        } catch let error as RPCError {
            return Self.isAnswer(error)
        } catch {
            return false
        }
    }

    /// Whether an error came from the other end.
    private static func isAnswer(_ error: RPCError) -> Bool {
        error.code != .deadlineExceeded && error.code != .unavailable && error.code != .cancelled
    }

    private func watch(_ request: HealthRequest) -> StreamingServerResponse<HealthStatus> {
        StreamingServerResponse { writer in
            var last: HealthStatus?
            while true {
                let status = request.service.isEmpty ? self.status : .unknownService
                if status != last { try await writer.write(status) }
                last = status
                try await Task.sleep(for: Self.watchInterval)
            }
        }
    }
}

/// `grpc.health.v1.HealthCheckRequest`.
private struct HealthRequest: Sendable {
    /// Field 1; empty for the node as a whole.
    var service: String

    struct Serializer: MessageSerializer {
        func serialize<Bytes: GRPCContiguousBytes>(_ request: HealthRequest) throws -> Bytes {
            let name = Array(request.service.utf8.prefix(0x7f))
            return Bytes(name.isEmpty ? [] : [0x0a, UInt8(name.count)] + name)
        }
    }

    struct Deserializer: MessageDeserializer {
        func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> HealthRequest {
            try bytes.withUnsafeBytes { bytes in
                guard !bytes.isEmpty else { return HealthRequest(service: "") }
                // A short name in the only field, or nothing that this service knows.
                guard bytes.count >= 2, bytes[0] == 0x0a, bytes[1] < 0x80, bytes.count == Int(bytes[1]) + 2
                else {
                    throw RPCError(code: .invalidArgument, message: "the request is no short health request")
                }
                return HealthRequest(service: String(decoding: bytes.dropFirst(2), as: UTF8.self))
            }
        }
    }
}

/// `grpc.health.v1.HealthCheckResponse.ServingStatus`.
private enum HealthStatus: UInt8, Sendable {
    case serving = 1
    case notServing = 2
    case unknownService = 3

    struct Deserializer: MessageDeserializer {
        func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> HealthStatus {
            bytes.withUnsafeBytes { HealthStatus(rawValue: $0.last ?? 0) } ?? .unknownService
        }
    }

    struct Serializer: MessageSerializer {
        func serialize<Bytes: GRPCContiguousBytes>(_ status: HealthStatus) throws -> Bytes {
            Bytes([0x08, status.rawValue])
        }
    }
}
