import GRPCCore
import RPCTestService
import Testing

@testable import RPC

@Suite struct ConnectionTests {
    @Test func aClientFindsAServerThatCameBack() async throws {
        var options = TransportOptions()
        options.initialReconnectDelay = .milliseconds(10)
        options.maxReconnectDelay = .milliseconds(50)
        let reserved = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let port = reserved.boundPort
        reserved.beginGracefulShutdown()
        try await withCoreClient(port: port, options: options) { client in
            for _ in 0..<3 {
                try await Self.withServer(port: port) {
                    var patient = CallOptions.defaults
                    patient.waitForReady = true
                    let answer = try await client.unary([1], options: patient).message
                    #expect(answer == [1])
                }
                let response = try await client.unary([1])
                let error = #expect(throws: RPCError.self) { try response.message }
                #expect(error?.code == .unavailable)
            }
        }
    }

    /// A server on a port that was in use a moment ago.
    private static func withServer(port: Int, _ body: () async throws -> Void) async throws {
        let service = TestService()
        var transport: CoreServerTransport?
        try await eventually {
            transport = try? CoreServerTransport(
                listeningOn: "127.0.0.1:\(port)",
                tls: Certificates.serverTLS()
            )
            return transport != nil
        }
        guard let transport else { return }
        let server = GRPCServer(transport: transport, router: service.router(for: transport))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            try await body()
            server.beginGracefulShutdown()
            try await group.waitForAll()
        }
    }

    @Test(arguments: [true, false])
    func connectionsAreCounted(isEncrypted: Bool) async throws {
        let transport = try CoreServerTransport(
            listeningOn: "127.0.0.1:0",
            tls: isEncrypted ? Certificates.serverTLS() : nil
        )
        let port = transport.boundPort
        let tls = isEncrypted ? try Certificates.clientTLS() : nil
        try await serve(TestService(), on: transport) {
            #expect(transport.connectionCounts == ConnectionCounts(opened: 0, closed: 0))
            for count in 1...2 {
                try await withCoreClient(port: port, tls: tls) { client in
                    let answer = try await client.unary([1]).message
                    #expect(answer == [1])
                    #expect(transport.connectionCounts == ConnectionCounts(opened: count, closed: count - 1))
                }
                try await eventually {
                    transport.connectionCounts == ConnectionCounts(opened: count, closed: count)
                }
            }
        }
    }

    @Test func keepaliveNoticesAConnectionThatWentSilent() async throws {
        var options = TransportOptions()
        options.keepaliveInterval = .milliseconds(100)
        // Longer than a busy machine lets a living connection wait.
        options.keepaliveTimeout = .seconds(3)
        options.minimumPingInterval = .milliseconds(1)
        let service = TestService()
        try await withCoreServer(service, options: options) { port in
            let wire = try FreezableWire(to: port)
            try await withCoreClient(port: wire.port, options: options) { client in
                let call = Task { try await client.unary([], TestMethod.hang).message }
                try await service.began.wait()
                wire.freeze()
                #expect(code(of: await call.result) == .unavailable)
            }
            // The server notices on its own.
            try await service.ended.wait()
        }
    }

    @Test func keepaliveLeavesALivingConnectionAlone() async throws {
        var options = TransportOptions()
        options.keepaliveInterval = .milliseconds(20)
        options.minimumPingInterval = .milliseconds(1)
        let service = TestService()
        try await withCoreServerAndClient(service, options: options) { client in
            let call = Task { try await client.unary([], TestMethod.hang).message }
            try await service.began.wait()
            try await Task.sleep(for: .milliseconds(300))  // many intervals
            let answer = try await client.unary([1]).message
            #expect(answer == [1])
            call.cancel()
            #expect(code(of: await call.result) == .cancelled)
        }
    }

    @Test func callsOfAClosedClientFail() async throws {
        let transport = try CoreClientTransport(target: "localhost:1")
        let client = GRPCClient(transport: transport)
        let running = Task { try await client.runConnections() }
        transport.beginGracefulShutdown()
        try await running.value
        await #expect(throws: RPCError.self) {
            try await transport.withStream(descriptor: TestMethod.unary, options: .defaults) { _, _ in }
        }
    }

    @Test func cancellingTheClientsTaskCancelsItsCalls() async throws {
        let service = TestService()
        try await withCoreServer(service) { port in
            let transport = try CoreClientTransport(
                target: "localhost:\(port)",
                tls: Certificates.clientTLS()
            )
            let client = GRPCClient(transport: transport)
            let running = Task { try await client.runConnections() }
            let call = Task { try await client.unary([], TestMethod.hang).message }
            try await service.began.wait()
            running.cancel()
            #expect(code(of: await call.result) == .cancelled)
            _ = await running.result
            try await service.ended.wait()
        }
    }

    @Test func retriesOfGRPCCoreWork() async throws {
        try await withCoreServerAndClient { client in
            var options = CallOptions.defaults
            options.executionPolicy = .retry(
                RetryPolicy(
                    maxAttempts: 3,
                    initialBackoff: .milliseconds(1),
                    maxBackoff: .milliseconds(1),
                    backoffMultiplier: 1,
                    retryableStatusCodes: [.unavailable]
                )
            )
            let answer = try await client.unary([4], TestMethod.flaky, options: options).message
            #expect(answer == [4])
            let response = try await client.unary([4], TestMethod.flaky)
            let error = #expect(throws: RPCError.self) { try response.message }
            #expect(error?.code == .unavailable)
        }
    }
}
