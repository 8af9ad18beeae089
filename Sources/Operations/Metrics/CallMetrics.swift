package import GRPCCore
package import RPC
internal import Synchronization

/// Counts the calls of a gRPC server, their messages and how long they take.
///
/// - Source: Fabric v3.1, package `common/grpcmetrics`.
package struct CallMetrics: ServerInterceptor {
    /// The series of one unary method.
    private struct Unary {
        var received: CounterSeries
        var completed: CounterSeries
        var duration: HistogramSeries
    }

    /// Looks up the series of one unary method when it is first called.
    private final class UnaryMethod: Sendable {
        private let name: String
        private let series = Mutex<Unary?>(nil)

        init(_ name: String) { self.name = name }

        func series(_ metrics: Metrics) -> Unary {
            self.series.withLock { series in
                if let series { return series }
                let (service, method) = CallMetrics.labels(self.name)
                let new = Unary(
                    received: metrics.counter(.unaryRequestsReceived, service, method),
                    completed: metrics.counter(.unaryRequestsCompleted, service, method, "OK"),
                    duration: metrics.histogram(.unaryRequestDuration, service, method, "OK")
                )
                series = new
                return new
            }
        }
    }

    private let metrics: Metrics
    private let unary: [String: UnaryMethod]
    private let clock = ContinuousClock()

    /// Full names of the methods that take and give one message; all others are streams.
    package static let fabricUnaryMethods = [
        "protos.Endorser/ProcessProposal", "gateway.Gateway/Endorse", "gateway.Gateway/Submit",
        "gateway.Gateway/CommitStatus", "gateway.Gateway/Evaluate", "discovery.Discovery/Discover",
        "grpc.health.v1.Health/Check", "protos.Snapshot/Generate", "protos.Snapshot/Cancel",
        "protos.Snapshot/QueryPendings", "gossip.Gossip/Ping",
    ]

    package init(_ metrics: Metrics, unaryMethods: [String] = CallMetrics.fabricUnaryMethods) {
        self.metrics = metrics
        self.unary = Dictionary(
            unaryMethods.map { ($0, UnaryMethod($0)) },
            uniquingKeysWith: { first, _ in first }
        )
    }

    package func intercept<Input: Sendable, Output: Sendable>(
        request: StreamingServerRequest<Input>,
        context: ServerContext,
        next:
            @Sendable (StreamingServerRequest<Input>, ServerContext) async throws ->
            StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let name = context.descriptor.fullyQualifiedMethod
        guard let unary = self.unary[name]?.series(self.metrics) else {
            return try await self.stream(Self.labels(name), request, context, next)
        }
        unary.received.increment()
        let start = self.clock.now
        do {
            let response = try await next(request, context)
            if case .failure(let error) = response.accepted {
                self.failed(name, error.code, start)
            } else {
                unary.duration.record(self.clock.now - start)
                unary.completed.increment()
            }
            return response
        } catch {
            self.failed(name, Self.code(error), start)
            throw error
        }
    }

    /// The same method with its calls counted, which no interceptor sees.
    package func counting(_ method: DirectMethod) -> DirectMethod {
        let name = method.descriptor.fullyQualifiedMethod
        let unary = (self.unary[name] ?? UnaryMethod(name)).series(self.metrics)
        return DirectMethod(method.descriptor) { request in
            unary.received.increment()
            let start = self.clock.now
            do {
                let response = try await method.answer(request)
                unary.duration.record(self.clock.now - start)
                unary.completed.increment()
                return response
            } catch {
                self.failed(name, Self.code(error), start)
                throw error
            }
        }
    }

    /// The same method with its calls and their messages counted, which no interceptor sees.
    package func counting(_ method: DirectStreamMethod) -> DirectStreamMethod {
        let (service, name) = Self.labels(method.descriptor.fullyQualifiedMethod)
        let received = self.metrics.counter(.streamMessagesReceived, service, name)
        let sent = self.metrics.counter(.streamMessagesSent, service, name)
        return DirectStreamMethod(method.descriptor) { stream in
            let start = self.clock.now
            self.metrics.counter(.streamRequestsReceived, service, name).increment()
            return CountedStream(base: method.begin(stream), received: received, sent: sent) { code in
                self.metrics.histogram(.streamRequestDuration, service, name, code.goName).record(
                    self.clock.now - start
                )
                self.metrics.counter(.streamRequestsCompleted, service, name, code.goName).increment()
            }
        }
    }

    private func failed(_ name: String, _ code: RPCError.Code, _ start: ContinuousClock.Instant) {
        let (service, method) = Self.labels(name)
        self.metrics.histogram(.unaryRequestDuration, service, method, code.goName).record(
            self.clock.now - start
        )
        self.metrics.counter(.unaryRequestsCompleted, service, method, code.goName).increment()
    }

    // MARK: - Streams

    private func stream<Input: Sendable, Output: Sendable>(
        _ labels: (service: String, method: String),
        _ request: StreamingServerRequest<Input>,
        _ context: ServerContext,
        _ next:
            @Sendable (StreamingServerRequest<Input>, ServerContext) async throws ->
            StreamingServerResponse<Output>
    ) async throws -> StreamingServerResponse<Output> {
        let (service, method) = labels
        let start = self.clock.now
        let received = self.metrics.counter(.streamMessagesReceived, service, method)
        let sent = self.metrics.counter(.streamMessagesSent, service, method)
        self.metrics.counter(.streamRequestsReceived, service, method).increment()
        let ended = { @Sendable (code: String) in
            self.metrics.histogram(.streamRequestDuration, service, method, code).record(
                self.clock.now - start
            )
            self.metrics.counter(.streamRequestsCompleted, service, method, code).increment()
        }
        var request = request
        request.messages = RPCAsyncSequence(
            wrapping: request.messages.map { message in
                received.increment()
                return message
            }
        )
        var response: StreamingServerResponse<Output>
        do {
            response = try await next(request, context)
        } catch {
            ended(Self.code(error).goName)
            throw error
        }
        switch response.accepted {
        case .failure(let error):
            ended(error.code.goName)
        case .success(var contents):
            let produce = contents.producer
            contents.producer = { writer in
                do {
                    let trailers = try await produce(
                        RPCWriter(wrapping: CountingWriter(base: writer, sent: sent))
                    )
                    ended("OK")
                    return trailers
                } catch {
                    ended(Self.code(error).goName)
                    throw error
                }
            }
            response.accepted = .success(contents)
        }
        return response
    }

    private static func code(_ error: any Error) -> RPCError.Code {
        if error is CancellationError { return .cancelled }
        return (error as? RPCError)?.code ?? (error as? any RPCErrorConvertible)?.rpcErrorCode ?? .unknown
    }

    /// `protos_Endorser` and `ProcessProposal`.
    private static func labels(_ name: String) -> (service: String, method: String) {
        let parts = name.split(separator: "/", maxSplits: 1).map { String($0).replacing(".", with: "_") }
        guard let service = parts.first, let method = parts.dropFirst().first else {
            return ("unknown", "unknown")
        }
        return (service, method)
    }
}

/// Counts the messages of a stream that the transport serves itself.
private final class CountedStream: DirectStreamService, @unchecked Sendable {
    // Why `@unchecked`: `code` belongs to the thread of the call, see `DirectStreamService`.
    private let base: any DirectStreamService
    private let received: CounterSeries
    private let sent: CounterSeries
    private let completed: @Sendable (RPCError.Code?) -> Void
    /// How the call has ended; a client that is gone has cancelled it.
    private var code: RPCError.Code? = .cancelled

    init(
        base: any DirectStreamService,
        received: CounterSeries,
        sent: CounterSeries,
        completed: @escaping @Sendable (RPCError.Code?) -> Void
    ) {
        self.base = base
        self.received = received
        self.sent = sent
        self.completed = completed
    }

    func received(_ message: borrowing IncomingMessage) -> Bool {
        self.received.increment()
        return self.base.received(message)
    }

    func readsOn() -> Bool { self.base.readsOn() }

    func inputEnded(isComplete: Bool) { self.base.inputEnded(isComplete: isComplete) }

    func nextPart() -> DirectStreamPart? {
        let part = self.base.nextPart()
        switch part {
        case .message: self.sent.increment()
        case .end(let error): self.code = error?.code
        case nil: break
        }
        return part
    }

    func ended() {
        self.completed(self.code)
        self.base.ended()
    }
}

/// Counts the messages written.
private struct CountingWriter<Element: Sendable>: RPCWriterProtocol {
    let base: RPCWriter<Element>
    let sent: CounterSeries

    func write(_ element: Element) async throws {
        self.sent.increment()
        try await self.base.write(element)
    }

    func write(contentsOf elements: some Sequence<Element>) async throws {
        // Together, since the transport sends them together.
        let elements = Array(elements)
        self.sent.increment(by: Int64(elements.count))
        try await self.base.write(contentsOf: elements)
    }
}

extension RPCError.Code? {
    /// The same, also of no error.
    fileprivate var goName: String { self?.goName ?? "OK" }
}

extension RPCError.Code {
    /// The name of the code as Go's gRPC writes it, which is what Fabric's labels have.
    fileprivate var goName: String {
        switch self {
        case .cancelled: "Canceled"
        case .invalidArgument: "InvalidArgument"
        case .deadlineExceeded: "DeadlineExceeded"
        case .notFound: "NotFound"
        case .alreadyExists: "AlreadyExists"
        case .permissionDenied: "PermissionDenied"
        case .resourceExhausted: "ResourceExhausted"
        case .failedPrecondition: "FailedPrecondition"
        case .aborted: "Aborted"
        case .outOfRange: "OutOfRange"
        case .unimplemented: "Unimplemented"
        case .internalError: "Internal"
        case .unavailable: "Unavailable"
        case .dataLoss: "DataLoss"
        case .unauthenticated: "Unauthenticated"
        default: "Unknown"
        }
    }
}
