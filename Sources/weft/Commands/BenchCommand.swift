import ArgumentParser
import FabricProtos
import Foundation
import Glibc
import SwiftProtobuf
import Synchronization
import WeftClient

/// `weft bench`: how many transactions a network commits, at what cost.
struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract:
            "Measure how many transactions a network commits, at what cost in time, processor, memory and disk.",
        subcommands: [Transactions.self, CatchUp.self, Orderer.self],
        defaultSubcommand: Transactions.self
    )

    struct Transactions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "A closed loop of blind writes through a gateway, each waited for until it is committed.",
            discussion: """
                Works against any peer that speaks Fabric's gateway. Beside the result stands the floor: what the \
                signatures alone cost on this machine, measured in the same run.

                SIGINT or SIGTERM ends it early: what was begun is waited for, and the result is printed.
                """
        )

        @OptionGroup var connection: ConnectionOptions

        @Option(help: "How many clients submit at the same time.")
        var workers = 512

        @Option(help: "How many connections they share.")
        var connections = 4

        @Option(help: "How long to measure, in seconds.")
        var duration = 20.0

        @Option(help: "How long to run before measuring, in seconds.")
        var warmUp = 3.0

        @Option(help: "The contract to call, as function KEY VALUE.")
        var contract = "kv"

        @Option(help: "The contract's function.")
        var function = "put"

        @Option(help: "Over how many keys to write.")
        var keys = 100_000

        @Option(help: "How many bytes to write.")
        var valueBytes = 100

        @Option(
            name: .customLong("process"),
            help: ArgumentHelp(
                "A server process to account for; those of --network are found without it.",
                valueName: "name=pid"
            )
        )
        var processes: [String] = []

        @Option(help: "How many peers commit, for the floor; found out for a network of `weft network up`.")
        var peers: Int?

        @Option(
            help: ArgumentHelp(
                "Write `acknowledged TXID` and `valid TXID BLOCK` here, as transactions come so far.",
                valueName: "file"
            )
        )
        var acknowledged: String?

        @OptionGroup var output: OutputOptions

        func validate() throws {
            guard self.workers > 0, self.connections > 0, self.keys > 0, self.valueBytes >= 0 else {
                throw ValidationError("--workers, --connections and --keys must be 1 or more")
            }
            guard self.duration >= 1, self.duration < 1e6, self.warmUp >= 0, self.warmUp < 1e6 else {
                throw ValidationError("--duration takes seconds, 1 or more; --warm-up 0 or more")
            }
        }

        func run() async throws {
            let target = try self.connection.resolve()
            let servers = try self.servers()
            let record = try self.acknowledged.map { try AcknowledgedTransactions(path: $0) }
            let interruption = Interruption()
            let workload = Workload(
                contract: self.contract,
                function: self.function,
                workers: self.workers,
                keys: self.keys,
                valueBytes: self.valueBytes,
                warmUp: .seconds(self.warmUp),
                duration: .seconds(self.duration),
                record: record,
                isInterrupted: { interruption.isRequested }
            )
            let floor = try SignatureFloor.measure()
            let report = try await withGateways(self.connections, target) { gateways in
                let endorsements = try await Self.endorsements(gateways[0], self.contract, self.function)
                let before = Mutex(servers.map(\.usage))
                let clientBefore = Mutex(ProcessUsage(process: getpid()))
                let bar = ProgressBar("measuring", total: Int(self.duration))
                let (tally, seconds) = try await interruption.watch {
                    try await workload.run(over: gateways) {
                        before.withLock { $0 = servers.map(\.usage) }
                        clientBefore.withLock { $0 = ProcessUsage(process: getpid()) }
                    } progress: {
                        bar.advance()
                    }
                }
                let client = ProcessUsage(process: getpid())
                let used = zip(servers, before.withLock(\.self)).map { $0.0.since($0.1) }
                bar.finish()
                let clientStart = clientBefore.withLock { $0?.processorSeconds ?? 0 }
                return BenchReport(
                    tally: tally,
                    seconds: seconds,
                    workers: self.workers,
                    endorsements: endorsements,
                    servers: used,
                    client: client,
                    clientSeconds: (client?.processorSeconds ?? 0) - clientStart,
                    floor: floor,
                    peers: self.peers ?? max(servers.count { $0.isPeer }, 1),
                    recorded: record?.counts
                )
            }
            self.output.answer(report.json, report.text)
            guard report.tally.committed > 0 else {
                throw Failure("no transaction was committed; the reasons are above", followsAnswer: true)
            }
        }

        private func servers() throws -> [MeasuredServer] {
            if !self.processes.isEmpty {
                return try self.processes.map { entry in
                    let parts = entry.split(separator: "=", maxSplits: 1)
                    guard parts.count == 2, let process = pid_t(parts[1]),
                        ProcessUsage(process: process) != nil
                    else {
                        throw ValidationError(
                            "--process takes name=pid of a running process, not \"\(entry)\""
                        )
                    }
                    return MeasuredServer(name: String(parts[0]), process: process, dataFolder: nil)
                }
            }
            guard self.connection.identity == nil else { return [] }
            return try MeasuredServer.all(of: NetworkDescription(folder: self.connection.network))
        }

        /// How many endorsements the network's policy makes the gateway collect.
        private static func endorsements(
            _ gateway: Gateway,
            _ contract: String,
            _ function: String
        ) async throws -> Int {
            let endorsed = try await gateway.endorse(Invocation(contract, function, ["probe", "probe"]))
            return try endorsed.endorsementCount
        }
    }
}

/// Calls `body` with `count` gateways, each over a connection of its own.
func withGateways<Value: Sendable>(
    _ count: Int,
    _ target: ConnectionOptions.Target,
    _ gateways: [Gateway] = [],
    _ body: ([Gateway]) async throws -> Value
) async throws -> Value {
    guard gateways.count < count else { return try await body(gateways) }
    return try await withConnection(to: target.endpoint, security: target.security) { connection in
        let gateway = connection.gateway(channel: target.channel, as: target.signer)
        return try await withGateways(count, target, gateways + [gateway], body)
    }
}

/// A server process whose use of the machine is accounted for.
struct MeasuredServer: Sendable {
    var name: String
    var process: pid_t
    var dataFolder: String?
    var isPeer = false

    /// What it has used, and how large its data folder is.
    var usage: (process: ProcessUsage?, folder: Int64?) {
        (ProcessUsage(process: self.process), self.dataFolder.map(folderSize))
    }

    func since(_ before: (process: ProcessUsage?, folder: Int64?)) -> BenchReport.Server {
        let now = self.usage
        var written: UInt64?
        if let end = now.process?.writtenBytes, let start = before.process?.writtenBytes {
            written = end &- start
        }
        var kept: Int64?
        if let end = now.folder, let start = before.folder { kept = end - start }
        return BenchReport.Server(
            name: self.name,
            processorSeconds: now.process.map {
                $0.processorSeconds - (before.process?.processorSeconds ?? 0)
            },
            peakMemoryBytes: now.process?.peakMemoryBytes,
            writtenBytes: written,
            keptBytes: kept
        )
    }

    /// The running nodes of a network.
    static func all(
        of network: NetworkDescription,
        where isMeasured: (NetworkDescription.Node) -> Bool = { _ in true }
    ) throws -> [MeasuredServer] {
        try network.nodes.filter(isMeasured).map { node in
            let process = network.process(of: node)
            guard let running = process.runningProcess else {
                throw Failure("\(node.name) does not run; start the network with: weft network up")
            }
            return MeasuredServer(
                name: node.name,
                process: running,
                dataFolder: process.folder + "/data",
                isPeer: node.role == .peer
            )
        }
    }
}

/// The bytes that the files below a folder take up on the disk.
func folderSize(_ folder: String) -> Int64 {
    guard let files = FileManager.default.enumerator(atPath: folder) else { return 0 }
    var total: Int64 = 0
    for case let name as String in files {
        var status = stat()
        guard lstat(folder + "/" + name, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { continue }
        total += Int64(status.st_blocks) * 512
    }
    return total
}
