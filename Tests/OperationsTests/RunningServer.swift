import Logging
import Operations
import RPC
import ServiceLifecycle
import TestSupport

/// Runs a server while `body` does, and stops it gracefully.
func withServer(
    tls: ServerTLS? = nil,
    limits: HTTPLimits = HTTPLimits(),
    routes: [HTTPRoute],
    _ body: @Sendable @escaping (HTTPServer, Int) async throws -> Void
) async throws {
    let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }
    let server = try HTTPServer(
        listeningOn: "127.0.0.1:0",
        tls: tls,
        limits: limits,
        routes: routes,
        logger: logger
    )
    let group = ServiceGroup(
        configuration: ServiceGroupConfiguration(services: [.init(service: server)], logger: logger)
    )
    try await withThrowingTaskGroup(of: Void.self) { tasks in
        tasks.addTask { try await group.run() }
        tasks.addTask {
            let port = try await server.boundPort()
            let result: Result<Void, any Error>
            do { result = .success(try await body(server, port)) } catch { result = .failure(error) }
            await group.triggerGracefulShutdown()
            try result.get()
        }
        try await tasks.waitForAll()
    }
}

extension TLSTestAuthority {
    func server(clients: ClientCertificatePolicy) throws -> ServerTLS {
        let leaf = try self.issue("server")
        return ServerTLS(
            identity: TLSIdentity(
                certificateChainPEM: leaf.certificatePEM,
                privateKeyPEM: leaf.privateKeyPEM
            ),
            clientRootsPEM: self.certificatePEM,
            clientCertificates: clients
        )
    }
}
