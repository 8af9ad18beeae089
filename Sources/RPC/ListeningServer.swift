internal import CGRPC
internal import GRPCCore
import Glibc
internal import Synchronization

typealias StreamHandler =
    @Sendable (
        RPCStream<CoreServerTransport.Inbound, CoreServerTransport.Outbound>, ServerContext
    ) async -> Void

/// A method that a server accepts calls of.
struct ServedMethod: Sendable {
    /// `nil` for calls of methods that weren't registered.
    var descriptor: MethodDescriptor?
    // Why `nonisolated(unsafe)`: only an identity for core, never read through.
    /// Core's handle of the registration.
    nonisolated(unsafe) var registration: UnsafeMutableRawPointer?
    var handler: StreamHandler
    /// What answers the calls instead of `handler`, if anything does.
    var direct: DirectMethod?
    /// The same for a method with a stream of requests.
    var stream: DirectStreamMethod?

    /// Whether core has the request message when the call is accepted.
    var readsRequestFirst: Bool { self.descriptor?.type.map { !$0.isRequestStreaming } ?? false }
    var responseStreams: Bool { self.descriptor?.type?.isResponseStreaming ?? true }
}

/// Core's server: bound to its port from the start, listening from `start` to `stop`.
final class ListeningServer: CompletionTarget, @unchecked Sendable {
    // Why `@unchecked`: `handle` never changes and core's server may be used from any thread until it is
    // destroyed, which happens once, after `phase` has become `stopped`; everything else is in `state`.
    private let handle: OpaquePointer
    private let state = Mutex(State())
    let pollers: PollerGroup
    let port: Int
    let localPeer: String
    /// Core refers to it as long as the server lives.
    private let tls: ServerTLSFetcher?
    let runsHandlersOnPollers: Bool
    private let connections: ServerConnections

    /// How many connections there have been until now.
    var connectionCounts: ConnectionCounts {
        // After the server is gone core knows nothing of it any more, and so all connections are closed.
        self.connections.counts(handshakes: self.tls?.handshakes)
    }

    var hasTLS: Bool { self.tls != nil }

    private struct State: ~Copyable {
        enum Phase { case bound, listening, stopping, stopped }
        var phase = Phase.bound
        var registrations: [(MethodDescriptor, UnsafeMutableRawPointer)] = []
        var direct: [String: DirectMethod] = [:]
        var streams: [String: DirectStreamMethod] = [:]
        var waiters = WaitList()
    }

    init(
        address: String,
        tls source: TLSSource<ServerTLS>?,
        options: TransportOptions,
        pollers: PollerGroup
    ) throws(TransportError) {
        let place = try ListeningAddress(address)
        let (server, connections) = ServerConnections.ofServer {
            options.serverArguments.withChannelArguments { grpc_server_create($0, nil) }
        }
        guard let server else { throw TransportError(.state, "C core made no server") }
        for poller in pollers.all { grpc_server_register_completion_queue(server, poller.completions, nil) }
        let tls = source.map { ServerTLSFetcher($0) }
        let port: Int
        do {
            port = try tls.withCredentials { (credentials) throws(TransportError) in
                Int(grpc_server_add_http2_port(server, address, credentials))
            }
        } catch {
            grpc_server_destroy(server)
            throw error
        }
        guard port > 0 else {
            grpc_server_destroy(server)
            throw place.whyNotBound(tls: tls != nil)
        }
        self.handle = server
        self.connections = connections
        self.port = port
        self.tls = tls
        self.runsHandlersOnPollers = options.runsHandlersOnPollers
        self.localPeer = "\(place.host):\(port)"
        self.pollers = pollers
        super.init(poller: pollers.all[0])
    }

    /// Makes methods known, before the server starts.
    func register(_ methods: [MethodDescriptor]) {
        self.state.withLock { state in
            guard state.phase == .bound else { return }
            for method in methods {
                let isStreaming = method.type?.isRequestStreaming ?? true
                let registration = grpc_server_register_method(
                    self.handle,
                    "/\(method.fullyQualifiedMethod)",
                    nil,
                    isStreaming ? GRPC_SRM_PAYLOAD_NONE : GRPC_SRM_PAYLOAD_READ_INITIAL_BYTE_BUFFER,
                    0
                )
                if let registration { state.registrations.append((method, registration)) }
            }
        }
    }

    /// Lets calls of some of the registered methods be answered without the handler, once the server starts.
    func answerDirectly(_ methods: [DirectMethod]) {
        self.state.withLock { state in
            for method in methods { state.direct[method.descriptor.fullyQualifiedMethod] = method }
        }
    }

    /// The same for methods with streams.
    func answerDirectly(_ methods: [DirectStreamMethod]) {
        self.state.withLock { state in
            for method in methods { state.streams[method.descriptor.fullyQualifiedMethod] = method }
        }
    }

    /// How many calls of a method can come in on a poller before the first of them has been taken.
    private static let armedCalls = 32

    /// Starts to accept calls.
    func start(_ handler: @escaping StreamHandler) throws(TransportError) {
        let methods: [ServedMethod]? = self.state.withLock { state in
            switch state.phase {
            case .bound:
                state.phase = .listening
                return state.registrations.map {
                    ServedMethod(
                        descriptor: $0,
                        registration: $1,
                        handler: handler,
                        direct: state.direct[$0.fullyQualifiedMethod],
                        stream: state.streams[$0.fullyQualifiedMethod]
                    )
                }
                    + [ServedMethod(descriptor: nil, registration: nil, handler: handler)]
            case .listening:
                return nil
            case .stopping, .stopped:
                return []
            }
        }
        guard let methods else { throw TransportError(.state, "this server transport is listening already") }
        guard !methods.isEmpty else { return }
        grpc_server_start(self.handle)
        for method in methods {
            for poller in self.pollers.all {
                for _ in 0..<Self.armedCalls { self.accept(method, on: poller) }
            }
        }
    }

    /// Makes the server ready to take one more call of a method.
    func accept(_ method: ServedMethod, on poller: Poller) {
        let call: Call =
            if let stream = method.stream {
                DirectStreamCall(server: self, method: method, stream: stream, poller: poller)
            } else {
                ServerCall(server: self, method: method, poller: poller)
            }
        self.state.withLock { state in
            // Under the lock, so that the server isn't destroyed meanwhile.
            guard state.phase == .listening else { return }
            let tag = call.makeTag(.acceptCall)
            let slots = call.slots
            let error: grpc_call_error
            if let registration = method.registration {
                error = grpc_server_request_registered_call(
                    self.handle,
                    registration,
                    &slots.pointee.call,
                    &slots.pointee.deadline,
                    &slots.pointee.initial_metadata,
                    method.readsRequestFirst
                        ? withUnsafeMutablePointer(to: &slots.pointee.message) { $0 } : nil,
                    poller.completions,
                    poller.completions,
                    tag
                )
            } else {
                error = grpc_server_request_call(
                    self.handle,
                    &slots.pointee.call,
                    &slots.pointee.details,
                    &slots.pointee.initial_metadata,
                    poller.completions,
                    poller.completions,
                    tag
                )
            }
            if error != GRPC_CALL_OK { call.cancelTag() }
        }
    }

    // MARK: Stopping

    /// Takes no more calls, lets the running ones end, and then releases the port and the connections.
    func stop() {
        let isFirst = self.state.withLock { state in
            guard state.phase == .bound || state.phase == .listening else { return false }
            state.phase = .stopping
            return true
        }
        guard isFirst else { return }
        grpc_server_shutdown_and_notify(self.handle, self.poller.completions, self.makeTag(.shutdown))
    }

    /// Cancels the calls that still run, after ``stop()``.
    func cancelAllCalls() {
        self.state.withLock { state in
            // Under the lock, so that the server isn't destroyed meanwhile.
            if state.phase == .stopping { grpc_server_cancel_all_calls(self.handle) }
        }
    }

    /// Suspends until every call is over and the server is gone, whether or not the task is cancelled.
    func waitUntilStopped() async {
        await withUnsafeContinuation { (waiter: WaitList.Waiter) in
            let isStopped = self.state.withLock { state in
                if state.phase == .stopped { return true }
                state.waiters.append(waiter, id: 0)
                return false
            }
            if isStopped { waiter.resume() }
        }
    }

    override func complete(_ operation: Operation, succeeded: Bool) {
        guard operation == .shutdown else { return }
        let woken = self.state.withLock { state in
            state.phase = .stopped
            return state.waiters.removeAll()
        }
        grpc_server_destroy(self.handle)
        woken.resume()
    }
}
