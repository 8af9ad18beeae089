import GRPCCore
import GRPCNIOTransportHTTP2
import RPC
import RPCTestService
import Synchronization

/// A client on GRPCCore, whatever the transport.
final class SwiftClient<Transport: ClientTransport>: BenchmarkClient {
    private let client: GRPCClient<Transport>
    /// What the calls run on; `nil` for Swift's own threads.
    private let executor: (any TaskExecutor)?

    init(_ transport: Transport, executor: (any TaskExecutor)? = nil) {
        let client = GRPCClient(transport: transport)
        self.client = client
        self.executor = executor
        Task { try await client.runConnections() }
    }

    func close() { self.client.beginGracefulShutdown() }

    func unary(count: Int, concurrency: Int) async throws {
        try await withTaskExecutorPreference(self.executor) {
            try await self.makeUnaryCalls(count: count, concurrency: concurrency)
        }
    }

    func loneMedian(count: Int) async throws -> Double {
        try await withTaskExecutorPreference(self.executor) { try await self.makeLoneCalls(count: count) }
    }

    func stream(count: Int) async throws {
        try await withTaskExecutorPreference(self.executor) {
            try await receiveStream(self.client, count: count)
        }
    }

    private func makeUnaryCalls(count: Int, concurrency: Int) async throws {
        let message = [UInt8](repeating: 1, count: RPCBenchmark.Load.bytes)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<concurrency {
                group.addTask {
                    for _ in 0..<count / concurrency { _ = try await self.client.unary(message).message }
                }
            }
            for _ in 0..<count % concurrency { _ = try await self.client.unary(message).message }
            try await group.waitForAll()
        }
    }

    private func makeLoneCalls(count: Int) async throws -> Double {
        let message = [UInt8](repeating: 1, count: RPCBenchmark.Load.bytes)
        var durations: [Duration] = []
        for _ in 0..<count {
            let start = ContinuousClock.now
            _ = try await self.client.unary(message).message
            durations.append(ContinuousClock.now - start)
        }
        return median(durations)
    }

}

/// Receives `count` streamed messages.
private func receiveStream(_ client: GRPCClient<some ClientTransport>, count: Int) async throws {
    let received = try await client.serverStreaming(
        request: ClientRequest(message: Array("\(count) \(RPCBenchmark.Load.bytes)".utf8)),
        descriptor: TestMethod.expand,
        serializer: RawCoder(),
        deserializer: RawCoder(),
        options: .defaults
    ) { response in
        var received = 0
        for try await _ in response.messages { received += 1 }
        return received
    }
    precondition(received == count)
}

/// A client whose unary calls go to the transport itself.
final class DirectClient: BenchmarkClient {
    private let transport: CoreClientTransport
    private let client: GRPCClient<CoreClientTransport>
    private let executor: any TaskExecutor

    init(port: Int, _ folder: TLSFolder) throws {
        let pollers = PollerGroup(count: 1)
        let transport = try SwiftClient.coreTransport(port: port, folder, pollers)
        let client = GRPCClient(transport: transport)
        self.transport = transport
        self.client = client
        self.executor = pollers.nextExecutor()
        Task { try await client.runConnections() }
    }

    func close() { self.client.beginGracefulShutdown() }

    private func call(_ message: [UInt8]) async throws {
        let echo = try await self.transport.unary(
            message,
            TestMethod.unary,
            serializer: RawCoder(),
            deserializer: RawCoder()
        )
        precondition(echo.count == message.count)
    }

    func unary(count: Int, concurrency: Int) async throws {
        let message = [UInt8](repeating: 1, count: RPCBenchmark.Load.bytes)
        try await withTaskExecutorPreference(self.executor) {
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<concurrency {
                    group.addTask { for _ in 0..<count / concurrency { try await self.call(message) } }
                }
                for _ in 0..<count % concurrency { try await self.call(message) }
                try await group.waitForAll()
            }
        }
    }

    func loneMedian(count: Int) async throws -> Double {
        let message = [UInt8](repeating: 1, count: RPCBenchmark.Load.bytes)
        return try await withTaskExecutorPreference(self.executor) {
            var durations: [Duration] = []
            for _ in 0..<count {
                let start = ContinuousClock.now
                try await self.call(message)
                durations.append(ContinuousClock.now - start)
            }
            return median(durations)
        }
    }

    func stream(count: Int) async throws {
        try await withTaskExecutorPreference(self.executor) {
            try await receiveStream(self.client, count: count)
        }
    }
}

func median(_ durations: [Duration]) -> Double {
    let middle = durations.sorted()[durations.count / 2].components
    return Double(middle.seconds) * 1e6 + Double(middle.attoseconds) / 1e12
}

private func pem(_ text: String) -> TLSConfig.CertificateSource { .bytes(Array(text.utf8), format: .pem) }

extension TLSFolder {
    fileprivate func identity(_ name: String) throws -> TLSIdentity {
        TLSIdentity(
            certificateChainPEM: try self.read("\(name).pem"),
            privateKeyPEM: try self.read("\(name).key")
        )
    }
}

extension SwiftClient where Transport == CoreClientTransport {
    // `isPinned`: whether the calls are made from the thread that waits for core.
    static func core(port: Int, _ folder: TLSFolder, isPinned: Bool) throws -> SwiftClient {
        let pollers = PollerGroup(count: 1)
        return SwiftClient(
            try self.coreTransport(port: port, folder, pollers),
            executor: isPinned ? pollers.nextExecutor() : nil
        )
    }

    static func coreTransport(port: Int, _ folder: TLSFolder, _ pollers: PollerGroup? = nil) throws
        -> CoreClientTransport
    {
        try CoreClientTransport(
            target: "localhost:\(port)",
            tls: ClientTLS(rootsPEM: try folder.read("ca.pem"), identity: try folder.identity("client")),
            pollers: pollers
        )
    }
}

extension SwiftClient where Transport == HTTP2ClientTransport.Posix {
    static func nio(port: Int, _ folder: TLSFolder) throws -> SwiftClient {
        SwiftClient(try self.nioTransport(port: port, folder))
    }

    static func nioTransport(port: Int, _ folder: TLSFolder) throws -> HTTP2ClientTransport.Posix {
        let roots = pem(try folder.read("ca.pem"))
        return try HTTP2ClientTransport.Posix(
            target: .dns(host: "localhost", port: port),
            transportSecurity: .mTLS(
                certificateChain: [pem(try folder.read("client.pem"))],
                privateKey: .bytes(Array(try folder.read("client.key").utf8), format: .pem)
            ) { $0.trustRoots = .certificates([roots]) }
        )
    }
}

/// A server on GRPCCore that echoes, in this process.
enum SwiftServer {
    static func startCore(_ folder: TLSFolder, answersDirectly: Bool = false) throws -> Int {
        let transport = try self.coreTransport(folder, PollerGroup())
        if answersDirectly {
            transport.answerDirectly([
                DirectMethod(TestMethod.unary, deserializer: RawCoder(), serializer: RawCoder()) { $0 }
            ])
        }
        let server = GRPCServer(transport: transport, router: TestService().router(for: transport))
        Task { try await server.serve() }
        return transport.boundPort
    }

    static func coreTransport(_ folder: TLSFolder, _ pollers: PollerGroup) throws -> CoreServerTransport {
        try CoreServerTransport(
            listeningOn: "127.0.0.1:0",
            tls: ServerTLS(
                identity: try folder.identity("server"),
                clientRootsPEM: try folder.read("ca.pem"),
                clientCertificates: .required
            ),
            pollers: pollers
        )
    }

    static func startNIO(_ folder: TLSFolder) async throws -> Int {
        let transport = try self.nioTransport(folder)
        let server = GRPCServer(transport: transport, router: TestService().router(for: transport))
        Task { try await server.serve() }
        guard let port = try await transport.listeningAddress.ipv4?.port else {
            throw RPCError(code: .internalError, message: "the server has no port")
        }
        return port
    }

    static func nioTransport(_ folder: TLSFolder) throws -> HTTP2ServerTransport.Posix {
        let roots = pem(try folder.read("ca.pem"))
        return HTTP2ServerTransport.Posix(
            address: .ipv4(host: "127.0.0.1", port: 0),
            transportSecurity: .mTLS(
                certificateChain: [pem(try folder.read("server.pem"))],
                privateKey: .bytes(Array(try folder.read("server.key").utf8), format: .pem)
            ) { $0.trustRoots = .certificates([roots]) }
        )
    }
}
