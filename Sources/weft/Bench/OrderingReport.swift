import Foundation
import Histogram

/// What a run of `weft bench orderer` found, for people and scripts.
struct OrderingReport: Sendable {
    /// The orderer that everything was sent to.
    var target: String
    var streams: Int
    var many: OrderingWorkload.Tally
    var seconds: Double
    var servers: [BenchReport.Server]
    /// What one stream alone saw.
    var one: OrderingWorkload.Tally
    var signatures: SignatureFloor
    var floor: OrderingFloor

    private var throughput: Double { Double(self.many.acknowledged) / self.seconds }

    private func microseconds(_ server: BenchReport.Server) -> Double {
        (server.processorSeconds ?? 0) * 1e6 / Double(max(self.many.acknowledged, 1))
    }

    /// What the target used for an envelope, in verifications.
    private var ratio: Double {
        let target = self.servers.first { $0.name == self.target }
        return target.map { self.microseconds($0) / max(self.signatures.verifyMicroseconds, 0.001) } ?? 0
    }

    private var latencyRatio: Double {
        Double(self.one.latency.valueAtPercentile(50)) / max(self.floor.microseconds, 0.001)
    }

    private func milliseconds(_ tally: OrderingWorkload.Tally, _ percentile: Double) -> Double {
        rounded(Double(tally.latency.valueAtPercentile(percentile)) / 1000, 2)
    }

    var json: JSONValue {
        .object([
            "target": .string(self.target),
            "streams": .integer(Int64(self.streams)),
            "envelopesPerSecond": .number(rounded(self.throughput, 1)),
            "acknowledged": .integer(Int64(self.many.acknowledged)),
            "refused": .integer(Int64(self.many.refused)),
            "latencyMilliseconds": .object([
                "p50": .number(self.milliseconds(self.many, 50)),
                "p99": .number(self.milliseconds(self.many, 99)),
            ]),
            "orderers": .array(
                self.servers.map { server in
                    .object([
                        "name": .string(server.name),
                        "microsecondsPerEnvelope": .number(rounded(self.microseconds(server), 1)),
                        "peakMemoryMB": .number(rounded(Double(server.peakMemoryBytes ?? 0) / 1_048_576, 1)),
                    ])
                }
            ),
            "verifyMicroseconds": .number(rounded(self.signatures.verifyMicroseconds, 1)),
            "ratio": .number(rounded(self.ratio, 2)),
            "oneStream": .object([
                "p50Milliseconds": .number(self.milliseconds(self.one, 50)),
                "p99Milliseconds": .number(self.milliseconds(self.one, 99)),
                "roundTripMicroseconds": .number(rounded(self.floor.roundTripMicroseconds, 1)),
                "syncMicroseconds": .number(rounded(self.floor.syncMicroseconds, 1)),
                "sharedSyncMicroseconds": .number(rounded(self.floor.sharedSyncMicroseconds, 1)),
                "ratio": .number(rounded(self.latencyRatio, 2)),
            ]),
        ])
    }

    var text: String {
        let refused = self.many.refused == 0 ? "" : ", the last \(self.many.lastReason)"
        let servers = self.servers.map { server in
            "\(server.name.padding(toLength: 14, withPad: " ", startingAt: 0)) "
                + "\(rounded(self.microseconds(server), 1)) us of processor time per envelope, peak memory "
                + "\(rounded(Double(server.peakMemoryBytes ?? 0) / 1_048_576, 1)) MB"
        }
        return """
            \(rounded(self.throughput, 1)) envelopes per second acknowledged by \(self.target) \
            (\(self.streams) streams, \(self.many.refused) refused\(refused))
            latency        p50 \(self.milliseconds(self.many, 50)) ms, p99 \(self.milliseconds(self.many, 99)) ms
            \(servers.joined(separator: "\n"))
            floor          \(rounded(self.signatures.verifyMicroseconds, 1)) us, one verification; \
            \(self.target) uses \(rounded(self.ratio, 2)) times that
            one stream     p50 \(self.milliseconds(self.one, 50)) ms, p99 \(self.milliseconds(self.one, 99)) ms
            floor          \(rounded(self.floor.roundTripMicroseconds, 1)) us for a round trip and \
            \(rounded(self.floor.syncMicroseconds, 1)) us for a write that is synced; the median is \
            \(rounded(self.latencyRatio, 2)) times both\(self.sharedDisk)
            """
    }

    /// What the floor leaves out: each orderer of this network syncs every block, on one disk.
    private var sharedDisk: String {
        guard self.servers.count > 1 else { return "" }
        return "\none disk       \(rounded(self.floor.sharedSyncMicroseconds, 1)) us for such a write while "
            + "\(self.servers.count) are made at a time, as the orderers of one machine do"
    }
}
