import Foundation
import Histogram

/// What a run of `weft bench` found, for people and scripts.
struct BenchReport: Sendable {
    /// One server process and what it used while the run was measured; nothing is known of one that has ended.
    struct Server: Sendable {
        var name: String
        var processorSeconds: Double?
        var peakMemoryBytes: UInt64?
        var writtenBytes: UInt64?
        /// How much its data folder grew, where it is known.
        var keptBytes: Int64?
    }

    var tally: Workload.Tally
    var seconds: Double
    var workers: Int
    var endorsements: Int
    var servers: [Server]
    var client: ProcessUsage?
    var clientSeconds: Double
    var floor: SignatureFloor
    var peers: Int
    /// What was written down of all transactions, those of the warm-up included.
    var recorded: (acknowledged: Int, valid: Int)?

    var throughput: Double { Double(self.tally.committed) / self.seconds }

    private func perTransaction(_ amount: Double) -> Double {
        self.tally.committed == 0 ? 0 : amount / Double(self.tally.committed)
    }

    private var serverMicroseconds: Double {
        self.perTransaction(self.servers.compactMap(\.processorSeconds).reduce(0, +) * 1_000_000)
    }

    private var floorWork: (verifications: Int, signatures: Int, microseconds: Double) {
        self.floor.perTransaction(endorsements: self.endorsements, peers: self.peers)
    }

    private static let percentiles: [Double] = [50, 90, 99, 99.9]

    var json: JSONValue {
        let work = self.floorWork
        return .object([
            "committedPerSecond": .number(rounded(self.throughput, 1)),
            "committed": .integer(Int64(self.tally.committed)),
            "failed": .integer(Int64(self.tally.failed)),
            "reasons": .members(
                self.tally.reasons.sorted { $0.key < $1.key }.map { ($0.key, .integer(Int64($0.value))) }
            ),
            "recorded": self.recorded.map {
                .object([
                    "acknowledged": .integer(Int64($0.acknowledged)), "valid": .integer(Int64($0.valid)),
                ])
            } ?? .null,
            "seconds": .number(rounded(self.seconds, 2)),
            "workers": .integer(Int64(self.workers)),
            "blocks": .unsigned(self.tally.blocks),
            "latencyMilliseconds": .members(
                Self.percentiles.map { percentile in
                    ("p\(percentile)", .number(self.milliseconds(percentile)))
                } + [("max", .number(rounded(Double(self.tally.latency.max) / 1000, 1)))]
            ),
            "servers": .array(self.servers.map { self.json(of: $0) }),
            "serverMicrosecondsPerTransaction": .number(rounded(self.serverMicroseconds, 1)),
            "clientMicrosecondsPerTransaction": .number(
                rounded(self.perTransaction(self.clientSeconds * 1_000_000), 1)
            ),
            "floor": .object([
                "signMicroseconds": .number(rounded(self.floor.signMicroseconds, 1)),
                "verifyMicroseconds": .number(rounded(self.floor.verifyMicroseconds, 1)),
                "verifications": .integer(Int64(work.verifications)),
                "signatures": .integer(Int64(work.signatures)),
                "microsecondsPerTransaction": .number(rounded(work.microseconds, 1)),
                "ratio": .number(rounded(self.serverMicroseconds / max(work.microseconds, 0.001), 2)),
            ]),
        ])
    }

    private func json(of server: Server) -> JSONValue {
        .object([
            "name": .string(server.name),
            "microsecondsPerTransaction": server.processorSeconds.map {
                .number(rounded(self.perTransaction($0 * 1_000_000), 1))
            } ?? .null,
            "peakMemoryMB": server.peakMemoryBytes.map {
                .number(rounded(Double($0) / 1_048_576, 1))
            } ?? .null,
            "writtenBytesPerTransaction": server.writtenBytes.map {
                .number(rounded(self.perTransaction(Double($0)), 0))
            } ?? .null,
            "keptBytesPerTransaction": server.keptBytes.map {
                .number(rounded(self.perTransaction(Double($0)), 0))
            } ?? .null,
        ])
    }

    private func milliseconds(_ percentile: Double) -> Double {
        rounded(Double(self.tally.latency.valueAtPercentile(percentile)) / 1000, 1)
    }

    var text: String {
        let work = self.floorWork
        let perBlock = Double(self.tally.committed) / Double(max(self.tally.blocks, 1))
        var lines = [
            "\(rounded(self.throughput, 1)) committed transactions per second "
                + "(\(self.tally.committed) in \(rounded(self.seconds, 1)) s, \(self.workers) workers, "
                + "\(rounded(perBlock, 1)) a block, \(self.tally.failed) failed)",
            "latency        "
                + Self.percentiles.map { "p\(trimmed($0)) \(self.milliseconds($0)) ms" }.joined(
                    separator: ", "
                ),
        ]
        for server in self.servers {
            var line = server.name.padding(toLength: 15, withPad: " ", startingAt: 0)
            if let seconds = server.processorSeconds, let bytes = server.peakMemoryBytes {
                let processor = rounded(self.perTransaction(seconds * 1_000_000), 1)
                let memory = rounded(Double(bytes) / 1_048_576, 1)
                line += "\(processor) us of processor time per transaction, peak memory \(memory) MB"
            } else {
                line += "ended during the run, so its processor time is in no sum"
            }
            if let written = server.writtenBytes {
                line +=
                    ", disk per transaction: written \(trimmed(rounded(self.perTransaction(Double(written)), 0))) B"
            }
            if let kept = server.keptBytes {
                line += ", kept \(trimmed(rounded(self.perTransaction(Double(kept)), 0))) B"
            }
            lines.append(line)
        }
        lines += [
            "this client    \(rounded(self.perTransaction(self.clientSeconds * 1_000_000), 1)) us per transaction",
            "floor          \(rounded(work.microseconds, 1)) us per transaction: \(work.verifications) verifications of "
                + "\(rounded(self.floor.verifyMicroseconds, 1)) us and \(work.signatures) signature(s) of "
                + "\(rounded(self.floor.signMicroseconds, 1)) us, measured in this run",
            "all servers    \(rounded(self.serverMicroseconds, 1)) us per transaction, "
                + "\(rounded(self.serverMicroseconds / max(work.microseconds, 0.001), 2)) times the floor",
        ]
        for (reason, count) in self.tally.reasons.sorted(by: { $0.value > $1.value }).prefix(5) {
            lines.append("failed \(count) times: \(reason)")
        }
        return lines.joined(separator: "\n")
    }
}

/// A number with at most `places` decimals.
func rounded(_ number: Double, _ places: Int) -> Double {
    let factor = pow(10, Double(places))
    return (number * factor).rounded() / factor
}

/// A number without a trailing `.0`.
func trimmed(_ number: Double) -> String {
    number == number.rounded() && abs(number) < 1e15 ? "\(Int64(number))" : "\(number)"
}
