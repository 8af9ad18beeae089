import Foundation
import GRPCCore
import TestSupport

/// Compares `RPC` with the SwiftNIO transport and with a raw loop on C core, in one run.
///
/// The server of each is a process of its own and the client is this one, so that the CPU time of both is
/// seen. All calls use mutual TLS over loopback and carry 1 KiB, echoed.
struct RPCBenchmark {
    /// What is compared.
    enum Variant: String, CaseIterable {
        /// A loop on C core.
        case raw
        /// Ours, with a client whose tasks run on Swift's threads.
        case core
        /// Ours, with a client whose tasks run on its poller.
        case pinned
        /// Ours without GRPCCore for unary calls on either side, the client's tasks on its poller.
        case direct
        /// GRPCCore on SwiftNIO.
        case nio
    }

    /// How much is measured.
    struct Load {
        var calls = 40_000
        var concurrency = 256
        var loneCalls = 3000
        var messages = 100_000
        static let bytes = 1024
    }

    /// What one variant did.
    struct Figures {
        var callsPerSecond = 0.0
        var clientMicrosecondsPerCall = 0.0
        var serverMicrosecondsPerCall = 0.0
        var loneMedianMicroseconds = 0.0
        var messagesPerSecond = 0.0
        var clientMicrosecondsPerMessage = 0.0
        var serverMicrosecondsPerMessage = 0.0
    }

    var load = Load()
    /// What is compared; the ratios are to the first of them.
    var variants = Variant.allCases

    func run() async throws {
        let folder = try TLSFolder.make()
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        var rounds: [Variant: [Figures]] = [:]
        for _ in 0..<3 {
            for variant in self.variants {
                rounds[variant, default: []].append(try await self.measure(variant, folder))
            }
        }
        // The best of three: what disturbs a run only makes it slower.
        let best = rounds.mapValues { figures in
            figures.min {
                $0.clientMicrosecondsPerCall + $0.serverMicrosecondsPerCall
                    < $1.clientMicrosecondsPerCall + $1.serverMicrosecondsPerCall
            }!
        }
        self.report(best)
    }

    private func measure(_ variant: Variant, _ folder: TLSFolder) async throws -> Figures {
        let server = try ServerProcess(variant, folder)
        defer { server.stop() }
        let client = try await Self.client(variant, port: server.port, folder)
        defer { client.close() }
        var figures = Figures()

        try await client.unary(count: 2000, concurrency: self.load.concurrency)  // warm
        var span = try Span(server)
        try await client.unary(count: self.load.calls, concurrency: self.load.concurrency)
        try span.end()
        figures.callsPerSecond = Double(self.load.calls) / span.seconds
        figures.clientMicrosecondsPerCall = span.clientMicroseconds / Double(self.load.calls)
        figures.serverMicrosecondsPerCall = span.serverMicroseconds / Double(self.load.calls)

        figures.loneMedianMicroseconds = try await client.loneMedian(count: self.load.loneCalls)

        span = try Span(server)
        try await client.stream(count: self.load.messages)
        try span.end()
        figures.messagesPerSecond = Double(self.load.messages) / span.seconds
        figures.clientMicrosecondsPerMessage = span.clientMicroseconds / Double(self.load.messages)
        figures.serverMicrosecondsPerMessage = span.serverMicroseconds / Double(self.load.messages)
        return figures
    }

    private static func client(
        _ variant: Variant,
        port: Int,
        _ folder: TLSFolder
    ) async throws -> any BenchmarkClient {
        switch variant {
        case .raw: try RawClient(port: port, folder)
        case .core: try SwiftClient.core(port: port, folder, isPinned: false)
        case .pinned: try SwiftClient.core(port: port, folder, isPinned: true)
        case .direct: try DirectClient(port: port, folder)
        case .nio: try SwiftClient.nio(port: port, folder)
        }
    }

    private func report(_ figures: [Variant: Figures]) {
        func line(_ title: String, _ cells: [String]) {
            let padded = cells.map { String(repeating: " ", count: max(0, 12 - $0.count)) + $0 }
            print(title.padding(toLength: 40, withPad: " ", startingAt: 0) + padded.joined())
        }
        func row(_ title: String, _ digits: Int, _ value: (Figures) -> Double) {
            let values = self.variants.compactMap { figures[$0].map(value) }
            let ratios = values.dropFirst().map { String(format: "%.2f", $0 / values[0]) }
            line(title, values.map { String(format: "%.\(digits)f", $0) } + ratios)
        }
        print(
            "\nmutual TLS, loopback, \(Load.bytes) bytes, \(self.load.concurrency) calls at once, best of 3 rounds"
        )
        let names = self.variants.map(\.rawValue)
        line("", names + names.dropFirst().map { "\($0)/\(names[0])" })
        row("unary calls/s", 0) { $0.callsPerSecond }
        row("client CPU, microseconds/call", 1) { $0.clientMicrosecondsPerCall }
        row("server CPU, microseconds/call", 1) { $0.serverMicrosecondsPerCall }
        row("both CPU, microseconds/call", 1) { $0.clientMicrosecondsPerCall + $0.serverMicrosecondsPerCall }
        row("one call at a time, median microseconds", 0) { $0.loneMedianMicroseconds }
        row("streamed messages/s", 0) { $0.messagesPerSecond }
        row("client CPU, microseconds/message", 1) { $0.clientMicrosecondsPerMessage }
        row("server CPU, microseconds/message", 1) { $0.serverMicrosecondsPerMessage }
        let cpu = { (variant: Variant) in
            figures[variant].map { $0.clientMicrosecondsPerCall + $0.serverMicrosecondsPerCall }
        }
        guard let raw = cpu(.raw), let core = cpu(.core), let direct = cpu(.direct), let nio = cpu(.nio)
        else { return }
        print("\ntargets: direct at most 2.00 of raw: \(direct / raw <= 2 ? "met" : "MISSED")")
        print("         core at most 0.50 of nio: \(core / nio <= 0.5 ? "met" : "MISSED")")
    }
}

/// A client of one variant, driving its server.
protocol BenchmarkClient: Sendable {
    func unary(count: Int, concurrency: Int) async throws
    /// The median duration of calls made one after another, in microseconds.
    func loneMedian(count: Int) async throws -> Double
    /// Receives a stream of messages.
    func stream(count: Int) async throws
    func close()
}

/// Wall clock and CPU time of a client and its server, from `init` to `end`.
struct Span {
    private let server: ServerProcess
    private let start = ContinuousClock.now
    private let clientStart = cpuMicroseconds()
    private let serverStart: Double
    private(set) var seconds = 0.0
    private(set) var clientMicroseconds = 0.0
    private(set) var serverMicroseconds = 0.0

    init(_ server: ServerProcess) throws {
        self.server = server
        self.serverStart = try server.cpuMicroseconds()
    }

    mutating func end() throws {
        let duration = (ContinuousClock.now - self.start).components
        self.seconds = Double(duration.seconds) + Double(duration.attoseconds) / 1e18
        self.clientMicroseconds = cpuMicroseconds() - self.clientStart
        self.serverMicroseconds = try self.server.cpuMicroseconds() - self.serverStart
    }
}

/// The CPU time that this process has used.
func cpuMicroseconds() -> Double {
    var usage = rusage()
    getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
    func microseconds(_ time: timeval) -> Double { Double(time.tv_sec) * 1e6 + Double(time.tv_usec) }
    return microseconds(usage.ru_utime) + microseconds(usage.ru_stime)
}
