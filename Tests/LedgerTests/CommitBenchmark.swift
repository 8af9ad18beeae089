import Channel
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf
import Testing

import struct Channel.Version

@testable import Ledger

/// Measures what committing costs.
///
/// Runs only when asked for:
/// `WEFT_BENCH=1 swift test -c release -Xswiftc -enable-testing --filter CommitBenchmark`.
@Suite(.serialized, .enabled(if: ProcessInfo.processInfo.environment["WEFT_BENCH"] != nil))
struct CommitBenchmark {
    private static let blocks = 60
    private static let transactionsPerBlock = 500
    private static let keys = 100_000
    /// Bytes of a transaction with two endorsements by X.509 identities.
    private static let envelopeBytes = 3_500

    @Test(arguments: [0, 2]) func commit(readsPerTransaction reads: Int) throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "weft-\(UUID().uuidString)"
        )
        defer { try? FileManager.default.removeItem(at: folder) }
        let stores = try LedgerStores.open(folder: folder.path)
        let ledger = try Ledger(channelID: ChannelID("bench"), stores: stores)
        var generator = SystemRandomNumberGenerator()
        var previous: Common_BlockHeader?
        var cpu = 0.0
        var wall = 0.0
        var versions: [Int: Version] = [:]
        for number in 0..<Self.blocks {
            var envelopes: [Data] = []
            var transactions: [TransactionToCommit] = []
            var written = Set<Int>()
            for index in 0..<Self.transactionsPerBlock {
                var envelope = Data(count: Self.envelopeBytes)
                // Half of a transaction is certificates, which compress; half is signatures and hashes.
                for offset in stride(from: 0, to: Self.envelopeBytes / 2, by: 8) {
                    let bits: UInt64 = generator.next()
                    withUnsafeBytes(of: bits) { envelope.replaceSubrange(offset..<(offset + 8), with: $0) }
                }
                envelopes.append(envelope)
                var set = Kvrwset_KVRWSet()
                for _ in 0..<reads {
                    let key = Int.random(in: 0..<Self.keys)
                    guard !written.contains(key) else { continue }
                    set.reads.append(.init(key: Bytes("key\(key)".utf8), version: versions[key]))
                }
                let key = Int.random(in: 0..<Self.keys)
                if written.insert(key).inserted {
                    set.writes = [
                        .with {
                            $0.key = "key\(key)"; $0.value = envelope.prefix(100)
                        }
                    ]
                    versions[key] = Version(block: UInt64(number), transaction: UInt64(index))
                }
                let id = TransactionID(nonce: Data("\(number)/\(index)".utf8), creator: Data()).description
                transactions.append(
                    TransactionToCommit(
                        code: .valid,
                        id: id,
                        readWriteSet: .init(namespaces: [.init(name: "cc", kv: set)])
                    )
                )
            }
            let block = Common_Block.next(after: previous, envelopes: envelopes)
            previous = block.header
            let input = BlockToCommit(block: block, transactions: transactions)
            let start = Self.cpuSeconds()
            let began = ContinuousClock.now
            let committed = try ledger.commit(input)
            wall +=
                Double((ContinuousClock.now - began).components.attoseconds) / 1e18
                + Double((ContinuousClock.now - began).components.seconds)
            cpu += Self.cpuSeconds() - start
            #expect(reads > 0 || committed.codes.allSatisfy { $0 == .valid })
        }
        let count = Double(Self.blocks * Self.transactionsPerBlock)
        let disk = Self.bytes(in: folder)
        print(
            "commit, \(reads) reads a transaction: \(cpu / count * 1e6) µs CPU, \(wall / count * 1e6) µs wall, "
                + "\(Double(disk) / count) bytes on disk per transaction of \(Self.envelopeBytes) bytes"
        )
    }

    private static func bytes(in folder: URL) -> Int {
        let names = FileManager.default.enumerator(atPath: folder.path)?.allObjects ?? []
        return names.reduce(0) { total, name in
            let path = folder.appendingPathComponent("\(name)").path
            let size = (try? FileManager.default.attributesOfItem(atPath: path))?[.size] as? Int ?? 0
            return total + size
        }
    }

    /// CPU time of the whole process: compaction runs on a thread of LevelDB's.
    private static func cpuSeconds() -> Double {
        var time = timespec()
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
        return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
    }
}
