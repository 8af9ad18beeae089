internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// One thing that differs between what endorsers read, wrote or answered for the same proposal.
package struct ReadWriteSetDifference: Equatable, Sendable, CustomStringConvertible {
    /// Where: a contract's name, with that of a collection; empty for what isn't in a read-write set.
    package var place: String
    /// What: "key "a", value written", "response payload".
    package var item: String
    /// What each has, in the order in which the sets were given.
    package var answers: [String]

    package init(place: String, item: String, answers: [String]) {
        self.place = place
        self.item = item
        self.answers = answers
    }

    package var description: String {
        let name = self.place.isEmpty ? self.item : "\(self.place), \(self.item)"
        let answers = self.answers.enumerated().map { "(\($0 + 1)) \($1)" }
        return "\(name): \(answers.joined(separator: ", "))"
    }

    /// Compares read-write sets key by key.
    ///
    /// Private data is in them by hashes only, and is told by these.
    ///
    /// - Parameter sets: Two or more sets.
    /// - Returns: What differs, in the order of namespaces, collections, kinds of access and keys; none for equal sets.
    package static func between(_ sets: [TransactionReadWriteSet]) -> [Self] {
        let entries = sets.map { set in set.namespaces.reduce(into: ReadWriteEntries()) { $0.add($1) } }
        return Self.between(entries)
    }

    /// Compares entries by their exact bytes; what looks the same and isn't is told apart by hashes.
    static func between(_ all: [ReadWriteEntries]) -> [Self] {
        Set(all.flatMap(\.entries.keys)).sorted().compactMap { key in
            let found = all.map { $0.entries[key] }
            guard !found.dropFirst().allSatisfy({ $0?.bytes == found[0]?.bytes }) else { return nil }
            let present = found.compactMap(\.self)
            let isAmbiguous = Set(present.map(\.text)).count < Set(present.map(\.bytes)).count
            let answers = found.map { entry -> String in
                guard let entry else { return "nothing" }
                let hash = Digest.sha256(entry.bytes).prefix(8).hexadecimal
                return isAmbiguous ? "\(entry.text) with SHA-256 \(hash)…" : entry.text
            }
            return Self(place: key.place, item: key.item, answers: answers)
        }
    }
}

/// The entries of a read-write set, each with its bytes and with words.
struct ReadWriteEntries: Sendable {
    /// What is in the order of differences.
    struct Key: Hashable, Comparable, Sendable {
        var namespace: Data
        /// Empty for public state.
        var collection: Data
        var kind: Int
        var key: Data
        var place: String
        var item: String

        static func < (left: Self, right: Self) -> Bool {
            if left.namespace != right.namespace {
                return left.namespace.lexicographicallyPrecedes(right.namespace)
            }
            if left.collection != right.collection {
                return left.collection.lexicographicallyPrecedes(right.collection)
            }
            if left.kind != right.kind { return left.kind < right.kind }
            if left.key != right.key { return left.key.lexicographicallyPrecedes(right.key) }
            return left.item < right.item
        }
    }

    struct Entry: Sendable {
        var bytes: Data
        var text: String
    }

    /// The kinds of entries, in the order in which they are told.
    enum Kind: Int {
        case answer, presence, read, range, rangeRow, write, metadata, privateData
    }

    private(set) var entries: [Key: Entry] = [:]

    mutating func add(
        _ kind: Kind,
        _ item: String,
        _ bytes: Data,
        _ text: String,
        key: Data = Data(),
        namespace: String = "",
        collection: String = ""
    ) {
        let place = collection.isEmpty ? namespace : "\(namespace), collection \(collection)"
        let entry = Key(
            namespace: Data(namespace.utf8),
            collection: Data(collection.utf8),
            kind: kind.rawValue,
            key: key,
            place: place,
            item: item
        )
        self.entries[entry] = Entry(bytes: bytes, text: text)
    }

    mutating func add(_ namespace: TransactionReadWriteSet.Namespace) {
        let name = namespace.name
        self.add(.presence, "the namespace", Data([1]), "is used", namespace: name)
        for read in namespace.kv.reads {
            self.add(
                .read,
                "key \(KeyText.key(read.key)), version read",
                Self.bytes(read.hasVersion ? read.version : nil),
                Self.text(read.hasVersion ? read.version : nil),
                key: Data(read.key.utf8),
                namespace: name
            )
        }
        for (index, query) in namespace.kv.rangeQueriesInfo.enumerated() {
            self.add(query, number: index, name)
        }
        for write in namespace.kv.writes {
            self.add(
                .write,
                "key \(KeyText.key(write.key)), value written",
                (write.isDelete ? Data([1]) : Data([0])) + write.value,
                write.isDelete ? "removed" : KeyText.value(write.value),
                key: Data(write.key.utf8),
                namespace: name
            )
        }
        for write in namespace.kv.metadataWrites {
            self.add(
                .metadata,
                "key \(KeyText.key(write.key)), metadata written",
                Self.bytes(write.entries),
                Self.text(write.entries),
                key: Data(write.key.utf8),
                namespace: name
            )
        }
        for collection in namespace.collections { self.add(collection, name) }
    }

    private mutating func add(_ query: Kvrwset_RangeQueryInfo, number: Int, _ namespace: String) {
        let end = query.endKey.isEmpty ? "the end" : KeyText.key(query.endKey)
        let range = "range \(number + 1) from \(KeyText.key(query.startKey))"
        let rows = query.rawReads.kvReads
        var text = query.itrExhausted ? "to \(end)" : "read as far as \(end)"
        var bytes = Data(query.endKey.utf8) + (query.itrExhausted ? [1] : [0])
        if case .readsMerkleHashes(let hashes) = query.readsInfo {
            bytes += (try? hashes.serializedBytes() as Data) ?? Data()
            text += ", more than \(hashes.maxDegree) results, by their hashes"
        } else {
            text += ", \(rows.count) results"
        }
        self.add(.range, range, bytes, text, key: Self.order(number), namespace: namespace)
        for row in rows {
            self.add(
                .rangeRow,
                "\(range), key \(KeyText.key(row.key))",
                Self.bytes(row.hasVersion ? row.version : nil),
                Self.text(row.hasVersion ? row.version : nil),
                key: Self.order(number) + Data(row.key.utf8),
                namespace: namespace
            )
        }
    }

    private mutating func add(_ collection: TransactionReadWriteSet.Collection, _ namespace: String) {
        let name = collection.name
        for read in collection.hashed.hashedReads {
            self.add(
                .read,
                "private key with hash \(Self.short(read.keyHash)), version read",
                Self.bytes(read.hasVersion ? read.version : nil),
                Self.text(read.hasVersion ? read.version : nil),
                key: read.keyHash,
                namespace: namespace,
                collection: name
            )
        }
        for write in collection.hashed.hashedWrites {
            self.add(
                .write,
                "private key with hash \(Self.short(write.keyHash)), value written",
                Data([write.isDelete ? 1 : 0, write.isPurge ? 1 : 0]) + write.valueHash,
                write.isPurge
                    ? "purged"
                    : write.isDelete ? "removed" : "a value with hash \(Self.short(write.valueHash))",
                key: write.keyHash,
                namespace: namespace,
                collection: name
            )
        }
        for write in collection.hashed.metadataWrites {
            self.add(
                .metadata,
                "private key with hash \(Self.short(write.keyHash)), metadata written",
                Self.bytes(write.entries),
                Self.text(write.entries),
                key: write.keyHash,
                namespace: namespace,
                collection: name
            )
        }
        self.add(
            .privateData,
            "the private data as a whole",
            collection.privateHash,
            collection.privateHash.isEmpty ? "only read" : "hash \(Self.short(collection.privateHash))",
            namespace: namespace,
            collection: name
        )
    }

    // MARK: - Words and bytes

    /// The number as bytes that sort as it does.
    private static func order(_ number: Int) -> Data {
        withUnsafeBytes(of: UInt64(number).bigEndian) { Data($0) }
    }

    private static func short(_ hash: Data) -> String {
        hash.count > 8 ? "\(hash.prefix(8).hexadecimal)…" : hash.hexadecimal
    }

    private static func text(_ version: Kvrwset_Version?) -> String {
        version.map { "version \($0.blockNum):\($0.txNum)" } ?? "no such key"
    }

    private static func bytes(_ version: Kvrwset_Version?) -> Data {
        guard let version else { return Data() }
        return Version(block: version.blockNum, transaction: version.txNum).encoded
    }

    private static func text(_ entries: [Kvrwset_KVMetadataEntry]) -> String {
        guard !entries.isEmpty else { return "none" }
        return entries.map { "\(KeyText.shortened($0.name, 40)) of \($0.value.count) bytes" }
            .joined(separator: ", ")
    }

    private static func bytes(_ entries: [Kvrwset_KVMetadataEntry]) -> Data {
        entries.reduce(into: Data()) { bytes, entry in
            for part in [Data(entry.name.utf8), entry.value] {
                bytes += self.order(part.count)
                bytes += part
            }
        }
    }
}
