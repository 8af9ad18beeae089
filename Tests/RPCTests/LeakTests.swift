import GRPCCore
import RPCTestService
import Testing

@testable import RPC

@Suite struct LeakTests {
    @Test func tenThousandCallsAndCancellationsLeaveNoHandleBehind() async throws {
        let pollers = PollerGroup(count: 2)
        let completed = Counter()
        try await withCoreServerAndClient(pollers: pollers) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<100 {
                    group.addTask {
                        for turn in 0..<100 {
                            try await Self.oneCall(client, kind: (worker + turn) % 7, number: turn)
                            completed.add()
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
        #expect(completed.value == 10_000)
        try await eventually { pollers.liveHandles == LiveHandles() }
    }

    private static func oneCall(_ client: CoreClient, kind: Int, number: Int) async throws {
        switch kind {
        case 0:
            #expect(try await client.unary([1, 2, 3]).message == [1, 2, 3])
        case 1:
            let response = try await client.unary([255])
            #expect(throws: RPCError.self) { try response.message }
        case 2:  // cancelled before, while or after it starts
            let call = Task { try await client.unary([], TestMethod.hang).message }
            for _ in 0..<number % 10 { await Task.yield() }
            call.cancel()
            #expect(code(of: await call.result) == .cancelled)
        case 3:
            var options = CallOptions.defaults
            options.timeout = .microseconds(number * 20)
            let outcome = await Result {
                try await client.unary([], TestMethod.hang, options: options).message
            }
            #expect(code(of: outcome) == .deadlineExceeded)
        case 4:
            try await client.leaveFlood(after: 1)
        case 5:
            #expect(try await client.collect([[1], [2]]).message == Array("2".utf8))
        default:
            let requests = (0..<3).map { [UInt8($0)] }
            #expect(try await client.chat(requests).0 == requests)
        }
    }

    private final class Weak {
        weak var group: PollerGroup?
    }

    @Test func transportsThatNeverRanReleaseTheirHandles() async throws {
        let observed = Weak()
        do {
            let pollers = PollerGroup(count: 1)
            observed.group = pollers
            _ = try CoreServerTransport(
                listeningOn: "127.0.0.1:0",
                tls: Certificates.serverTLS(),
                pollers: pollers
            )
            _ = try CoreClientTransport(
                target: "localhost:1",
                tls: Certificates.clientTLS(),
                pollers: pollers
            )
        }
        try await eventually { observed.group == nil }
    }
}
