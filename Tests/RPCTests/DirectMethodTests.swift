import GRPCCore
import RPCTestService
import Synchronization
import Testing

@testable import RPC

@Suite struct DirectMethodTests {
    /// Runs a server that answers some of the test methods itself, and a client.
    private func withDirectServer(
        _ methods: [DirectMethod],
        _ body: (CoreClient) async throws -> Void
    ) async throws {
        let transport = try CoreServerTransport(
            listeningOn: "127.0.0.1:0",
            tls: try Certificates.serverTLS()
        )
        transport.answerDirectly(methods)
        try await serve(TestService(), on: transport) {
            try await withCoreClient(port: transport.boundPort) { try await body($0) }
        }
    }

    private static func unary(
        _ answer: @escaping @Sendable ([UInt8]) async throws -> [UInt8]
    ) -> DirectMethod {
        DirectMethod(
            TestMethod.unary,
            deserializer: RawCoder(),
            serializer: RawCoder(),
            answer: answer
        )
    }

    @Test func answersInsteadOfTheService() async throws {
        try await self.withDirectServer([Self.unary { $0.reversed() }]) { client in
            let answer = try await client.unary([1, 2, 3]).message
            #expect(answer == [3, 2, 1])
            let empty = try await client.unary([]).message
            #expect(empty == [])
            let collected = try await client.collect([[1], [2, 3]]).message
            #expect(collected == Array("3".utf8), "other methods are served as before")
        }
    }

    private struct Refusal: Error, RPCErrorConvertible {
        var rpcErrorCode: RPCError.Code { .aborted }
        var rpcErrorMessage: String { "no, thanks \u{1F9F6}" }
        var rpcErrorMetadata: Metadata { ["detail-bin": .binary([1, 2, 3])] }
    }

    @Test func whatIsThrownBecomesTheStatus() async throws {
        let method = Self.unary { request in
            switch request.first {
            case 1: throw RPCError(code: .notFound, message: "nothing", metadata: ["reason": "asked for"])
            case 2: throw Refusal()
            default: throw CancellationError()
            }
        }
        try await self.withDirectServer([method]) { client in
            let first = try await client.unary([1])
            let notFound = #expect(throws: RPCError.self) { try first.message }
            #expect(notFound?.code == .notFound && notFound?.message == "nothing")
            #expect(notFound?.metadata["reason"].first { _ in true } == "asked for")
            let second = try await client.unary([2])
            let refusal = #expect(throws: RPCError.self) { try second.message }
            #expect(refusal?.code == .aborted && refusal?.message == "no, thanks \u{1F9F6}")
            #expect(refusal?.metadata[binaryValues: "detail-bin"].first { _ in true } == [1, 2, 3])
            let third = try await client.unary([3])
            let unknown = #expect(throws: RPCError.self) { try third.message }
            #expect(unknown?.code == .unknown)
        }
    }

    @Test func aCallThatTheClientGivesUpCancelsTheTask() async throws {
        let (began, ended) = (Signal(), Signal())
        let method = Self.unary { _ in
            began.open()
            defer { ended.open() }
            try await Task.sleep(for: .seconds(3600))
            return []
        }
        try await self.withDirectServer([method]) { client in
            let call = Task { try await client.unary([1]).message }
            try await began.wait()
            call.cancel()
            try await ended.wait()
            _ = await call.result
        }
    }

    @Test func leavesNothingBehind() async throws {
        let pollers = PollerGroup()
        let transport = try CoreServerTransport(
            listeningOn: "127.0.0.1:0",
            tls: try Certificates.serverTLS(),
            pollers: pollers
        )
        transport.answerDirectly([Self.unary { $0 }])
        try await serve(TestService(), on: transport) {
            try await withCoreClient(port: transport.boundPort, pollers: pollers) { client in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for number in 0..<500 {
                        group.addTask {
                            let request = [UInt8](repeating: UInt8(truncatingIfNeeded: number), count: number)
                            let answer = try await client.unary(request).message
                            #expect(answer == request)
                        }
                    }
                    try await group.waitForAll()
                }
            }
        }
        while pollers.liveHandles != LiveHandles() { await Task.yield() }
    }
}
