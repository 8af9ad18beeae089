internal import HummingbirdCore
package import Logging
internal import NIOCore
internal import NIOPosix
package import RPC
internal import ServiceLifecycle
internal import Synchronization

/// Serves routes over HTTP/1.1, with or without TLS.
///
/// ```swift
/// let route = HTTPRoute("/hello", requiresClientCertificate: false) { _ in .text(200, "hello\n") }
/// let server = try HTTPServer(listeningOn: "127.0.0.1:0", tls: nil, routes: [route], logger: logger)
/// ```
///
/// Whoever answers 401, 404, 408 or 413 is the server itself; everything else is the routes' matter. Every answer
/// carries `X-Request-Id`.
package final class HTTPServer: Service, CustomStringConvertible {
    /// What logs call the server.
    package let description: String
    private let address: HTTPAddress
    private let tls: ReloadableTLS?
    private let limits: HTTPLimits
    private let routes: [HTTPRoute]
    private let port = BoundPort()
    private let logger: Logger

    /// - Parameters:
    ///   - address: `host:port`; port 0 takes any that is free. Bound by ``run()``.
    ///   - tls: `nil` for plaintext.
    ///   - limits: What one client may take.
    ///   - routes: What answers; paths that none fits get 404.
    ///   - name: What logs and errors call the server.
    ///   - logger: Where it logs.
    /// - Throws: ``HTTPServerError`` when the address is no address, or the TLS files can't be used.
    package init(
        listeningOn address: String,
        tls: ServerTLS?,
        limits: HTTPLimits = HTTPLimits(),
        routes: [HTTPRoute],
        name: String = "HTTPServer",
        logger: Logger
    ) throws(HTTPServerError) {
        self.description = name
        self.address = try HTTPAddress(address)
        if let tls { self.tls = try ReloadableTLS(tls) } else { self.tls = nil }
        self.limits = limits
        self.routes = routes
        self.logger = logger
    }

    /// The port that the server listens on, once it does.
    ///
    /// - Throws: ``HTTPServerError`` when it could not start, `CancellationError`.
    package func boundPort() async throws -> Int { try await self.port.value() }

    /// Has new connections use another certificate, key or client roots.
    ///
    /// - Throws: ``HTTPServerError`` when these can't be used, or the server has no TLS; nothing changes then.
    package func replaceTLS(_ tls: ServerTLS) throws(HTTPServerError) {
        guard let current = self.tls else {
            throw HTTPServerError(
                "\(self.description) on \(self.address.text) serves plaintext: restart it to use TLS"
            )
        }
        try current.replace(tls)
    }

    /// Binds the port and serves until shutdown begins or the task is cancelled.
    ///
    /// - Throws: ``HTTPServerError`` when the port can't be bound.
    package func run() async throws {
        do {
            try await self.serve()
        } catch {
            let failure =
                error is CancellationError
                ? error : HTTPServerError(listeningOn: self.address.text, failure: error)
            self.port.set(.failure(failure))
            throw failure
        }
        self.port.set(.failure(HTTPServerError("\(self.description) has stopped")))
    }

    private func serve() async throws {
        // Hummingbird's own lines repeat ours.
        var quiet = self.logger
        quiet.logLevel = .error
        let answering = HTTPAnswering(
            routes: self.routes,
            limits: self.limits,
            hasTLS: self.tls != nil,
            logger: self.logger
        )
        let channel = ReloadableTLSChannel(
            base: HTTP1Channel(
                responder: { try await answering.answer($0, $1, $2) },
                configuration: .init(
                    idleTimeout: TimeAmount(self.limits.idle),
                    httpDecoderConfiguration: .init(
                        maxHeaderFieldSize: self.limits.headerBytes,
                        maxHeaderListSize: self.limits.headerBytes,
                        maxHeaderFieldCount: self.limits.headerFields
                    )
                )
            ),
            tls: self.tls,
            name: self.description,
            log: self.logger
        )
        let server = channel.server(
            configuration: ServerConfiguration(
                address: .hostname(self.address.host, port: self.address.port),
                availableConnectionsDelegate: .maximum(self.limits.connections, logger: quiet)
            ),
            onServerRunning: { listening in
                let port = listening.localAddress?.port ?? self.address.port
                self.port.set(.success(port))
                self.logger.info(
                    "\(self.description) listens",
                    metadata: ["address": "\(self.address.host):\(port)", "tls": "\(self.tls != nil)"]
                )
            },
            // Connections that still close when `run` ends need their event loop.
            eventLoopGroup: MultiThreadedEventLoopGroup.singleton,
            logger: quiet
        )
        let patience = self.limits.shutdown
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await server.run() }
            tasks.addTask {
                // Requests at hand may end; then their connections are closed.
                try await gracefulShutdown()
                try await Task.sleep(for: patience)
            }
            defer { tasks.cancelAll() }
            try await tasks.next()
        }
    }
}

/// The port of a server, known once it listens.
private final class BoundPort: Sendable {
    private enum State {
        case waiting([CheckedContinuation<Int, any Error>])
        case known(Result<Int, any Error>)
    }

    private let state = Mutex(State.waiting([]))

    func set(_ result: Result<Int, any Error>) {
        let waiting: [CheckedContinuation<Int, any Error>] = self.state.withLock { state in
            defer { state = .known(result) }
            guard case .waiting(let continuations) = state else { return [] }
            return continuations
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    func value() async throws -> Int {
        try await withCheckedThrowingContinuation { continuation in
            let known: Result<Int, any Error>? = self.state.withLock { state in
                switch state {
                case .known(let result): return result
                case .waiting(let others):
                    state = .waiting(others + [continuation])
                    return nil
                }
            }
            if let known { continuation.resume(with: known) }
        }
    }
}
