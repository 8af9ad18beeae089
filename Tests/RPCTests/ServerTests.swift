import GRPCCore
import RPCTestService
import TestSupport
import Testing

@testable import RPC

@Suite struct ServerTests {
    @Test func handlersSeeTheClientsCertificate() async throws {
        let (_, _, client) = try Certificates.made.get()
        try await withCoreServerAndClient { rpc in
            let seen = try await rpc.unary([], TestMethod.whoAmI).message
            #expect(
                String(decoding: seen, as: UTF8.self).filter { !$0.isNewline }
                    == client.certificatePEM.filter { !$0.isNewline }
            )
        }
    }

    @Test(arguments: [
        (ClientCertificatePolicy.required, true, "certificate"), (.required, false, "refused"),
        (.requested, true, "certificate"), (.requested, false, "nobody"),
        (.none, true, "nobody"), (.none, false, "nobody"),
    ])
    func clientCertificatePoliciesHold(policy: ClientCertificatePolicy, presents: Bool, expected: String)
        async throws
    {
        try await withCoreServerAndClient(
            serverTLS: Certificates.serverTLS(policy),
            clientTLS: Certificates.clientTLS(presents: presents)
        ) { client in
            let response = try await client.unary([], TestMethod.whoAmI)
            switch expected {
            case "refused":
                let error = #expect(throws: RPCError.self) { try response.message }
                #expect(error?.code == .unavailable)
            case "nobody":
                #expect(try response.message == Array("nobody".utf8))
            default:
                #expect(
                    String(decoding: try response.message, as: UTF8.self).hasPrefix("-----BEGIN CERTIFICATE")
                )
            }
        }
    }

    @Test func aClientCertificateOfAnotherAuthorityIsRefused() async throws {
        let stranger = try TLSTestAuthority(name: "stranger")
        let leaf = try stranger.issue("client")
        for policy in [ClientCertificatePolicy.required, .requested] {
            var tls = try Certificates.clientTLS()
            tls.identity = TLSIdentity(
                certificateChainPEM: leaf.certificatePEM,
                privateKeyPEM: leaf.privateKeyPEM
            )
            try await withCoreServerAndClient(serverTLS: Certificates.serverTLS(policy), clientTLS: tls) {
                client in
                let response = try await client.unary([1])
                #expect(throws: RPCError.self) { try response.message }
            }
        }
    }

    @Test func aServerOfAnotherAuthorityIsRefused() async throws {
        var tls = try Certificates.clientTLS()
        tls.rootsPEM = try TLSTestAuthority(name: "stranger").certificatePEM
        try await withCoreServerAndClient(clientTLS: tls) { client in
            let response = try await client.unary([1])
            let error = #expect(throws: RPCError.self) { try response.message }
            #expect(error?.code == .unavailable)
        }
    }

    @Test func aPortInUseIsNamedWithTheFix() async throws {
        let first = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let error = #expect(throws: TransportError.self) {
            try CoreServerTransport(listeningOn: "127.0.0.1:\(first.boundPort)")
        }
        #expect(error?.description.contains("127.0.0.1:\(first.boundPort)") == true)
        #expect(error?.description.contains("in use by another program") == true)
    }

    @Test(arguments: [
        "", "nowhere", "127.0.0.1", "127.0.0.1:99999", "203.0.113.1:0", "no.such.host.invalid:80",
    ])
    func anUnusableAddressIsNamed(address: String) {
        let error = #expect(throws: TransportError.self) { try CoreServerTransport(listeningOn: address) }
        #expect(error?.description.contains(address) == true)
    }

    @Test func brokenCertificatesAreRefused() throws {
        var tls = try Certificates.serverTLS()
        tls.identity.certificateChainPEM = "nonsense"
        #expect(throws: TransportError.self) { try CoreServerTransport(listeningOn: "127.0.0.1:0", tls: tls) }
        tls = try Certificates.serverTLS()
        tls.identity.privateKeyPEM = try Certificates.made.get().2.privateKeyPEM  // another certificate's key
        let error = #expect(throws: TransportError.self) {
            try CoreServerTransport(listeningOn: "127.0.0.1:0", tls: tls)
        }
        #expect(error?.reason == .tls)
        #expect(throws: TransportError.self) {
            try CoreClientTransport(target: "localhost:1", tls: ClientTLS(rootsPEM: ""))
        }
    }

    @Test func gracefulShutdownLetsRunningCallsEnd() async throws {
        let service = TestService()
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let server = GRPCServer(transport: transport, router: service.router(for: transport))
        async let serving: Void = server.serve()
        try await withCoreClient(port: transport.boundPort, tls: nil) { client in
            let (answers, answered) = AsyncStream<Void>.makeStream()
            let messages = try await client.bidirectionalStreaming(
                request: StreamingClientRequest { writer in
                    try await writer.write([1])
                    for await _ in answers { break }
                    server.beginGracefulShutdown()
                    try await writer.write([2])
                },
                descriptor: TestMethod.chat,
                serializer: RawCoder(),
                deserializer: RawCoder(),
                options: .defaults
            ) { try await allParts(of: $0) { answered.yield() }.0 }
            #expect(messages == [[1], [2]])
        }
        try await serving
    }

    @Test func gracefulShutdownCancelsWhatOutlastsItsTime() async throws {
        let service = TestService()
        var options = TransportOptions()
        options.gracefulShutdownTimeout = .milliseconds(20)
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0", options: options)
        let server = GRPCServer(transport: transport, router: service.router(for: transport))
        async let serving: Void = server.serve()
        try await withCoreClient(port: transport.boundPort, tls: nil) { client in
            let call = Task { try await client.unary([], TestMethod.hang).message }
            try await service.began.wait()
            server.beginGracefulShutdown()
            #expect(code(of: await call.result) != nil)
        }
        try await serving
    }

    @Test func cancellingTheServersTaskEndsItAtOnce() async throws {
        let service = TestService()
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let server = GRPCServer(transport: transport, router: service.router(for: transport))
        let serving = Task { try await server.serve() }
        try await withCoreClient(port: transport.boundPort, tls: nil) { client in
            let call = Task { try await client.unary([], TestMethod.hang).message }
            try await service.began.wait()
            serving.cancel()
            _ = await serving.result
            #expect(code(of: await call.result) != nil)
        }
    }
}
