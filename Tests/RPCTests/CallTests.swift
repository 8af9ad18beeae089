import GRPCCore
import RPCTestService
import Synchronization
import Testing

@testable import RPC

@Suite struct CallTests {
    static let metadata: Metadata = [
        "echo-text": "caf\u{65}", "echo-text": "twice", "echo-bytes-bin": .binary([0, 255, 128, 10]),
    ]

    @Test func unaryCallsCarryMessagesAndMetadata() async throws {
        try await withCoreServerAndClient { client in
            let response = try await client.unary([1, 2, 3], metadata: Self.metadata)
            #expect(try response.message == [1, 2, 3])
            expectEchoed(response.metadata)
            expectEchoed(response.trailingMetadata)
            let answer1 = try await client.unary([]).message
            #expect(answer1 == [])
        }
    }

    @Test func everyKindOfStreamWorks() async throws {
        try await withCoreServerAndClient { client in
            let collected = try await client.collect([[1], [2, 3], []], metadata: Self.metadata)
            #expect(try collected.message == Array("3".utf8))
            expectEchoed(collected.metadata)

            let (messages, initial, trailing) = try await client.expand(
                count: 100,
                size: 1000,
                metadata: Self.metadata
            )
            #expect(messages.map { $0[0] } == (0..<100).map { UInt8($0) })
            expectEchoed(initial)
            expectEchoed(trailing)
            let answer2 = try await client.expand(count: 0, size: 0).0
            #expect(answer2.isEmpty)

            let requests = (0..<50).map { [UInt8]("message \($0)".utf8) }
            let (answers, _, end) = try await client.pingPong(requests, metadata: Self.metadata)
            #expect(answers == requests)
            expectEchoed(end)
        }
    }

    @Test func tenThousandMessagesOfABidirectionalStreamStayInOrder() async throws {
        try await withCoreServerAndClient { client in
            let requests = (0..<10_000).map { [UInt8]("\($0)".utf8) }
            let answer3 = try await client.chat(requests).0
            #expect(answer3 == requests)
        }
    }

    @Test func errorsCarryCodeMessageAndTrailers() async throws {
        try await withCoreServerAndClient { client in
            let response = try await client.unary([255] + Array("no, thanks \u{1F9F6}".utf8))
            let error = #expect(throws: RPCError.self) { try response.message }
            #expect(error?.code == .failedPrecondition)
            #expect(error?.message == "no, thanks \u{1F9F6}")
            #expect(error?.metadata[stringValues: "reason"].map { $0 } == ["asked for"])
            #expect(error?.metadata[binaryValues: "detail-bin"].map { $0 } == [[1, 2, 3]])
        }
    }

    @Test func unknownMethodsAreUnimplemented() async throws {
        try await withCoreServerAndClient { client in
            let response = try await client.unary([], TestMethod.unknown)
            #expect(throws: RPCError.self) { try response.message }
            guard case .failure(let error) = response.accepted else { return #expect(Bool(false)) }
            #expect(error.code == .unimplemented)
        }
    }

    @Test func metadataThatHTTP2CannotCarryIsRefused() async throws {
        try await withCoreServerAndClient { client in
            let response = try await client.unary([1], metadata: ["line": "a\nb"])
            let error = #expect(throws: RPCError.self) { try response.message }
            #expect(error?.code == .invalidArgument)
            let answer4 = try await client.unary([1]).message
            #expect(answer4 == [1])
        }
    }

    @Test func deadlinesEndCallsOnBothSides() async throws {
        let service = TestService()
        try await withCoreServerAndClient(service) { client in
            _ = try await client.unary([1]).message  // so that there is a connection
            var options = CallOptions.defaults
            options.timeout = .seconds(1)
            let outcome = await Result {
                try await client.unary([], TestMethod.hang, options: options).message
            }
            #expect(code(of: outcome) == .deadlineExceeded)
            try await service.ended.wait()
        }
    }

    @Test func cancellingTheTaskCancelsTheHandler() async throws {
        let service = TestService()
        try await withCoreServerAndClient(service) { client in
            let call = Task { try await client.unary([], TestMethod.hang).message }
            try await service.began.wait()
            call.cancel()
            #expect(code(of: await call.result) == .cancelled)
            try await service.ended.wait()
        }
    }

    @Test func leavingAStreamEarlyEndsAHandlerThatIsBlockedWriting() async throws {
        let service = TestService()
        try await withCoreServerAndClient(service) { client in
            try await client.leaveFlood(after: 3)
            try await service.ended.wait()
        }
    }

    @Test func leavingAStreamThatIsBlockedBothWaysEndsTheHandler() async throws {
        let service = TestService()
        try await withCoreServerAndClient(service) { client in
            try await client.leaveBlockedChat()
            try await service.ended.wait()
        }
    }

    @Test func aRefusalBeforeTheEndOfTheRequestIsSeen() async throws {
        try await withCoreServerAndClient { client in
            for _ in 0..<20 {
                let error = try await client.beRefused()
                #expect(error?.code == .resourceExhausted)
                #expect(error?.message == "one is enough")
            }
        }
    }

    @Test func largeMessagesPass() async throws {
        try await withCoreServerAndClient { client in
            let message = [UInt8](unsafeUninitializedCapacity: 20 << 20) { bytes, count in
                for index in bytes.indices {
                    bytes.initializeElement(at: index, to: UInt8(truncatingIfNeeded: index &* 31))
                }
                count = bytes.count
            }
            let answer5 = try await client.unary(message).message
            #expect(answer5 == message)
        }
    }

    @Test func messagesAboveTheLimitAreRefused() async throws {
        var options = TransportOptions()
        options.maxReceiveMessageBytes = 1000
        try await withCoreServerAndClient(options: options) { client in
            let response = try await client.unary([UInt8](repeating: 0, count: 1001))
            let error = #expect(throws: RPCError.self) { try response.message }
            #expect(error?.code == .resourceExhausted)
            let answer6 = try await client.unary([UInt8](repeating: 0, count: 1000)).message.count
            #expect(answer6 == 1000)
        }
    }

    @Test func plaintextWorks() async throws {
        try await withCoreServerAndClient(serverTLS: nil, clientTLS: nil) { client in
            let answer7 = try await client.unary([9]).message
            #expect(answer7 == [9])
            let answer8 = try await client.unary([], TestMethod.whoAmI).message
            #expect(answer8 == Array("nobody".utf8))
        }
    }
}

func code<Value>(of result: Result<Value, any Error>) -> RPCError.Code? {
    guard case .failure(let error) = result else { return nil }
    return (error as? RPCError)?.code
}

func expectEchoed(_ metadata: Metadata, sourceLocation: SourceLocation = #_sourceLocation) {
    #expect(
        metadata[stringValues: "echo-text"].map { $0 } == ["cafe", "twice"],
        sourceLocation: sourceLocation
    )
    #expect(
        metadata[binaryValues: "echo-bytes-bin"].map { $0 } == [[0, 255, 128, 10]],
        sourceLocation: sourceLocation
    )
}
