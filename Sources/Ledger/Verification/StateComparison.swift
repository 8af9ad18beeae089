internal import Channel
internal import Cryptography
internal import Foundation
internal import KeyValueStore

internal import struct Channel.Version

/// Compares a stored state, key by key, with one that was computed again from the log.
enum StateComparison {
    /// Findings beyond this many add nothing.
    private static let maximumFindings = 20

    /// Returns what differs, the earliest block and transaction first.
    static func findings(
        stored: any KeyValueReader,
        computed: any KeyValueReader
    ) throws -> [VerificationReport.Finding] {
        var differences: [(version: Version, finding: VerificationReport.Finding)] = []
        func add(_ key: Data, _ storedValue: Data?, _ computedValue: Data?) throws {
            if computedValue == nil, let storedValue,
                try self.isPrivateValueOfItsHash(key, storedValue, computed)
            {
                return
            }
            let place = self.place(key, computedValue ?? storedValue)
            let what =
                switch (storedValue, computedValue) {
                case (nil, _): "is missing from the state"
                case (_, nil): "is in the state, but no transaction put it there"
                default: "is not what the transaction wrote"
                }
            let finding = VerificationReport.Finding(
                block: place.version?.block,
                transaction: place.version.map { Int(clamping: $0.transaction) },
                message: "\(place.name) \(what)"
            )
            differences.append((place.version ?? Version(block: .max, transaction: .max), finding))
            if differences.count > 10 * self.maximumFindings { self.keepEarliest(&differences) }
        }

        let left = stored.makeCursor()
        let right = computed.makeCursor()
        try left.seekToFirst()
        try right.seekToFirst()
        while left.isValid || right.isValid {
            let leftKey = left.isValid ? left.key : nil
            let rightKey = right.isValid ? right.key : nil
            if let leftKey, leftKey == rightKey {
                if left.value != right.value { try add(leftKey, left.value, right.value) }
                try left.next()
                try right.next()
            } else if let leftKey, rightKey.map({ leftKey.precedes($0) }) ?? true {
                try add(leftKey, left.value, nil)
                try left.next()
            } else if let rightKey {
                try add(rightKey, nil, right.value)
                try right.next()
            }
        }
        self.keepEarliest(&differences)
        return differences.map(\.finding)
    }

    /// Whether this is a private value with the hash and version that the computed state has for it.
    ///
    /// Of a key that got a value, another one, and the first again, only the first write's data may be here: late, it is
    /// the key's value. Computed in order, that write is no longer known when the last one comes.
    private static func isPrivateValueOfItsHash(
        _ key: Data,
        _ stored: Data,
        _ computed: any KeyValueReader
    ) throws -> Bool {
        guard let (namespace, name) = DerivedKey.stateParts(key), let value = VersionedValue(encoded: stored),
            let hashes = DerivedNamespace.hashes(ofValues: Bytes(namespace)),
            let hash = try StateReader(store: computed).value(hashes, Digest.sha256(Data(name)))
        else { return false }
        return hash.value == Digest.sha256(value.value) && hash.version == value.version
    }

    private static func keepEarliest(
        _ differences: inout [(version: Version, finding: VerificationReport.Finding)]
    ) {
        differences.sort { $0.version < $1.version }
        differences = Array(differences.prefix(self.maximumFindings))
    }

    /// What a key of the store `derived` stands for, and the transaction that wrote it.
    private static func place(_ key: Data, _ value: Data?) -> (name: String, version: Version?) {
        if let (namespace, name) = DerivedKey.stateParts(key) {
            let version = value.flatMap { VersionedValue(encoded: $0)?.version }
            return ("key \(self.text(name)) of namespace \(self.text(namespace))", version)
        }
        if let record = value.flatMap({ TransactionRecord(id: "", encoded: $0) }),
            DerivedKey.isTransaction(key)
        {
            return (
                "the index entry of a transaction",
                Version(block: record.block, transaction: UInt64(record.index))
            )
        }
        return ("the entry \(self.text(key)) of an index", nil)
    }

    /// Text as it is where it can be printed, else hexadecimal.
    private static func text(_ bytes: Data) -> String {
        let text = String(decoding: bytes, as: UTF8.self)
        let isPrintable = text.unicodeScalars.allSatisfy {
            $0.value >= 0x20 && $0.value != 0x7f && $0.value != 0xfffd
        }
        return isPrintable ? "\"\(text.prefix(200))\"" : bytes.prefix(100).hexadecimal
    }
}
