import Channel
import FabricProtos
import Foundation
import Ledger
import SwiftProtobuf
import Testing

@testable import Peer

/// How fast a peer catches up, beside what the signatures alone cost on the same machine.
///
/// `WEFT_BENCH=1 swift test -c release -Xswiftc -enable-testing --filter CatchUpBenchmark`
@Suite(.enabled(if: ProcessInfo.processInfo.environment["WEFT_BENCH"] != nil))
struct CatchUpBenchmark {
    private static let blocks = 20
    private static let transactionsPerBlock = 500

    @Test func validatedCatchUpFromDisk() async throws {
        let folder = NSTemporaryDirectory() + "weft-catch-up-" + UUID().uuidString
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let registry = ChannelRegistry { id in
            try Ledger(channelID: id, stores: LedgerStores.open(folder: "\(folder)/\(id)"))
        }
        let channel = try await VectorNetwork.sideChannel(in: registry)
        let chain = try self.chain(after: channel.ledger.lastHeader)
        let pipeline = try VectorNetwork.pipeline(channel)

        let start = (cpu: Self.processorTime(), clock: ContinuousClock.now)
        try await pipeline.run(AsyncStream(chain))
        let cpu = Self.processorTime() - start.cpu
        let clock = ContinuousClock.now - start.clock

        let count = Self.blocks * Self.transactionsPerBlock
        #expect(
            try #require(channel.committed.recentBlock(channel.ledger.height - 1)).codes.allSatisfy {
                $0 == .valid
            }
        )
        let floor = try self.verificationCost(chain) * 2
        let seconds = Double(clock.components.seconds) + Double(clock.components.attoseconds) / 1e18
        print(
            """
            catch-up: \(count) transactions in \(seconds) s: \(Int(Double(count) / seconds)) per second
            CPU per transaction: \(cpu / Double(count) * 1e6) µs, of which signatures \(floor * 1e6) µs
            floor on \(ProcessInfo.processInfo.activeProcessorCount) cores: \
            \(Int(Double(ProcessInfo.processInfo.activeProcessorCount) / floor)) per second
            """
        )
    }

    private func chain(after header: Common_BlockHeader?) throws -> [Common_Block] {
        let factory = TransactionFactory(
            creator: try VectorNetwork.user("alpha"),
            endorsers: [try VectorNetwork.peer("alpha")]
        )
        let orderer = try VectorNetwork.orderer()
        var last = header
        return try (0..<Self.blocks).map { number in
            let envelopes = try (0..<Self.transactionsPerBlock).map { index in
                let write = TransactionFactory.write(
                    "key\((number * 7_919 + index * 104_729) % 100_000)",
                    String(repeating: "v", count: 100)
                )
                return try factory.transaction(TransactionFactory.set("othercc", write))
            }
            let block = try VectorNetwork.nextBlock(after: last, envelopes, signer: orderer)
            last = block.header
            return block
        }
    }

    /// Seconds of CPU that one verification takes, measured on the creators' signatures of `chain`.
    private func verificationCost(_ chain: [Common_Block]) throws -> Double {
        let identity = try VectorNetwork.user("alpha")
        let configuration = try ChannelConfiguration(configBlock: VectorNetwork.chain("side")[0])
        let creator = try configuration.directory.identity(from: identity.serialized)
        let envelopes = try chain.prefix(4).flatMap(\.data.data).map {
            try Common_Envelope(serializedBytes: $0)
        }
        let start = Self.processorTime()
        for envelope in envelopes { try creator.verify(envelope.signature, of: envelope.payload) }
        return (Self.processorTime() - start) / Double(envelopes.count)
    }

    /// Seconds of CPU that this process has used.
    private static func processorTime() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
