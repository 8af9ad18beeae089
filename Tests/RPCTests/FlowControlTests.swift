import GRPCCore
import RPCTestService
import Testing

@testable import RPC

@Suite struct FlowControlTests {
    /// More than a stream's window, which core opens a second time at most when a reader stops (8 MiB), and what is written
    /// ahead hold: 130 messages.
    private static let bound = 192  // messages of 64 KiB: 12 MiB

    @Test func aServerThatDoesNotReadStopsTheClient() async throws {
        let service = TestService()
        let written = Counter()
        let total = 4 * Self.bound
        try await withCoreServerAndClient(service) { client in
            let response = try await client.clientStreaming(
                request: StreamingClientRequest { writer in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask {
                            for _ in 0..<total {
                                try await writer.write([UInt8](repeating: 1, count: 65536))
                                written.add()
                            }
                        }
                        group.addTask {
                            try await standstill { written.value }
                            #expect(written.value < Self.bound)
                            service.readOn.open()
                        }
                        try await group.waitForAll()
                    }
                },
                descriptor: TestMethod.sluggish,
                serializer: RawCoder(),
                deserializer: RawCoder(),
                options: .defaults
            ) { $0 }
            #expect(try response.message == Array("\(total)".utf8))
        }
    }

    @Test func aClientThatDoesNotReadStopsTheServer() async throws {
        let service = TestService()
        try await withCoreServerAndClient(service) { client in
            try await client.bidirectionalStreaming(
                request: StreamingClientRequest { _ in },
                descriptor: TestMethod.flood,
                serializer: RawCoder(),
                deserializer: RawCoder(),
                options: .defaults
            ) { response in
                var messages = response.messages.makeAsyncIterator()
                _ = try await messages.next()
                try await standstill { service.written.value }
                let before = service.written.value
                #expect(before < Self.bound)
                // And reading starts it again.
                for _ in 0..<2 * before { _ = try await messages.next() }
                #expect(service.written.value > before)
            }
            try await service.ended.wait()
        }
    }

    @Test func largeCallsPassBetweenManySmallOnes() async throws {
        try await withCoreServerAndClient { client in
            let large = [UInt8](repeating: 5, count: 3 << 20)
            try await withThrowingTaskGroup(of: Void.self) { group in
                for worker in 0..<64 {
                    group.addTask {
                        for _ in 0..<(worker < 4 ? 5 : 50) {
                            let message = worker < 4 ? large : [UInt8(worker)]
                            let answer = try await client.unary(message).message
                            #expect(answer == message)
                        }
                    }
                }
                try await group.waitForAll()
            }
        }
    }

    @Test func concurrentWritersOfOneStreamAllGetThrough() async throws {
        try await withCoreServerAndClient { client in
            let response = try await client.clientStreaming(
                request: StreamingClientRequest { writer in
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        for _ in 0..<20 {
                            group.addTask {
                                for _ in 0..<50 { try await writer.write([1, 2, 3]) }
                            }
                        }
                        try await group.waitForAll()
                    }
                },
                descriptor: TestMethod.collect,
                serializer: RawCoder(),
                deserializer: RawCoder(),
                options: .defaults
            ) { $0 }
            #expect(try response.message == Array("3000".utf8))
        }
    }

    @Test func aCancelledWriterLeavesTheStreamUsable() async throws {
        let service = TestService()
        try await withCoreServerAndClient(service) { client in
            let response = try await client.clientStreaming(
                request: StreamingClientRequest { writer in
                    let written = Counter()
                    await withTaskGroup(of: Void.self) { group in
                        group.addTask {
                            for _ in 0..<Self.bound {
                                guard (try? await writer.write([UInt8](repeating: 1, count: 65536))) != nil
                                else { return }
                                written.add()
                            }
                        }
                        try? await standstill { written.value }
                        group.cancelAll()  // would wait for ever if the blocked writer didn't leave
                    }
                    service.readOn.open()
                    try await writer.write([1])
                },
                descriptor: TestMethod.sluggish,
                serializer: RawCoder(),
                deserializer: RawCoder(),
                options: .defaults
            ) { $0 }
            #expect(throws: Never.self) { try response.message }
        }
    }
}
