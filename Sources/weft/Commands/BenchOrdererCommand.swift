import ArgumentParser
import Foundation
import Synchronization
import WeftClient

extension BenchCommand {
    /// `weft bench orderer`: how many envelopes an ordering service takes, at what cost, and how soon.
    struct Orderer: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "orderer",
            abstract:
                "Measure the ordering service alone: envelopes per second, what each costs, how long it takes.",
            discussion: """
                First many streams at once, then one. Beside the cost of an envelope at the leader stands the floor, \
                one verification of a signature; beside the latency of the one stream stands a round trip over its \
                connection and a write that reaches the disk, all measured in the same run.

                The envelopes are no transactions, and peers that run note them as invalid: measure a network that \
                is thrown away, as scripts/bench orderer does.
                """
        )

        @Option(help: ArgumentHelp("The folder of a network made by `weft network up`.", valueName: "folder"))
        var network = NetworkDescription.defaultFolder

        @Option(help: "Which orderer to send to; the leader without it.")
        var orderer: String?

        @Option(help: "Who signs, as organization or organization/name; the first identity without it.")
        var identity: String?

        @Option(help: "How many streams send at the same time.")
        var streams = 256

        @Option(help: "How many connections they share.")
        var connections = 4

        @Option(help: "How many bytes each envelope carries.")
        var bytes = 1024

        @Option(help: "How long to measure, in seconds; the one stream takes half as long.")
        var duration = 10.0

        @Flag(help: "Stop the network's peers first, so that only orderers are at work.")
        var stopPeers = false

        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard self.streams > 0, self.connections > 0, (0...1 << 20).contains(self.bytes) else {
                throw ValidationError(
                    "--streams and --connections must be 1 or more, --bytes at most 1 MiB"
                )
            }
            guard self.duration >= 1, self.duration < 1e6 else {
                throw ValidationError("--duration takes seconds, 1 or more")
            }
        }

        func run() async throws {
            let description = try NetworkDescription(folder: self.network)
            let name =
                try self.identity
                ?? description.identities.first.map(\.name)
                .orFailure("there is no identity in \(description.folder)")
            let identity = try description.identity(name)
            let signer = try description.signer(identity)
            let target = try await self.target(description)
            if self.stopPeers {
                for peer in description.peers { _ = try await description.process(of: peer).stop() }
            }
            let servers = try MeasuredServer.all(of: description, where: { $0.role == .orderer })
            let signatures = try SignatureFloor.measure()
            let report = try await description.withConnections(self.connections, to: target, as: identity) {
                connections in
                let orderers = connections.map { $0.orderer(channel: description.channel, as: signer) }
                let floor = try await OrderingFloor.measure(
                    over: connections[0],
                    folder: description.folder,
                    bytes: self.bytes,
                    orderers: servers.count
                )
                let before = Mutex(servers.map(\.usage))
                let many = try await self.workload(self.streams, self.duration).run(over: orderers) {
                    before.withLock { $0 = servers.map(\.usage) }
                }
                let used = zip(servers, before.withLock(\.self)).map { $0.0.since($0.1) }
                let one = try await self.workload(1, max(self.duration / 2, 1))
                    .run(over: [orderers[0]]) {}
                return OrderingReport(
                    target: target.name,
                    streams: self.streams,
                    many: many.tally,
                    seconds: many.seconds,
                    servers: used,
                    one: one.tally,
                    signatures: signatures,
                    floor: floor
                )
            }
            self.output.answer(report.json, report.text)
            guard report.many.acknowledged > 0 else {
                throw Failure("no envelope was acknowledged: \(report.many.lastReason)", followsAnswer: true)
            }
        }

        private func workload(_ streams: Int, _ seconds: Double) -> OrderingWorkload {
            OrderingWorkload(
                streams: streams,
                envelopeBytes: self.bytes,
                warmUp: .seconds(2),
                duration: .seconds(seconds)
            )
        }

        /// The orderer that is named, else the one that says it leads, else the first.
        private func target(_ description: NetworkDescription) async throws -> NetworkDescription.Node {
            if let name = self.orderer { return try description.node(name) }
            let orderers = description.nodes.filter { $0.role == .orderer }
            for node in orderers {
                if await description.leads(node) == true { return node }
            }
            return try orderers.first.orFailure("there is no orderer in \(description.folder)")
        }
    }
}

extension NetworkDescription {
    /// Calls `body` with several connections to one node.
    func withConnections<Value: Sendable>(
        _ count: Int,
        to node: Node,
        as identity: Identity,
        _ connections: [Connection] = [],
        _ body: ([Connection]) async throws -> Value
    ) async throws -> Value {
        guard connections.count < count else { return try await body(connections) }
        return try await self.withNode(node, as: identity) { connection in
            try await self.withConnections(count, to: node, as: identity, connections + [connection], body)
        }
    }
}

extension Optional {
    /// The value, or a failure that says why there is none.
    fileprivate func orFailure(_ reason: @autoclosure () -> String) throws(Failure) -> Wrapped {
        guard let self else { throw Failure(reason()) }
        return self
    }
}
