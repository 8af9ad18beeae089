import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Testing

/// In what endorsers' results differ, key by key.
@Suite struct ReadWriteSetDifferenceTests {
    private static func set(_ kv: Kvrwset_KVRWSet, _ collections: [TransactionReadWriteSet.Collection] = [])
        -> TransactionReadWriteSet
    {
        TransactionReadWriteSet(namespaces: [.init(name: "cc", kv: kv, collections: collections)])
    }

    private static func reads(_ reads: [String: (UInt64, UInt64)?]) -> Kvrwset_KVRWSet {
        .with { set in
            set.reads = reads.sorted { $0.key < $1.key }.map { key, version in
                .with { read in
                    read.key = key
                    if let version {
                        read.version.blockNum = version.0
                        read.version.txNum = version.1
                    }
                }
            }
        }
    }

    private static func writes(_ writes: [String: String?]) -> Kvrwset_KVRWSet {
        .with { set in
            set.writes = writes.sorted { $0.key < $1.key }.map { key, value in
                .with { write in
                    write.key = key
                    write.isDelete = value == nil
                    write.value = Data((value ?? "").utf8)
                }
            }
        }
    }

    private static func text(_ sets: Kvrwset_KVRWSet...) -> [String] {
        ReadWriteSetDifference.between(sets.map { Self.set($0) }).map(\.description)
    }

    @Test func equalSetsDifferInNothing() {
        let set = Self.writes(["a": "1", "b": nil])
        #expect(Self.text(set, set).isEmpty)
        #expect(Self.text(set).isEmpty)
    }

    @Test func versionsReadAndValuesWrittenAreCompared() {
        #expect(
            Self.text(
                Self.reads(["a": (3, 0), "b": (1, 1)]),
                Self.reads(["a": (4, 2), "b": (1, 1), "c": nil])
            )
                == [
                    "cc, key \"a\", version read: (1) version 3:0, (2) version 4:2",
                    "cc, key \"c\", version read: (1) nothing, (2) no such key",
                ]
        )
        #expect(
            Self.text(
                Self.writes(["\u{0}asset\u{0}7\u{0}": "x", "same": "s"]),
                Self.writes(["\u{0}asset\u{0}7\u{0}": nil, "same": "s"])
            ) == ["cc, key asset(\"7\"), value written: (1) \"x\", (2) removed"]
        )
    }

    @Test func moreThanTwoSetsAreToldSideBySide() {
        #expect(
            Self.text(Self.writes(["a": "1"]), Self.writes(["a": "2"]), Self.writes(["a": "1"]))
                == ["cc, key \"a\", value written: (1) \"1\", (2) \"2\", (3) \"1\""]
        )
    }

    @Test func valuesThatLookTheSameAreToldApart() {
        let long = String(repeating: "v", count: 500)
        let texts = Self.text(Self.writes(["a": long + "1"]), Self.writes(["a": long + "2"]))
        #expect(texts.count == 1)
        #expect(texts.first?.contains("with SHA-256") == true)
        #expect((texts.first?.count ?? 0) < 500)
    }

    @Test func rangesDifferInTheirResults() {
        func scan(_ rows: [String], to end: String) -> Kvrwset_KVRWSet {
            .with { set in
                set.rangeQueriesInfo = [
                    .with { query in
                        query.startKey = "a"
                        query.endKey = end
                        query.itrExhausted = true
                        query.rawReads.kvReads = rows.map { row in
                            .with {
                                $0.key = row
                                $0.version.blockNum = 1
                            }
                        }
                    }
                ]
            }
        }
        #expect(
            Self.text(scan(["b", "c"], to: "z"), scan(["b"], to: "z")) == [
                "cc, range 1 from \"a\", key \"c\": (1) version 1:0, (2) nothing"
            ]
        )
    }

    @Test func privateDataIsToldByHashesOnly() {
        func write(_ value: UInt8) -> TransactionReadWriteSet {
            let hashed = Kvrwset_HashedRWSet.with {
                $0.hashedWrites = [
                    .with {
                        $0.keyHash = Data(repeating: 0xaa, count: 32)
                        $0.valueHash = Data(repeating: value, count: 32)
                    }
                ]
            }
            return Self.set(
                .init(),
                [.init(name: "secret", hashed: hashed, privateHash: Data(repeating: value, count: 32))]
            )
        }
        #expect(
            ReadWriteSetDifference.between([write(1), write(2)]).map(\.description) == [
                """
                cc, collection secret, private key with hash aaaaaaaaaaaaaaaa…, value written: \
                (1) a value with hash 0101010101010101…, (2) a value with hash 0202020202020202…
                """,
                """
                cc, collection secret, the private data as a whole: (1) hash 0101010101010101…, \
                (2) hash 0202020202020202…
                """,
            ]
        )
    }

    // MARK: Answers as a whole

    private static func payload(_ set: Kvrwset_KVRWSet, _ response: String) throws -> Data {
        let action = try Protos_ChaincodeAction.with { action in
            action.response.status = 200
            action.response.payload = Data(response.utf8)
            action.results = try Rwset_TxReadWriteSet.with { results in
                results.nsRwset = [
                    try .with {
                        $0.namespace = "cc"
                        $0.rwset = try set.serializedBytes()
                    }
                ]
            }.serializedBytes()
        }
        return try Protos_ProposalResponsePayload.with { $0.extension = try action.serializedBytes() }
            .serializedBytes()
    }

    @Test func aDisagreementSaysWhoAnsweredWhat() throws {
        let one = try Self.payload(Self.writes(["t": "1"]), "ok 1")
        let other = try Self.payload(Self.writes(["t": "2"]), "ok 2")
        let found = try #require(EndorsementDisagreement([("A", one), ("B", other), ("C", one)]))
        #expect(
            found.description == """
                the endorsers came to 2 different results:
                (1) A, C
                (2) B
                response payload: (1) "ok 1", (2) "ok 2"
                cc, key "t", value written: (1) "1", (2) "2"
                """
        )
        #expect(EndorsementDisagreement([("A", one), ("C", one)]) == nil)
    }

    @Test func howeverMuchDiffersTheTextIsShortAndSaysHowMuchMore() throws {
        func many(_ value: String) throws -> Data {
            let long = String(repeating: value, count: 10_000)
            let writes = (0..<1_000).map { (String(format: "%04d", $0) + long, Optional(long)) }
            return try Self.payload(Self.writes(Dictionary(uniqueKeysWithValues: writes)), long)
        }
        let found = try #require(EndorsementDisagreement([("A", try many("x")), ("B", try many("y"))]))
        #expect(found.description.count < EndorsementDisagreement.shownCharacters + 200)
        #expect(found.description.hasSuffix("more differences"))
    }

    @Test func answersThatCannotBeDecodedAreToldAsSuch() throws {
        let good = try Self.payload(Self.writes(["t": "1"]), "")
        let found = try #require(EndorsementDisagreement([("A", good), ("B", Data([0xff]))]))
        #expect(found.description.contains("answer: (1) nothing, (2) 1 bytes that can't be decoded"))
    }
}
