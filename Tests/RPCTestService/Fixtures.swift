package import GRPCCore
package import RPC
package import TestSupport

/// Test certificates: made once for the process, since each costs a process of `openssl`.
package enum Certificates {
    package static let made = Result {
        let authority = try TLSTestAuthority()
        return (authority, try authority.issue("server"), try authority.issue("client"))
    }

    package static func serverTLS(_ policy: ClientCertificatePolicy = .required) throws -> ServerTLS {
        let (authority, server, _) = try self.made.get()
        return ServerTLS(
            identity: TLSIdentity(server),
            clientRootsPEM: authority.certificatePEM,
            clientCertificates: policy
        )
    }

    package static func clientTLS(presents: Bool = true) throws -> ClientTLS {
        let (authority, _, client) = try self.made.get()
        return ClientTLS(
            rootsPEM: authority.certificatePEM,
            identity: presents ? TLSIdentity(client) : nil
        )
    }
}

extension TLSIdentity {
    package init(_ leaf: TLSTestAuthority.Leaf) {
        self.init(certificateChainPEM: leaf.certificatePEM, privateKeyPEM: leaf.privateKeyPEM)
    }
}

package typealias CoreClient = GRPCClient<CoreClientTransport>

/// Runs a server and a client on C core, with mutual TLS, around `body`.
package func withCoreServerAndClient(
    _ service: TestService = TestService(),
    pollers: PollerGroup = PollerGroup(),
    options: TransportOptions = TransportOptions(),
    serverTLS: ServerTLS? = try? Certificates.serverTLS(),
    clientTLS: ClientTLS? = try? Certificates.clientTLS(),
    _ body: (CoreClient) async throws -> Void
) async throws {
    try await withCoreServer(service, pollers: pollers, options: options, tls: serverTLS) { port in
        try await withCoreClient(port: port, pollers: pollers, options: options, tls: clientTLS, body)
    }
}

package func withCoreServer(
    _ service: TestService,
    pollers: PollerGroup = PollerGroup(),
    options: TransportOptions = TransportOptions(),
    tls: ServerTLS? = try? Certificates.serverTLS(),
    address: String = "127.0.0.1:0",
    _ body: (_ port: Int) async throws -> Void
) async throws {
    let transport = try CoreServerTransport(
        listeningOn: address,
        tls: tls,
        options: options,
        pollers: pollers
    )
    try await serve(service, on: transport) { try await body(transport.boundPort) }
}

/// Runs a server around `body`.
package func serve(
    _ service: TestService,
    on transport: CoreServerTransport,
    _ body: () async throws -> Void
) async throws {
    let server = GRPCServer(transport: transport, router: service.router(for: transport))
    try await withThrowingTaskGroup(of: Void.self) { group in
        group.addTask { try await server.serve() }
        let result = await Result { try await body() }
        server.beginGracefulShutdown()
        try await group.waitForAll()
        try result.get()
    }
}

package func withCoreClient(
    port: Int,
    pollers: PollerGroup = PollerGroup(),
    options: TransportOptions = TransportOptions(),
    tls: ClientTLS? = try? Certificates.clientTLS(),
    _ body: (CoreClient) async throws -> Void
) async throws {
    let transport = try CoreClientTransport(
        target: "localhost:\(port)",
        tls: tls,
        options: options,
        pollers: pollers
    )
    try await withGRPCClient(transport: transport) { try await body($0) }
}

extension Result where Failure == any Error {
    /// The outcome of an asynchronous operation.
    package init(_ operation: () async throws -> Success) async {
        do {
            self = .success(try await operation())
        } catch {
            self = .failure(error)
        }
    }
}

/// Waits until a condition holds that only the passing of time brings about; fails after a minute.
package func eventually(_ condition: () -> Bool) async throws {
    let deadline = ContinuousClock.now + .seconds(60)
    while !condition() {
        guard ContinuousClock.now < deadline else {
            throw RPCError(code: .deadlineExceeded, message: "it never happened")
        }
        try await Task.sleep(for: .milliseconds(2))
    }
}

// MARK: - Calls in a line

extension GRPCClient {
    package func unary(
        _ message: [UInt8],
        _ method: MethodDescriptor = TestMethod.unary,
        metadata: Metadata = [:],
        options: CallOptions = .defaults
    ) async throws -> ClientResponse<[UInt8]> {
        try await self.unary(
            request: ClientRequest(message: message, metadata: metadata),
            descriptor: method,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: options
        ) { $0 }
    }

    package func collect(_ messages: [[UInt8]], metadata: Metadata = [:]) async throws -> ClientResponse<
        [UInt8]
    > {
        try await self.clientStreaming(
            request: StreamingClientRequest(metadata: metadata) { try await $0.write(contentsOf: messages) },
            descriptor: TestMethod.collect,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: .defaults
        ) { $0 }
    }

    package func expand(count: Int, size: Int, metadata: Metadata = [:]) async throws -> (
        [[UInt8]], Metadata, Metadata
    ) {
        try await self.serverStreaming(
            request: ClientRequest(message: Array("\(count) \(size)".utf8), metadata: metadata),
            descriptor: TestMethod.expand,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: .defaults
        ) { try await allParts(of: $0) }
    }

    /// Sends each message once the answer to the one before has come.
    package func pingPong(_ messages: [[UInt8]], metadata: Metadata = [:]) async throws -> (
        [[UInt8]], Metadata, Metadata
    ) {
        let (answers, answered) = AsyncStream<Void>.makeStream()
        return try await self.bidirectionalStreaming(
            request: StreamingClientRequest(metadata: metadata) { writer in
                var turns = answers.makeAsyncIterator()
                for message in messages {
                    try await writer.write(message)
                    _ = await turns.next()
                }
            },
            descriptor: TestMethod.chat,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: .defaults
        ) { response in
            defer { answered.finish() }
            return try await allParts(of: response) { answered.yield() }
        }
    }

    /// Sends all messages without waiting for answers.
    package func chat(_ messages: [[UInt8]]) async throws -> ([[UInt8]], Metadata, Metadata) {
        try await self.bidirectionalStreaming(
            request: StreamingClientRequest { try await $0.write(contentsOf: messages) },
            descriptor: TestMethod.chat,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: .defaults
        ) { try await allParts(of: $0) }
    }

    /// Sends to `refuse` until that fails, and gives how the call ended.
    package func beRefused() async throws -> RPCError? {
        let response = try await self.clientStreaming(
            request: StreamingClientRequest { writer in
                for _ in 0..<64 { try await writer.write([UInt8](repeating: 1, count: 65536)) }
            },
            descriptor: TestMethod.refuse,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: .defaults
        ) { $0 }
        guard case .failure(let error) = Swift.Result(catching: { try response.message }) else { return nil }
        return error as? RPCError
    }

    /// Sends to `chat` without reading the answers until both sides are blocked writing, and leaves.
    ///
    /// At most 64 MiB: the SwiftNIO transport can take what is written faster than its connection sends it, without
    /// bounds.
    package func leaveBlockedChat() async throws {
        let written = Counter()
        try await self.bidirectionalStreaming(
            request: StreamingClientRequest { writer in
                for _ in 0..<1024 {
                    try await writer.write([UInt8](repeating: 1, count: 65536))
                    written.add()
                }
                try await Task.sleep(for: .seconds(3600))  // until cancelled
            },
            descriptor: TestMethod.chat,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: .defaults
        ) { response in
            var messages = response.messages.makeAsyncIterator()
            _ = try await messages.next()
            try await standstill { written.value }
        }
    }

    /// Opens a flood and leaves after some messages.
    package func leaveFlood(after count: Int, halfClosed: Bool = true) async throws {
        try await self.bidirectionalStreaming(
            request: StreamingClientRequest { _ in
                if !halfClosed { try await Task.sleep(for: .seconds(3600)) }  // until cancelled
            },
            descriptor: TestMethod.flood,
            serializer: RawCoder(),
            deserializer: RawCoder(),
            options: .defaults
        ) { response in
            var seen = 0
            for try await _ in response.messages {
                seen += 1
                if seen == count { return }
            }
        }
    }
}

package func allParts(
    of response: StreamingClientResponse<[UInt8]>,
    onMessage: () -> Void = {}
) async throws -> ([[UInt8]], Metadata, Metadata) {
    let contents = try response.accepted.get()
    var messages: [[UInt8]] = []
    var trailing: Metadata = [:]
    for try await part in contents.bodyParts {
        switch part {
        case .message(let message):
            messages.append(message)
            onMessage()
        case .trailingMetadata(let metadata):
            trailing = metadata
        }
    }
    return (messages, contents.metadata, trailing)
}

/// Waits until a number that was growing has stayed the same for a while.
package func standstill(_ number: () -> Int) async throws {
    var last = -1
    var unchanged = 0
    while unchanged < 10 {
        try await Task.sleep(for: .milliseconds(30))
        let now = number()
        unchanged = now == last && now > 0 ? unchanged + 1 : 0
        last = now
    }
}
