import ArgumentParser
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

extension BenchCommand {
    /// `weft bench catch-up`: how fast a new peer validates a chain that exists.
    struct CatchUp: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "catch-up",
            abstract:
                "Start one more peer with an empty ledger and measure how fast it validates the whole chain.",
            discussion: """
                Beside the result stands the floor: the time that verifying the chain's signatures takes on all cores \
                of this machine. The extra peer is stopped and its data removed afterwards.
                """
        )

        @Option(help: ArgumentHelp("The folder of a network made by `weft network up`.", valueName: "folder"))
        var network = NetworkDescription.defaultFolder

        @Option(help: "The peer whose organization and configuration the new one shares.")
        var peer: String?

        @OptionGroup var output: OutputOptions

        func run() async throws {
            let description = try NetworkDescription(folder: self.network)
            guard let model = try self.peer.map({ try description.node($0) }) ?? description.peers.first
            else {
                throw Failure("the network in \(description.folder) has no peer")
            }
            let identity = try description.identity(model.name)
            let chain = try await Self.measureChain(description, model, identity)
            let floor = try SignatureFloor.measure()

            let node = try Self.prepare(description, model)
            let process = description.process(of: node)
            let clock = ContinuousClock()
            let start = clock.now
            try process.start(["peer", "start", "--config", process.folder + "/peer.yaml"])
            let bar = ProgressBar("catching up", total: chain.blocks)
            let elapsed: Duration
            var used: ProcessUsage?
            do {
                try await description.waitUntilReady(node, as: identity)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        try await description.waitForBlock(UInt64(chain.blocks) &- 1, of: node, as: identity)
                    }
                    if !self.output.json {
                        group.addTask { try await Self.showProgress(bar, description, node, identity) }
                    }
                    try await group.next()
                    group.cancelAll()
                }
                elapsed = start.duration(to: clock.now)
                used = process.runningProcess.flatMap { ProcessUsage(process: $0) }
                bar.finish()
            } catch {
                _ = try await process.stop()
                throw error
            }
            _ = try await process.stop()
            try FileManager.default.removeItem(atPath: process.folder)
            self.report(chain, floor, elapsed, used)
        }

        /// Moves the bar once a second until the task is cancelled: each look costs the node a handshake and a block.
        private static func showProgress(
            _ bar: ProgressBar,
            _ description: NetworkDescription,
            _ node: NetworkDescription.Node,
            _ identity: NetworkDescription.Identity
        ) async throws {
            var height: UInt64 = 0
            while true {
                try await Task.sleep(for: .seconds(1))
                let now = try await description.status(of: node, as: identity).height
                bar.advance(by: Int(now &- height))
                height = now
            }
        }

        private func report(
            _ chain: Chain,
            _ floor: SignatureFloor,
            _ elapsed: Duration,
            _ used: ProcessUsage?
        ) {
            let seconds = elapsed / .seconds(1)
            let cores = ProcessInfo.processInfo.activeProcessorCount
            let floorSeconds = Double(chain.verifications) * floor.verifyMicroseconds / 1e6 / Double(cores)
            let rate = Double(chain.transactions) / seconds
            let share = floorSeconds / seconds * 100
            let processor = (used?.processorSeconds ?? 0) * 1e6 / Double(max(chain.transactions, 1))
            let memory = Double(used?.peakMemoryBytes ?? 0) / 1_048_576
            self.output.answer(
                .object([
                    "transactions": .integer(Int64(chain.transactions)),
                    "blocks": .integer(Int64(chain.blocks)),
                    "seconds": .number(rounded(seconds, 3)),
                    "transactionsPerSecond": .number(rounded(rate, 1)),
                    "verifications": .integer(Int64(chain.verifications)),
                    "floorSeconds": .number(rounded(floorSeconds, 3)),
                    "percentOfFloor": .number(rounded(share, 1)),
                    "microsecondsPerTransaction": .number(rounded(processor, 1)),
                    "peakMemoryMB": .number(rounded(memory, 1)),
                ]),
                """
                \(rounded(rate, 1)) transactions per second validated and committed (\(chain.transactions) in \
                \(chain.blocks) blocks, \(rounded(seconds, 2)) s from the start of the process)
                floor          \(rounded(floorSeconds, 2)) s: \(chain.verifications) verifications of \
                \(rounded(floor.verifyMicroseconds, 1)) us on \(cores) cores; this is \(rounded(share, 1))% of that speed
                new peer       \(rounded(processor, 1)) us of processor time per transaction, peak memory \
                \(rounded(memory, 1)) MB
                """
            )
        }

        /// What there is to catch up with.
        struct Chain: Sendable {
            var blocks = 0
            var transactions = 0
            var verifications = 0

            mutating func count(_ block: Common_Block) {
                self.blocks += 1
                self.verifications += 1  // the orderer's signature on the block
                for envelope in block.data.data {
                    self.transactions += 1
                    self.verifications += 1
                    guard let decoded = try? DecodedTransaction.decode(envelope),
                        case .success(.endorser(let transaction)) = decoded.body
                    else { continue }
                    self.verifications += transaction.endorsements.count
                }
            }
        }

        private actor Counter {
            var chain = Chain()
            func count(_ block: Common_Block) { self.chain.count(block) }
        }

        private static func measureChain(
            _ description: NetworkDescription,
            _ node: NetworkDescription.Node,
            _ identity: NetworkDescription.Identity
        ) async throws -> Chain {
            let height = try await description.status(of: node, as: identity).height
            let signer = try description.signer(identity)
            let counter = Counter()
            try await description.withNode(node, as: identity) { connection in
                try await connection.peer(channel: description.channel, as: signer)
                    .blocks(from: 0, through: height &- 1) { block in
                        await counter.count(block)
                        return true
                    }
            }
            return await counter.chain
        }

        /// Writes the configuration of the new peer.
        private static func prepare(
            _ description: NetworkDescription,
            _ model: NetworkDescription.Node
        ) throws -> NetworkDescription.Node {
            var configuration = try PeerConfiguration(
                file: description.path(model.folder) + "/peer.yaml"
            )
            var node = model
            node.name = model.name + "-catch-up"
            node.folder = "nodes/" + node.name
            node.endpoint = "127.0.0.1:\(try LoopbackPorts.free(1)[0])"
            let folder = description.path(node.folder)
            configuration.listen = node.endpoint
            configuration.advertise = node.endpoint
            configuration.data = folder + "/data"
            configuration.operations = nil
            try? FileManager.default.removeItem(atPath: folder)
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            try Data(configuration.yaml.utf8).write(to: URL(fileURLWithPath: folder + "/peer.yaml"))
            return node
        }
    }
}
