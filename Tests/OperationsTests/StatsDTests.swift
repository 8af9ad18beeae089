import Foundation
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Testing

@testable import Operations

@Suite struct StatsDReportTests {
    @Test func `Names are Fabric's, with the labels behind them`() {
        let metrics = Metrics(keepsSamples: true)
        metrics.counter(.broadcastProcessedCount, "a.b", "MESSAGE", "SUCCESS").increment(by: 3)
        metrics.gauge(.raftClusterSize, "a|b c").set(5 as Int64)
        metrics.histogram(.unaryRequestDuration, "s", "m", "OK").record(0.25)
        var report = StatsDReport(prefix: "utility")
        #expect(
            report.lines(metrics) == [
                "utility.broadcast.processed_count.a_b.MESSAGE.SUCCESS:3.000000|c",
                "utility.consensus.etcdraft.cluster_size.a_b_c:5.000000|g",
                "utility.grpc.server.unary_request_duration.s.m.OK:0.250000|ms",
            ]
        )
    }

    @Test func `Counters and histograms tell what came since the last look, gauges what is`() {
        let metrics = Metrics(keepsSamples: true)
        metrics.counter(.deliverStreamsOpened).increment(by: 2)
        metrics.gauge(.blockchainHeight, "a").set(-7 as Int64)
        metrics.histogram(.stateCommitTime, "a").record(1.0)
        var report = StatsDReport(prefix: "")
        #expect(report.lines(metrics).count == 4)
        metrics.counter(.deliverStreamsOpened).increment()
        #expect(
            report.lines(metrics) == [
                "deliver.streams_opened:1.000000|c",
                // To a gauge, a sign says how much to add.
                "ledger.blockchain_height.a:0|g", "ledger.blockchain_height.a:-7.000000|g",
            ]
        )
    }

    @Test func `Of too many values some are sent, with the part that they are`() {
        let metrics = Metrics(keepsSamples: true)
        for _ in 0..<4000 { metrics.histogram(.stateCommitTime, "a").record(0.5) }
        var report = StatsDReport(prefix: "")
        let lines = report.lines(metrics)
        #expect(lines.count == 1000)
        #expect(Set(lines) == ["ledger.statedb_commit_time.a:0.500000|ms|@0.250000"])
    }

    @Test func `Datagrams fit a frame`() {
        let long = String(repeating: "x", count: 2000)
        let datagrams = StatsDReport.datagrams(Array(repeating: "a:1|c", count: 500) + [long, "b:1|c"])
        #expect(datagrams.dropLast(2).allSatisfy { $0.utf8.count <= StatsDReport.datagramBytes })
        #expect(datagrams.joined() == String(repeating: "a:1|c\n", count: 500) + long + "\nb:1|c\n")
        #expect(datagrams.count == 5)
    }
}

@Suite(.timeLimit(.minutes(10))) struct StatsDSenderTests {
    private let metrics = Metrics(keepsSamples: true)
    private let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    /// Sends to `port` while `body` runs.
    private func sending(
        _ network: StatsDSender.Settings.Network,
        to port: Int,
        _ body: @Sendable @escaping () async throws -> Void
    ) async throws {
        let sender = StatsDSender(
            .init(network: network, address: "localhost:\(port)", interval: .milliseconds(10), prefix: "p"),
            metrics: self.metrics,
            logger: self.logger
        )
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await sender.run() }
            tasks.addTask {
                try await body()
                throw CancellationError()
            }
            do {
                // The first that ends says how it went.
                try await tasks.next()
            } catch is CancellationError {
                tasks.cancelAll()
            }
        }
    }

    @Test func `Metrics come in datagrams, again and again`() async throws {
        let socket = try await DatagramBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0)
            .flatMapThrowing { channel in
                try NIOAsyncChannel<AddressedEnvelope<ByteBuffer>, AddressedEnvelope<ByteBuffer>>(
                    wrappingChannelSynchronously: channel
                )
            }.get()
        let port = try #require(socket.channel.localAddress?.port)
        self.metrics.counter(.deliverStreamsOpened).increment(by: 2)
        self.metrics.gauge(.blockchainHeight, "a").set(7 as Int64)
        try await self.sending(.udp, to: port) {
            try await socket.executeThenClose { inbound, _ in
                var all = ""
                for try await datagram in inbound {
                    all += String(buffer: datagram.data)
                    // The gauge comes with every datagram, the counter once.
                    if all.components(separatedBy: "p.ledger.blockchain_height.a:7.000000|g\n").count > 3 {
                        break
                    }
                }
                #expect(all.components(separatedBy: "p.deliver.streams_opened:2.000000|c\n").count == 2)
            }
        }
    }

    @Test func `Metrics come over TCP, and the connection is made again when it breaks`() async throws {
        let (received, continuation) = AsyncStream.makeStream(of: String.self)
        let server = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(FirstPart(continuation))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(server.localAddress?.port)
        self.metrics.gauge(.blockchainHeight, "a").set(7 as Int64)
        try await self.sending(.tcp, to: port) {
            var count = 0
            for await part in received {
                #expect(part.hasPrefix("p.ledger.blockchain_height.a:7.000000|g\n"))
                count += 1
                if count == 2 { break }
            }
        }
        try await server.close()
    }

    @Test func `A server that isn't there at the start is named`() async throws {
        let free = try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .bind(host: "127.0.0.1", port: 0).get()
        let port = try #require(free.localAddress?.port)
        try await free.close()
        let error = await #expect(throws: StatsDError.self) {
            try await self.sending(.tcp, to: port) { try await Task.sleep(for: .seconds(60)) }
        }
        #expect(error?.description.hasPrefix("can't reach StatsD at localhost:\(port) over tcp") == true)
    }
}

/// Hands on what a connection brings first, and breaks it.
private final class FirstPart: ChannelInboundHandler, Sendable {
    typealias InboundIn = ByteBuffer

    private let parts: AsyncStream<String>.Continuation

    init(_ parts: AsyncStream<String>.Continuation) {
        self.parts = parts
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        self.parts.yield(String(buffer: self.unwrapInboundIn(data)))
        context.close(promise: nil)
    }
}
