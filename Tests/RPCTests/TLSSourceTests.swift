import GRPCCore
import RPC
import RPCTestService
import TestSupport
import Testing

@Suite struct TLSSourceTests {
    /// Sends a message through an open `chat` and awaits its echo.
    private final class OpenStream: Sendable {
        private let requests: AsyncStream<[UInt8]>.Continuation
        private let answers: AsyncStream<[UInt8]>
        private let task: Task<Void, any Error>

        init(_ client: CoreClient) {
            let (requests, request) = AsyncStream<[UInt8]>.makeStream()
            let (answers, answer) = AsyncStream<[UInt8]>.makeStream()
            (self.requests, self.answers) = (request, answers)
            self.task = Task {
                try await client.bidirectionalStreaming(
                    request: StreamingClientRequest { writer in
                        for await message in requests { try await writer.write(message) }
                    },
                    descriptor: TestMethod.chat,
                    serializer: RawCoder(),
                    deserializer: RawCoder(),
                    options: .defaults
                ) { response in
                    defer { answer.finish() }
                    for try await message in response.messages { answer.yield(message) }
                }
            }
        }

        func echo(_ message: [UInt8]) async -> [UInt8]? {
            self.requests.yield(message)
            return await self.answers.first { _ in true }
        }

        func end() async throws {
            self.requests.finish()
            try await self.task.value
        }
    }

    private func expectEcho(_ stream: OpenStream, _ message: [UInt8]) async throws {
        let echo = await stream.echo(message)
        #expect(echo == message)
    }

    private func expectEcho(_ client: CoreClient, _ message: [UInt8]) async throws {
        let echo = try await client.unary(message).message
        #expect(echo == message)
    }

    @Test func aRenewedServerIdentityIsPresentedToNewConnectionsWhileOldStreamsGoOn() async throws {
        let successor = try TLSTestAuthority(name: "successor")
        let renewed = TLSIdentity(try successor.issue("server"))
        let source = try TLSSource(try Certificates.serverTLS())
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0", tlsSource: source)
        let port = transport.boundPort
        var trustsSuccessor = try Certificates.clientTLS()
        trustsSuccessor.rootsPEM = successor.certificatePEM
        try await serve(TestService(), on: transport) {
            try await withCoreClient(port: port) { client in
                let stream = OpenStream(client)
                try await expectEcho(stream, [1])
                try await withCoreClient(port: port, tls: trustsSuccessor) { newcomer in
                    let early = try await newcomer.unary([1])
                    #expect(throws: RPCError.self) { try early.message }
                }

                try source.update { $0.identity = renewed }

                try await withCoreClient(port: port, tls: trustsSuccessor) { newcomer in
                    try await expectEcho(newcomer, [2])
                }
                try await withCoreClient(port: port) { newcomer in
                    let late = try await newcomer.unary([3])
                    #expect(throws: RPCError.self) { try late.message }
                }
                try await expectEcho(stream, [4])
                try await expectEcho(client, [5])
                try await stream.end()
            }
        }
    }

    @Test func anAuthorityThatIsAddedToTheRootsLetsItsClientsIn() async throws {
        let joining = try TLSTestAuthority(name: "joining")
        var clientTLS = try Certificates.clientTLS()
        clientTLS.identity = TLSIdentity(try joining.issue("client"))
        let newcomer = clientTLS
        let source = try TLSSource(try Certificates.serverTLS())
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0", tlsSource: source)
        let port = transport.boundPort
        try await serve(TestService(), on: transport) {
            try await withCoreClient(port: port, tls: newcomer) { client in
                let early = try await client.unary([1])
                #expect(throws: RPCError.self) { try early.message }
            }
            try source.update { $0.clientRootsPEM += "\n" + joining.certificatePEM }
            for tls in [newcomer, try Certificates.clientTLS()] {
                try await withCoreClient(port: port, tls: tls) { client in
                    try await expectEcho(client, [2])
                }
            }
        }
    }

    @Test func aClientsNewCallsPresentItsRenewedIdentityWhileItsOldStreamGoesOn() async throws {
        let (authority, _, client) = try Certificates.made.get()
        let renewed = try authority.issue("client")
        let source = try TLSSource(try Certificates.clientTLS())
        try await withCoreServer(TestService()) { port in
            let transport = try CoreClientTransport(target: "localhost:\(port)", tlsSource: source)
            try await withGRPCClient(transport: transport) { rpc in
                func presented() async throws -> String {
                    String(decoding: try await rpc.unary([], TestMethod.whoAmI).message, as: UTF8.self)
                }
                let stream = OpenStream(rpc)
                try await expectEcho(stream, [1])
                let before = try await presented()
                #expect(before.filter(\.isBase64) == client.certificatePEM.filter(\.isBase64))

                try source.update { $0.identity = TLSIdentity(renewed) }

                let after = try await presented()
                #expect(after.filter(\.isBase64) == renewed.certificatePEM.filter(\.isBase64))
                try await expectEcho(stream, [2])
                try await stream.end()
            }
        }
    }

    @Test func materialThatIsNotPEMIsRefusedAndNothingChanges() throws {
        let source = try TLSSource(try Certificates.serverTLS())
        let before = source.current.clientRootsPEM
        #expect(throws: TransportError.self) {
            try source.update { $0.clientRootsPEM = "not a certificate" }
        }
        #expect(source.current.clientRootsPEM == before)
    }

    @Test func aKeyOfAnotherCertificateLeavesTheServerWithWhatItHad() async throws {
        let (authority, _, _) = try Certificates.made.get()
        let (one, other) = (try authority.issue("one"), try authority.issue("other"))
        let source = try TLSSource(try Certificates.serverTLS())
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0", tlsSource: source)
        try await serve(TestService(), on: transport) {
            try source.update {
                $0.identity = TLSIdentity(
                    certificateChainPEM: one.certificatePEM,
                    privateKeyPEM: other.privateKeyPEM
                )
            }
            try await withCoreClient(port: transport.boundPort) { client in
                try await expectEcho(client, [1])
            }
        }
    }
}

extension Character {
    fileprivate var isBase64: Bool { self.isLetter || self.isNumber || self == "+" || self == "/" }
}
