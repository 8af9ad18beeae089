import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

import struct Channel.Version

@testable import weft

/// What is found of transactions that lost a race, by the blocks before them.
@Suite struct ConflictSearchTests {
    /// The transaction that is explained: the third of block 12.
    private static let place = Version(block: 12, transaction: 2)

    private static func version(_ block: UInt64, _ transaction: UInt64) -> Kvrwset_Version {
        .with {
            $0.blockNum = block
            $0.txNum = transaction
        }
    }

    private static func reading(_ key: String, at version: Kvrwset_Version?) -> TransactionReadWriteSet {
        let read = Kvrwset_KVRead.with {
            $0.key = key
            if let version { $0.version = version }
        }
        return TransactionReadWriteSet(namespaces: [.init(name: "kv", kv: .with { $0.reads = [read] })])
    }

    private static func scanning(
        _ results: [(String, Kvrwset_Version)],
        to end: String = "z",
        isExhausted: Bool = true
    ) -> TransactionReadWriteSet {
        let query = Kvrwset_RangeQueryInfo.with { query in
            query.startKey = "a"
            query.endKey = end
            query.itrExhausted = isExhausted
            query.rawReads.kvReads = results.map { result in
                .with {
                    $0.key = result.0
                    $0.version = result.1
                }
            }
        }
        return TransactionReadWriteSet(
            namespaces: [.init(name: "kv", kv: .with { $0.rangeQueriesInfo = [query] })]
        )
    }

    private static func write(
        _ key: String,
        _ change: KeyChange,
        _ block: UInt64,
        _ index: UInt64
    ) -> WrittenTransaction {
        WrittenTransaction(
            place: TransactionPlace(
                version: Version(block: block, transaction: index),
                id: "\(block)-\(index)"
            ),
            code: .valid,
            changes: [(StateKey("kv", key), change)],
            policies: [:]
        )
    }

    private static func search(
        _ set: TransactionReadWriteSet,
        _ code: Protos_TxValidationCode = .mvccReadConflict,
        _ blocks: [(UInt64, [WrittenTransaction])]
    ) -> ConflictSearch {
        var search = ConflictSearch(set, code: code, place: Self.place)
        for (number, transactions) in blocks where !search.take(number, transactions) { break }
        return search
    }

    @Test func aKeyThatAnEarlierTransactionOfTheBlockWroteIsFoundWithItsWriter() throws {
        let search = Self.search(
            Self.reading("a", at: Self.version(10, 0)),
            .mvccReadConflict,
            [(12, [Self.write("b", .value, 12, 1), Self.write("a", .value, 12, 0)])]
        )
        let finding = try #require(search.findings.first)
        #expect(finding.kind == .changed)
        #expect(finding.read == Version(block: 10, transaction: 0))
        #expect(finding.found == Version(block: 12, transaction: 0))
        #expect(finding.writer?.id == "12-0")
        #expect(
            finding.text(in: 12) == """
                it read the key "a" of kv at version 10:0; found version 12:0, written by transaction 12-0 \
                (block 12, position 0), earlier in the same block
                """
        )
    }

    @Test func aKeyThatIsAsItWasReadIsNoCause() {
        let search = Self.search(
            Self.reading("a", at: Self.version(10, 0)),
            .mvccReadConflict,
            [
                (12, []), (11, []), (10, [Self.write("a", .value, 10, 0)]),
                (9, [Self.write("a", .value, 9, 0)]),
            ]
        )
        #expect(search.findings.isEmpty)
    }

    @Test func keysThatCameOrWentAreCalledThat() {
        let came = Self.search(
            Self.reading("a", at: nil),
            .mvccReadConflict,
            [(12, []), (11, [Self.write("a", .value, 11, 4)])]
        )
        #expect(came.findings.map(\.kind) == [.appeared])
        let went = Self.search(
            Self.reading("a", at: Self.version(3, 0)),
            .mvccReadConflict,
            [(12, []), (11, [Self.write("a", .removal, 11, 0)])]
        )
        #expect(went.findings.map(\.kind) == [.removed])
        #expect(went.findings.first?.found == nil)
    }

    /// A key that is missing stays as it was read when it is removed once more, but not within the block.
    @Test func removingAMissingKeyConflictsInTheSameBlockOnly() {
        let earlier = Self.search(
            Self.reading("a", at: nil),
            .mvccReadConflict,
            [(12, []), (11, [Self.write("a", .removal, 11, 0)])]
        )
        #expect(earlier.findings.isEmpty)
        let same = Self.search(
            Self.reading("a", at: nil),
            .mvccReadConflict,
            [(12, [Self.write("a", .removal, 12, 0)])]
        )
        #expect(same.findings.map(\.kind) == [.removed])
    }

    @Test func metadataCountsOnlyForAKeyThatWasThere() {
        let policy = KeyChange.metadata(policy: Data([1]))
        let there = Self.search(
            Self.reading("a", at: Self.version(9, 0)),
            .mvccReadConflict,
            [
                (12, []), (11, [Self.write("a", policy, 11, 0)]), (10, []),
                (9, [Self.write("a", .value, 9, 0)]),
            ]
        )
        #expect(there.findings.map(\.found) == [Version(block: 11, transaction: 0)])
        let missing = Self.search(
            Self.reading("a", at: nil),
            .mvccReadConflict,
            [(12, []), (11, [Self.write("a", policy, 11, 0)]), (10, [Self.write("a", .removal, 10, 0)])]
        )
        #expect(missing.findings.isEmpty)
    }

    @Test func aVersionThatNobodyWroteIsToldAsSuch() {
        let search = Self.search(
            Self.reading("a", at: Self.version(11, 7)),
            .mvccReadConflict,
            [(12, []), (11, [Self.write("b", .value, 11, 7)])]
        )
        #expect(search.findings.map(\.kind) == [.unknownVersion])
    }

    @Test func privateKeysAreFoundByTheirHashes() {
        let hash = Data(repeating: 7, count: 32)
        let read = Kvrwset_KVReadHash.with { $0.keyHash = hash }
        let set = TransactionReadWriteSet(
            namespaces: [
                .init(
                    name: "kv",
                    kv: .init(),
                    collections: [
                        .init(name: "secret", hashed: .with { $0.hashedReads = [read] }, privateHash: Data())
                    ]
                )
            ]
        )
        let key = StateKey("kv", "secret", hash: hash)
        var write = Self.write("ignored", .value, 12, 0)
        write.changes = [(key, .value)]
        let search = Self.search(set, .mvccReadConflict, [(12, [write])])
        #expect(search.findings.map(\.key) == [key])
        #expect(search.findings.first?.text(in: 12).contains("collection secret") == true)
    }

    // MARK: Ranges

    @Test func phantomsAreKeysThatCameWentOrChanged() {
        let results = [("b", Self.version(3, 0)), ("c", Self.version(4, 0))]
        let came = Self.search(
            Self.scanning(results),
            .phantomReadConflict,
            [(12, [Self.write("d", .value, 12, 0)])]
        )
        #expect(came.findings.map(\.kind) == [.appeared])
        #expect(came.findings.first?.text(in: 12).contains("from \"a\" to \"z\" (not included)") == true)
        let went = Self.search(
            Self.scanning(results),
            .phantomReadConflict,
            [(12, []), (11, [Self.write("b", .removal, 11, 0)])]
        )
        #expect(went.findings.map(\.kind) == [.removed])
        let changed = Self.search(
            Self.scanning(results),
            .phantomReadConflict,
            [(12, []), (11, [Self.write("c", .value, 11, 0)])]
        )
        #expect(changed.findings.map(\.read) == [Version(block: 4, transaction: 0)])
    }

    @Test func keysOutsideARangeAndRemovalsOfMissingOnesAreNoPhantoms() {
        let search = Self.search(
            Self.scanning([("b", Self.version(3, 0))], to: "c", isExhausted: false),
            .phantomReadConflict,
            [
                (
                    12,
                    [
                        Self.write("d", .value, 12, 2), Self.write("A", .value, 12, 1),
                        Self.write("c", .removal, 12, 0),
                    ]
                ), (3, [Self.write("b", .value, 3, 0)]),
            ]
        )
        #expect(search.findings.isEmpty)
        let last = Self.search(
            Self.scanning([("b", Self.version(3, 0))], to: "c", isExhausted: false),
            .phantomReadConflict,
            [(12, [Self.write("c", .value, 12, 0)])]
        )
        #expect(last.findings.map(\.kind) == [.appeared])
    }

    @Test func ofHashedResultsTheNewestChangeIsTold() {
        var set = Self.scanning([])
        set.namespaces[0].kv.rangeQueriesInfo[0].readsMerkleHashes.maxDegree = 50
        let search = Self.search(
            set,
            .phantomReadConflict,
            [(12, []), (11, [Self.write("m", .value, 11, 0)])]
        )
        #expect(search.findings.map(\.key) == [StateKey("kv", "m")])
        #expect(search.findings.first?.text(in: 12).contains("recorded as hashes only") == true)
    }
}
