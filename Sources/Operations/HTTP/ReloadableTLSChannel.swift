internal import HummingbirdCore
internal import Logging
internal import NIOCore
internal import NIOSSL
internal import Synchronization

/// Sets up a connection with HTTP/1.1, over TLS where there is any.
struct ReloadableTLSChannel: ServerChildChannel {
    let base: HTTP1Channel
    let tls: ReloadableTLS?
    /// What the log calls the server.
    let name: String
    /// Where failed handshakes are noted.
    let log: Logger

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<AcceptedConnection> {
        channel.eventLoop.makeCompletedFuture {
            guard let tls = self.tls else { return }
            try channel.pipeline.syncOperations.addHandlers(
                NIOSSLServerHandler(context: tls.current),
                HandshakeFailures(of: self.name, logger: self.log)
            )
        }.flatMap {
            self.base.setup(channel: channel, logger: logger).map(AcceptedConnection.init)
        }
    }

    func handle(value: AcceptedConnection, logger: Logger) async {
        guard let connection = value.take() else { return }
        await self.base.handle(value: connection, logger: logger)
    }
}

/// A connection that was accepted, until it is served.
///
/// A server that stops drops those that it has accepted and not begun to serve. SwiftNIO ends the process when a
/// `NIOAsyncChannel` goes without having been closed, so it is closed here.
final class AcceptedConnection: ServerChildChannelValue {
    let channel: any Channel
    private let waiting: Mutex<HTTP1Channel.Value?>

    init(_ connection: HTTP1Channel.Value) {
        self.channel = connection.channel
        self.waiting = Mutex(connection)
    }

    deinit {
        guard let dropped = self.take() else { return }
        Task { try? await dropped.executeThenClose { _, _ in } }
    }

    /// The connection, the first time.
    func take() -> HTTP1Channel.Value? {
        self.waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
    }
}
