import Foundation
import GRPCCore
import GRPCNIOTransportHTTP2
import RPC
import RPCTestService
import Synchronization
import TestSupport

/// Calls of every kind for some time, by clients that are well-behaved and clients that leave early, of ours and
/// of SwiftNIO's, against our server and SwiftNIO's; counts what fails or hangs.
///
/// A release build with a busy machine is the point: what tests can't show is rare.
struct RPCSoak {
    let duration: Duration
    let pairs: [Pair]
    let works: [Work]

    /// `names` are those of pairs and works; of which none is named, all are done.
    init(duration: Duration, names: [String]) {
        self.duration = duration
        let (pairs, works) = (names.compactMap(Pair.init(rawValue:)), names.compactMap(Work.init(rawValue:)))
        self.pairs = pairs.isEmpty ? Pair.allCases : pairs
        self.works = works.isEmpty ? Work.allCases : works
    }

    /// The client and the server that talk.
    enum Pair: String, CaseIterable {
        case coreToCore = "core-core"
        case nioToCore = "nio-core"
        case coreToNIO = "core-nio"
    }

    /// What a worker does again and again.
    enum Work: String, CaseIterable {
        case small, large, chat, leaveFlood, leaveOpenFlood, leaveBlocked

        var workers: Int {
            switch self {
            case .small: 8
            case .large: 4
            case .chat: 2
            case .leaveFlood, .leaveOpenFlood, .leaveBlocked: 1
            }
        }
    }

    private final class Tally: Sendable {
        let counts = Mutex<[String: Int]>([:])
        let failures = Mutex<[String]>([])

        func report() {
            for (name, count) in self.counts.withLock({ $0 }).sorted(by: { $0.key < $1.key }) {
                print("\(name): \(count)")
            }
        }
    }

    /// Nothing may take longer, on however busy a machine.
    private static let limit = Duration.seconds(300)

    func run() async throws -> Bool {
        let tally = Tally()
        let folder = try TLSFolder.make()
        defer { try? FileManager.default.removeItem(atPath: folder.path) }
        for pair in self.pairs {
            let share = self.duration / self.pairs.count
            switch pair {
            case .coreToCore, .nioToCore:
                try await self.againstOurs(pair, share, folder, tally)
            case .coreToNIO:
                let transport = try SwiftServer.nioTransport(folder)
                try await self.serve(transport) {
                    guard let port = try await transport.listeningAddress.ipv4?.port else { return }
                    let client = try SwiftClient.coreTransport(port: port, folder)
                    try await self.drive(pair, client, share, tally)
                }
            }
        }
        tally.report()
        let failures = tally.failures.withLock { $0 }
        for failure in failures { print("FAILED \(failure)") }
        print(failures.isEmpty ? "nothing failed" : "\(failures.count) failures")
        return failures.isEmpty
    }

    private func againstOurs(
        _ pair: Pair,
        _ share: Duration,
        _ folder: TLSFolder,
        _ tally: Tally
    ) async throws {
        let pollers = PollerGroup(count: 1)
        let transport = try SwiftServer.coreTransport(folder, pollers)
        let port = transport.boundPort
        try await self.serve(transport) {
            if pair == .nioToCore {
                try await self.drive(pair, try SwiftClient.nioTransport(port: port, folder), share, tally)
            } else {
                try await self.drive(pair, try SwiftClient.coreTransport(port: port, folder), share, tally)
            }
        }
        try await eventually {
            let handles = pollers.liveHandles
            return handles.calls + handles.batches + handles.byteBuffers == 0
        }
    }

    private func serve<Transport: ServerTransport>(
        _ transport: Transport,
        _ body: () async throws -> Void
    ) async throws {
        let server = GRPCServer(transport: transport, router: TestService().router(for: transport))
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            let result = await Result { try await body() }
            server.beginGracefulShutdown()
            try await group.waitForAll()
            try result.get()
        }
    }

    private func drive<Transport: ClientTransport>(
        _ pair: Pair,
        _ transport: Transport,
        _ share: Duration,
        _ tally: Tally
    ) async throws {
        let end = ContinuousClock.now + share
        try await withGRPCClient(transport: transport) { client in
            await withTaskGroup(of: Void.self) { group in
                for work in self.works {
                    for _ in 0..<work.workers {
                        group.addTask {
                            while ContinuousClock.now < end { await self.once(pair, work, client, tally) }
                        }
                    }
                }
            }
        }
    }

    private func once<Transport: ClientTransport>(
        _ pair: Pair,
        _ work: Work,
        _ client: GRPCClient<Transport>,
        _ tally: Tally
    ) async {
        let name = "\(pair.rawValue) \(work.rawValue)"
        let start = ContinuousClock.now
        // It names what hangs, and ends the run: nothing else would.
        let watch = Task {
            try await Task.sleep(for: Self.limit)
            tally.report()
            print("FAILED \(name): hangs for \(Self.limit)")
            exit(1)
        }
        defer { watch.cancel() }
        do {
            try await Self.perform(work, client)
            tally.counts.withLock { $0[name, default: 0] += 1 }
        } catch {
            let elapsed = ContinuousClock.now - start
            tally.failures.withLock { $0.append("\(name) after \(elapsed): \(error)") }
        }
    }

    private static func perform<Transport: ClientTransport>(
        _ work: Work,
        _ client: GRPCClient<Transport>
    ) async throws {
        switch work {
        case .small: try await self.echo(client, bytes: 100)
        case .large: try await self.echo(client, bytes: 3 << 20)
        case .chat:
            let messages = (0..<200).map { [UInt8](repeating: UInt8($0), count: 500) }
            guard try await client.chat(messages).0 == messages else { throw Wrong() }
        case .leaveFlood: try await client.leaveFlood(after: 5)
        case .leaveOpenFlood: try await client.leaveFlood(after: 5, halfClosed: false)
        case .leaveBlocked: try await client.leaveBlockedChat()
        }
    }

    private static func echo<Transport: ClientTransport>(
        _ client: GRPCClient<Transport>,
        bytes: Int
    ) async throws {
        let message = [UInt8](repeating: 5, count: bytes)
        guard try await client.unary(message).message == message else { throw Wrong() }
    }

    private struct Wrong: Error, CustomStringConvertible {
        let description = "the answer is another one than the request"
    }
}
