import GRPCCore
import GRPCNIOTransportHTTP2
import NIOCore
import RPC
import RPCTestService
import TestSupport

typealias NIOClient = GRPCClient<HTTP2ClientTransport.Posix>

private func pem(_ text: String) -> [TLSConfig.CertificateSource] {
    [.bytes(Array(text.utf8), format: .pem)]
}

/// Lets SwiftNIO take in all that these tests send, so that none of its channels ever counts as full.
///
/// A debug build of swift-nio-http2 1.46 traps when a control frame comes while the socket is full and data waits
/// behind it ("Received flushed data frame without writable channel"), and with it the whole test run. HTTP/2's own
/// flow control, which the tests are about, still holds back what the other side doesn't take.
private func takeAnything(_ channel: any Channel) -> EventLoopFuture<Void> {
    channel.setOption(.writeBufferWaterMark, value: .init(low: 1 << 30, high: 1 << 30))
}

/// Runs a server on the SwiftNIO transport, with mutual TLS.
func withNIOServer(_ service: TestService, _ body: (_ port: Int) async throws -> Void) async throws {
    let (authority, leaf, _) = try Certificates.made.get()
    var config = HTTP2ServerTransport.Posix.Config.defaults
    config.rpc.maxRequestPayloadSize = 100 << 20
    config.channelDebuggingCallbacks.onAcceptTCPConnection = takeAnything
    let transport = HTTP2ServerTransport.Posix(
        address: .ipv4(host: "127.0.0.1", port: 0),
        transportSecurity: .mTLS(
            certificateChain: pem(leaf.certificatePEM),
            privateKey: .bytes(Array(leaf.privateKeyPEM.utf8), format: .pem)
        ) { $0.trustRoots = .certificates(pem(authority.certificatePEM)) },
        config: config
    )
    let server = GRPCServer(transport: transport, router: service.router(for: transport))
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.serve() }
        guard let port = try await transport.listeningAddress.ipv4?.port else {
            throw RPCError(code: .internalError, message: "the server has no port")
        }
        let result = await Result { try await body(port) }
        server.beginGracefulShutdown()
        try await group.waitForAll()
        try result.get()
    }
}

/// Runs a client on the SwiftNIO transport, with mutual TLS.
func withNIOClient(port: Int, _ body: (NIOClient) async throws -> Void) async throws {
    let (authority, _, leaf) = try Certificates.made.get()
    var config = HTTP2ClientTransport.Posix.Config.defaults
    config.channelDebuggingCallbacks.onCreateTCPConnection = takeAnything
    let transport = try HTTP2ClientTransport.Posix(
        target: .dns(host: "localhost", port: port),
        transportSecurity: .mTLS(
            certificateChain: pem(leaf.certificatePEM),
            privateKey: .bytes(Array(leaf.privateKeyPEM.utf8), format: .pem)
        ) { $0.trustRoots = .certificates(pem(authority.certificatePEM)) },
        config: config
    )
    try await withGRPCClient(transport: transport) { try await body($0) }
}
