internal import Logging
internal import NIOCore
internal import NIOSSL

/// Notes whom TLS turned away, and why: the client itself learns only that it was refused.
final class HandshakeFailures: ChannelInboundHandler {
    typealias InboundIn = NIOAny

    private let server: String
    private let logger: Logger

    /// - Parameters:
    ///   - server: what the log calls the server.
    ///   - logger: where it is noted.
    init(of server: String, logger: Logger) {
        self.server = server
        self.logger = logger
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        if case .handshakeFailed(let reason)? = error as? NIOSSLError {
            self.logger.warning(
                "TLS handshake failed",
                metadata: [
                    "server": "\(self.server)",
                    "RemoteAddr": "\(context.channel.remoteAddress?.description ?? "")",
                    "reason": "\("\(reason)".prefix(500))",
                ]
            )
        }
        context.fireErrorCaught(error)
    }
}
