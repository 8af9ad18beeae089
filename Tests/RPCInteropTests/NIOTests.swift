import Foundation
import GRPCCore
import RPC
import RPCTestService
import Testing

/// Our transports against those of SwiftNIO, over TCP with mutual TLS.
@Suite struct NIOTests {
    @Test func ourClientCallsANIOServer() async throws {
        let service = TestService()
        try await withNIOServer(service) { port in
            try await withCoreClient(port: port) { client in
                try await makeEveryKindOfCall(client, service)
            }
        }
    }

    @Test func aNIOClientCallsOurServer() async throws {
        let service = TestService()
        try await withCoreServer(service) { port in
            try await withNIOClient(port: port) { client in
                try await makeEveryKindOfCall(client, service)
            }
        }
    }

    @Test(arguments: 1...10, [true, false])
    func aNIOClientThatLeavesEarlyFreesTheHandler(round: Int, halfClosed: Bool) async throws {
        let service = TestService()
        try await withCoreServer(service) { port in
            try await withNIOClient(port: port) { client in
                try await client.leaveFlood(after: round, halfClosed: halfClosed)
                try await service.ended.wait()
            }
        }
    }

    @Test func aNIOClientThatLeavesAStreamBlockedBothWaysFreesTheHandler() async throws {
        let service = TestService()
        try await withCoreServer(service) { port in
            try await withNIOClient(port: port) { client in
                try await client.leaveBlockedChat()
                try await service.ended.wait()
            }
        }
    }

    @Test func aNIOClientSeesARefusalBeforeTheEndOfItsRequest() async throws {
        try await withCoreServer(TestService()) { port in
            try await withNIOClient(port: port) { client in
                for _ in 0..<20 {
                    let error = try await client.beRefused()
                    #expect(error?.code == .resourceExhausted)
                    #expect(error?.message == "one is enough")
                }
            }
        }
    }

    @Test func ourClientThatLeavesEarlyFreesANIOHandler() async throws {
        let service = TestService()
        try await withNIOServer(service) { port in
            try await withCoreClient(port: port) { client in
                try await client.leaveFlood(after: 3)
                try await service.ended.wait()
            }
        }
    }

    @Test func largeCallsOfANIOClientPassUnderLoad() async throws {
        let service = TestService()
        try await withCoreServer(service) { port in
            try await withNIOClient(port: port) { client in
                try await makeLargeAndSmallCalls(client)
            }
        }
    }

    @Test func largeCallsToANIOServerPassUnderLoad() async throws {
        let service = TestService()
        try await withNIOServer(service) { port in
            try await withCoreClient(port: port) { client in
                try await makeLargeAndSmallCalls(client)
            }
        }
    }
}

func makeEveryKindOfCall<Transport: ClientTransport>(
    _ client: GRPCClient<Transport>,
    _ service: TestService
) async throws {
    let metadata: Metadata = [
        "echo-text": "one", "echo-text": "two", "echo-bytes-bin": .binary([0, 255, 10]),
    ]
    let isEchoed = { (received: Metadata) -> Bool in
        Array(received[stringValues: "echo-text"]) == ["one", "two"]
            && Array(received[binaryValues: "echo-bytes-bin"]) == [[0, 255, 10]]
    }
    let response = try await client.unary([1, 2, 3], metadata: metadata)
    #expect(try response.message == [1, 2, 3])
    #expect(isEchoed(response.metadata))
    #expect(isEchoed(response.trailingMetadata))

    let failed = try await client.unary([255] + Array("no".utf8))
    let error = #expect(throws: RPCError.self) { try failed.message }
    #expect(error?.code == .failedPrecondition)
    #expect(error?.message == "no")
    #expect(error.map { Array($0.metadata[binaryValues: "detail-bin"]) } == [[1, 2, 3]])

    let unknown = try await client.unary([], TestMethod.unknown)
    #expect(throws: RPCError.self) { try unknown.message }

    let collected = try await client.collect([[1], [2, 3], []], metadata: metadata)
    #expect(try collected.message == Array("3".utf8))

    let (expanded, initial, trailing) = try await client.expand(count: 200, size: 3000, metadata: metadata)
    #expect(expanded.map { $0[0] } == (0..<200).map { UInt8($0) })
    #expect(isEchoed(initial))
    #expect(isEchoed(trailing))

    let requests = (0..<50).map { Array("message \($0)".utf8) }
    let (answers, _, end) = try await client.pingPong(requests, metadata: metadata)
    #expect(answers == requests)
    #expect(isEchoed(end))

    let large = [UInt8](repeating: 3, count: 3 << 20)
    let echoed = try await client.unary(large)
    #expect(try echoed.message == large)

    var options = CallOptions.defaults
    options.timeout = .seconds(1)
    let late = await Result { try await client.unary([], TestMethod.hang, options: options).message }
    #expect(throws: RPCError.self) { try late.get() }
    try await service.ended.wait()
}

func makeLargeAndSmallCalls<Transport: ClientTransport>(_ client: GRPCClient<Transport>) async throws {
    let large = [UInt8](repeating: 5, count: 3 << 20)
    try await withThrowingTaskGroup(of: Void.self) { group in
        for worker in 0..<32 {
            group.addTask {
                for _ in 0..<(worker < 4 ? 8 : 40) {
                    let message = worker < 4 ? large : [UInt8(worker)]
                    let answer = try await client.unary(message).message
                    #expect(answer == message)
                }
            }
        }
        try await group.waitForAll()
    }
}
