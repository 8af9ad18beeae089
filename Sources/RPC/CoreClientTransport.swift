internal import CGRPC
package import GRPCCore
internal import Synchronization

/// A gRPC client on C core, for `GRPCClient(transport:)`.
///
/// The connection is made with the first call and made again when it is lost. A call that finds no connection
/// waits while one is being made and fails with `unavailable` when that didn't work, or keeps waiting if its
/// options say `waitForReady`.
///
/// The response of a call whose server sends empty initial metadata begins with the first message or the
/// status, whichever comes.
package final class CoreClientTransport: ClientTransport {
    package typealias Bytes = MessageBytes

    private let target: String
    private let tls: TLSSource<ClientTLS>?
    private let options: TransportOptions
    private let pollers: PollerGroup
    /// Which TLS the channel in `state` has; set under that lock.
    private let tlsVersion = Atomic<Int>(0)
    private let state: Mutex<State>

    private struct State {
        /// `nil` once the transport shuts down.
        var channel: ClientChannel?
        var running: [ObjectIdentifier: ClientCall] = [:]
        var waiters = WaitList()

        mutating func wakeIfDone() -> WaitList.Woken? {
            self.channel == nil && self.running.isEmpty ? self.waiters.removeAll() : nil
        }
    }

    /// - Parameters:
    ///   - target: `host:port`.
    ///   - tls: the client's TLS, or `nil` for plaintext.
    ///   - options: limits and timings.
    ///   - pollers: the threads that serve the calls; `nil` makes a group of its own.
    /// - Throws: ``TransportError`` if the certificates or the key can't be used.
    package convenience init(
        target: String,
        tls: ClientTLS? = nil,
        options: TransportOptions = TransportOptions(),
        pollers: PollerGroup? = nil
    ) throws(TransportError) {
        var source: TLSSource<ClientTLS>?
        if let tls { source = try TLSSource(tls) }
        try self.init(target: target, tlsSource: source, options: options, pollers: pollers)
    }

    /// Makes a client with TLS that may be replaced.
    ///
    /// As ``init(target:tls:options:pollers:)``. The first call after an update makes a new connection; calls
    /// that run keep theirs.
    ///
    /// - Throws: ``TransportError`` if C core refuses the target or the TLS.
    package init(
        target: String,
        tlsSource: TLSSource<ClientTLS>?,
        options: TransportOptions = TransportOptions(),
        pollers: PollerGroup? = nil
    ) throws(TransportError) {
        self.target = target
        self.tls = tlsSource
        self.options = options
        self.pollers = pollers ?? PollerGroup()
        self.state = Mutex(State())
        let (channel, version) = try self.makeChannel()
        self.state.withLock { $0.channel = channel }
        self.tlsVersion.store(version, ordering: .relaxed)
    }

    private func makeChannel() throws(TransportError) -> (ClientChannel, version: Int) {
        let versioned = self.tls?.versioned
        let channel = try ClientChannel(
            target: self.target,
            tls: versioned?.tls,
            options: self.options,
            pollers: self.pollers
        )
        return (channel, versioned?.version ?? 0)
    }

    /// Makes a new connection for the calls to come, if the TLS is another one than before.
    ///
    /// Should core refuse it, calls go on with what there is, and the next one tries again.
    private func followTLS() {
        guard let tls, self.tlsVersion.load(ordering: .relaxed) != tls.version,
            let (channel, version) = try? self.makeChannel()
        else { return }
        let replaced = self.state.withLock { state -> ClientChannel? in
            // The client may have been shut down, or another call may have been faster.
            guard let old = state.channel, self.tlsVersion.load(ordering: .relaxed) < version else {
                return channel
            }
            state.channel = channel
            self.tlsVersion.store(version, ordering: .relaxed)
            return old
        }
        // Closed here, outside the lock, unless calls still run on it.
        _ = consume replaced
    }

    package var retryThrottle: RetryThrottle? { nil }

    package func config(forMethod descriptor: MethodDescriptor) -> MethodConfig? { nil }

    package func connect() async throws {
        await withTaskCancellationHandler {
            await withUnsafeContinuation { (waiter: WaitList.Waiter) in
                let isDone = self.state.withLock { state in
                    if state.channel == nil && state.running.isEmpty { return true }
                    state.waiters.append(waiter, id: 0)
                    return false
                }
                if isDone { waiter.resume() }
            }
        } onCancel: {
            self.beginGracefulShutdown()
            for call in self.state.withLock({ Array($0.running.values) }) { call.cancelByCaller() }
        }
        try Task.checkCancellation()
    }

    package func beginGracefulShutdown() {
        // The last running call closes the connection.
        let (channel, woken) = self.state.withLock { state in
            (state.channel.take(), state.wakeIfDone())
        }
        _ = consume channel
        if let woken { woken.resume() }
    }

    package func withStream<Value: Sendable>(
        descriptor: MethodDescriptor,
        options: CallOptions,
        _ closure: (RPCStream<Inbound, Outbound>, ClientContext) async throws -> Value
    ) async throws -> Value {
        let call = try self.makeCall(descriptor, options)
        defer { self.leave(call) }
        let stream = RPCStream(
            descriptor: descriptor,
            inbound: RPCAsyncSequence(
                wrapping: ClientInbound(call: call, isSingle: descriptor.type?.isResponseStreaming == false)
            ),
            outbound: RPCWriter.Closable(wrapping: ClientOutbound(call: call))
        )
        let context = ClientContext(descriptor: descriptor, remotePeer: self.target, localPeer: "unknown")
        return try await withTaskCancellationHandler {
            try await closure(stream, context)
        } onCancel: {
            call.cancelByCaller()
        }
    }

    func makeCall(_ descriptor: MethodDescriptor, _ options: CallOptions) throws(RPCError)
        -> ClientCall
    {
        self.followTLS()
        let call: ClientCall? = self.state.withLock { state in
            guard let channel = state.channel else { return nil }
            let call = ClientCall(channel: channel, descriptor: descriptor, options: options)
            state.running[ObjectIdentifier(call)] = call
            return call
        }
        guard let call else {
            throw RPCError(
                code: .failedPrecondition,
                message: "The client for \(self.target) has been shut down."
            )
        }
        return call
    }

    /// Ends a call whose user is done with it.
    func leave(_ call: ClientCall) {
        call.cancelByCaller()
        let woken = self.state.withLock { state in
            state.running[ObjectIdentifier(call)] = nil
            return state.wakeIfDone()
        }
        if let woken { woken.resume() }
    }
}

/// Core's channel: the connections to one target.
final class ClientChannel: @unchecked Sendable {
    // Why `@unchecked`: `handle` never changes, and core's channel may be used from any thread until it is
    // destroyed, which `deinit` does; `methods` is a lock.
    private let handle: OpaquePointer
    private let methods = Mutex<[MethodDescriptor: Registration]>([:])
    let pollers: PollerGroup

    /// Core's handle of a method: an identity, which core looks up.
    private struct Registration: @unchecked Sendable {
        // Why `@unchecked`: only handed to core.
        let pointer: UnsafeMutableRawPointer
        let name: UnsafeMutablePointer<CChar>
    }

    init(
        target: String,
        tls: ClientTLS?,
        options: TransportOptions,
        pollers: PollerGroup
    ) throws(TransportError) {
        var arguments = options.clientArguments
        if let name = tls?.serverNameOverride {
            arguments["grpc.ssl_target_name_override"] = .string(name)
        }
        let channel = try tls.withCredentials { credentials in
            arguments.withChannelArguments { grpc_channel_create(target, credentials, $0) }
        }
        guard let channel else { throw TransportError(.state, "C core made no channel to \(target)") }
        self.handle = channel
        self.pollers = pollers
    }

    deinit {
        grpc_channel_destroy(self.handle)
        self.methods.withLock { methods in
            for registration in methods.values { gpr_free(registration.name) }
        }
    }

    /// Makes a call, which the caller owns.
    func makeCall(_ descriptor: MethodDescriptor, queue: OpaquePointer, deadline: gpr_timespec)
        -> OpaquePointer?
    {
        let registration = self.methods.withLock { methods -> Registration? in
            if let known = methods[descriptor] { return known }
            // Core wants the name to live as long as the channel.
            guard let name = gpr_strdup("/\(descriptor.fullyQualifiedMethod)") else { return nil }
            guard let pointer = grpc_channel_register_call(self.handle, name, nil, nil) else {
                gpr_free(name)
                return nil
            }
            let registration = Registration(pointer: pointer, name: name)
            methods[descriptor] = registration
            return registration
        }
        guard let registration else { return nil }
        return grpc_channel_create_registered_call(
            self.handle,
            nil,
            0,
            queue,
            registration.pointer,
            deadline,
            nil
        )
    }
}
