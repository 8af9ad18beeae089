import Foundation
import GRPCCore
import RPCTestService
import Testing

@testable import RPC

@Suite struct PollerTests {
    /// The name of the thread that runs the caller, as `top` shows it.
    private static func threadName() -> String {
        (try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)) ?? ""
    }

    /// Serves `unary` with the name of the handler's thread.
    private func servingThread(_ options: TransportOptions) async throws -> String {
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0", options: options)
        var router = RPCRouter<CoreServerTransport>()
        router.registerHandler(
            forMethod: TestMethod.unary,
            deserializer: RawCoder(),
            serializer: RawCoder()
        ) { _, _ in
            StreamingServerResponse { writer in
                try await writer.write(Array(Self.threadName().utf8))
                return [:]
            }
        }
        let server = GRPCServer(transport: transport, router: router)
        async let serving: Void = server.serve()
        var name = ""
        try await withCoreClient(port: transport.boundPort, tls: nil) { client in
            name = String(decoding: try await client.unary([]).message, as: UTF8.self)
        }
        server.beginGracefulShutdown()
        try await serving
        return name
    }

    @Test func handlersRunOnThePollerUnlessToldOtherwise() async throws {
        var options = TransportOptions()
        let byDefault = try await self.servingThread(options)
        #expect(byDefault.hasPrefix("weft-rpc-"))
        options.runsHandlersOnPollers = false
        let otherwise = try await self.servingThread(options)
        #expect(!otherwise.hasPrefix("weft-rpc-"))
    }

    @Test func aTaskThatPrefersAPollerStaysThereAcrossCalls() async throws {
        let pollers = PollerGroup(count: 2)
        try await withCoreServerAndClient(pollers: pollers) { client in
            // The server begins on Swift's threads, where many tests may be before it: the poller must not be ahead.
            _ = try await client.unary([0]).message
            try await withTaskExecutorPreference(pollers.nextExecutor()) {
                let name = Self.threadName()
                #expect(name.hasPrefix("weft-rpc-"))
                for _ in 0..<100 {
                    _ = try await client.unary([1]).message
                    #expect(Self.threadName() == name)
                }
                // And comes back from elsewhere.
                try await Task.sleep(for: .milliseconds(1))
                _ = await Task.detached { Self.threadName() }.value
                #expect(Self.threadName() == name)
            }
        }
    }

    @Test func jobsFromManyThreadsAllRunWhileTheThreadFallsAsleepBetweenThem() async {
        let pollers = PollerGroup(count: 1)
        let executor = pollers.nextExecutor()
        let ran = Counter()
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<8 {
                group.addTask {
                    for _ in 0..<2000 {
                        // Each goes there and back, so that the poller is often found waiting for core.
                        await Task(executorPreference: executor) { ran.add() }.value
                    }
                }
            }
        }
        #expect(ran.value == 16_000)
    }

    @Test func tasksThatOnlyYieldDontKeepCallsFromBeingServed() async throws {
        let pollers = PollerGroup(count: 1)
        try await withCoreServerAndClient(pollers: pollers) { client in
            let spinning = Task(executorPreference: pollers.nextExecutor()) {
                while !Task.isCancelled { await Task.yield() }
            }
            for number in 0..<20 {
                let answer = try await client.unary([UInt8(number)]).message
                #expect(answer == [UInt8(number)])
            }
            spinning.cancel()
            await spinning.value
        }
    }

    @Test func aTaskThatOutlivesItsPollersGoesOnElsewhere() async throws {
        var pollers: PollerGroup? = PollerGroup(count: 1)
        let poller = try #require(pollers?.next())
        let signal = Signal()
        let began = Signal()
        let task = Task(executorPreference: poller) {
            began.open()
            try await signal.wait()
            return Self.threadName()
        }
        try await began.wait()
        pollers = nil
        try await eventually { poller.hasEnded }
        signal.open()
        let name = try await task.value
        #expect(!name.hasPrefix("weft-rpc-"))
    }
}
