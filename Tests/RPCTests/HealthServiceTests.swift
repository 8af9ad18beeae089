import GRPCCore
import RPC
import Testing

/// Whether a process is there.
@Suite struct HealthServiceTests {
    @Test("a node that can't serve answers; one that is not there doesn't", .timeLimit(.minutes(1)))
    func answers() async throws {
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let port = transport.boundPort
        let server = GRPCServer(transport: transport, services: [HealthService { false }])
        let client = try CoreClientTransport(target: "127.0.0.1:\(port)", pollers: PollerGroup())
        try await withGRPCClient(transport: client) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await server.serve() }
                #expect(await HealthService.answers(client, within: .seconds(10)))
                server.beginGracefulShutdown()
                try await group.waitForAll()
            }
            #expect(await !HealthService.answers(client, within: .milliseconds(300)))
        }
    }
}
