import Foundation
import NIOCore
import NIOPosix
import NIOSSL
import TestSupport

/// Sends bytes as they are and gives back what comes until the server closes.
struct RawClient {
    struct NoAnswer: Error {}

    var port: Int
    /// Over TLS when there is an authority that the server's certificate leads to.
    var authority: TLSTestAuthority?
    var certificate: TLSTestAuthority.Leaf?

    /// One request whose connection the server is asked to close.
    func request(_ line: String, fields: [String] = [], body: String = "") async throws -> Answer {
        var lines = ["\(line) HTTP/1.1", "Host: test", "Connection: close"] + fields
        if !body.isEmpty { lines.append("Content-Length: \(body.utf8.count)") }
        return try await Answer(self.send(lines.joined(separator: "\r\n") + "\r\n\r\n" + body))
    }

    /// - Throws: what TLS refused, or that the server closed without a word.
    func send(_ text: String) async throws -> String {
        let context = try self.context()
        let socket = try await ClientBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .channelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    guard let context else { return }
                    try channel.pipeline.syncOperations.addHandler(
                        NIOSSLClientHandler(context: context, serverHostname: "localhost")
                    )
                }
            }
            .connect(host: "127.0.0.1", port: self.port).get()
        let channel: NIOAsyncChannel<ByteBuffer, ByteBuffer>
        do {
            // Not before it is connected: SwiftNIO ends the process when it gives up a connection that is one already.
            channel = try await socket.eventLoop.submit {
                try NIOAsyncChannel(wrappingChannelSynchronously: socket)
            }.get()
        } catch is ChannelError {
            // The server closed at once.
            throw NoAnswer()
        }
        return try await channel.executeThenClose { inbound, outbound in
            var answer = ByteBuffer()
            do {
                try await outbound.write(ByteBuffer(string: text))
                for try await part in inbound { answer.writeImmutableBuffer(part) }
            } catch is ChannelError {
                // The server closed before it had read everything, or before anything was sent.
            } catch  where answer.readableBytes > 0 {
                // As above, where the kernel tells of it.
            }
            guard answer.readableBytes > 0 else { throw NoAnswer() }
            return String(buffer: answer)
        }
    }

    private func context() throws -> NIOSSLContext? {
        guard let authority else { return nil }
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.trustRoots = .certificates(
            try NIOSSLCertificate.fromPEMBytes(Array(authority.certificatePEM.utf8))
        )
        if let certificate {
            configuration.certificateChain = try NIOSSLCertificate.fromPEMBytes(
                Array(certificate.certificatePEM.utf8)
            ).map { .certificate($0) }
            configuration.privateKey = .privateKey(
                try NIOSSLPrivateKey(bytes: Array(certificate.privateKeyPEM.utf8), format: .pem)
            )
        }
        return try NIOSSLContext(configuration: configuration)
    }
}

/// An HTTP answer, taken apart just enough for tests.
struct Answer {
    var status: Int
    var head: String
    var body: String

    struct Unreadable: Error { var text: String }

    init(_ text: String) throws {
        guard let end = text.range(of: "\r\n\r\n"),
            let status = text.split(separator: " ").dropFirst().first.flatMap({ Int($0) })
        else { throw Unreadable(text: text) }
        self.status = status
        self.head = String(text[..<end.lowerBound])
        self.body = String(text[end.upperBound...])
    }

    func field(_ name: String) -> String? {
        self.head.split(separator: "\r\n").first { $0.lowercased().hasPrefix(name.lowercased() + ":") }
            .map { $0.dropFirst(name.count + 1).trimmingCharacters(in: .whitespaces) }
    }
}
