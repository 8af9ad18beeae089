package import GRPCCore
internal import Synchronization

/// A gRPC server on C core, for `GRPCServer(transport:services:)`.
///
/// The port is bound when the transport is made, and calls are taken once the server runs. The task of a
/// handler is cancelled, beside its `ServerContext.cancellation`, when the client cancels, the deadline passes
/// or the connection is lost; reading then throws `RPCError` with code `cancelled`, and so does writing. What
/// must happen whatever the client does belongs into a task of its own.
///
/// When the server shuts down gracefully, running calls have ``TransportOptions/gracefulShutdownTimeout`` to
/// end; then they are cancelled.
package final class CoreServerTransport: ServerTransport {
    package typealias Bytes = MessageBytes

    private let server: ListeningServer
    private let options: TransportOptions
    /// The task that cancels what still runs after the time-out of a graceful shutdown.
    private let reaper = Mutex<Task<Void, Never>?>(nil)

    /// The port that the server listens on; what the system chose, if the address said 0.
    package var boundPort: Int { self.server.port }

    /// How many connections there have been until now.
    package var connectionCounts: ConnectionCounts { self.server.connectionCounts }

    /// Binds to an address.
    ///
    /// - Parameters:
    ///   - address: `host:port`; port 0 takes any that is free.
    ///   - tls: the server's TLS, or `nil` for plaintext.
    ///   - options: limits and timings.
    ///   - pollers: the threads that serve the calls; `nil` makes a group of its own.
    /// - Throws: ``TransportError`` that says why the address or the TLS identity can't be used.
    package convenience init(
        listeningOn address: String,
        tls: ServerTLS? = nil,
        options: TransportOptions = TransportOptions(),
        pollers: PollerGroup? = nil
    ) throws(TransportError) {
        var source: TLSSource<ServerTLS>?
        if let tls { source = try TLSSource(tls) }
        try self.init(listeningOn: address, tlsSource: source, options: options, pollers: pollers)
    }

    /// Binds to an address, with TLS that may be replaced.
    ///
    /// As ``init(listeningOn:tls:options:pollers:)``. Which certificates clients must present is settled here;
    /// identity and roots follow `tlsSource`.
    ///
    /// - Throws: ``TransportError`` that says why the address or the TLS identity can't be used.
    package init(
        listeningOn address: String,
        tlsSource: TLSSource<ServerTLS>?,
        options: TransportOptions = TransportOptions(),
        pollers: PollerGroup? = nil
    ) throws(TransportError) {
        self.options = options
        self.server = try ListeningServer(
            address: address,
            tls: tlsSource,
            options: options,
            pollers: pollers ?? PollerGroup()
        )
    }

    deinit {
        self.server.stop()
    }

    package func configure(context: GRPCServerContext) {
        self.server.register(context.methods)
    }

    /// Answers the calls of some methods, which the server's services must have too, without GRPCCore.
    ///
    /// To be called before the server runs.
    package func answerDirectly(_ methods: [DirectMethod]) {
        self.server.answerDirectly(methods)
    }

    /// The same for methods with streams of requests.
    package func answerDirectly(_ methods: [DirectStreamMethod]) {
        self.server.answerDirectly(methods)
    }

    package func listen(
        streamHandler: @escaping @Sendable (RPCStream<Inbound, Outbound>, ServerContext) async -> Void
    ) async throws {
        try self.server.start(streamHandler)
        await withTaskCancellationHandler {
            await self.server.waitUntilStopped()
        } onCancel: {
            self.server.stop()
            self.server.cancelAllCalls()
        }
        self.reaper.withLock { $0 }?.cancel()
        try Task.checkCancellation()
    }

    package func beginGracefulShutdown() {
        self.server.stop()
        let (server, timeout) = (self.server, self.options.gracefulShutdownTimeout)
        self.reaper.withLock { reaper in
            guard reaper == nil else { return }
            reaper = Task {
                guard (try? await Task.sleep(for: timeout)) != nil else { return }
                server.cancelAllCalls()
            }
        }
    }
}
