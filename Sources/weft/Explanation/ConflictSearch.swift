import Channel
import FabricProtos
import Foundation

/// Looks for what changed the keys that a transaction had read: by the blocks before it, from the newest on.
///
/// A pure value: it is given transactions, and holds what it has found. It stops at the first block, from the
/// transaction on towards the chain's beginning, that holds a cause, since one cause suffices for the verdict.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger/txmgmt/validation`, read from its end.
struct ConflictSearch {
    /// One read that didn't hold, and why.
    struct Finding {
        enum Kind: String {
            /// The key has another version.
            case changed
            /// The key was not there when it was read.
            case appeared
            /// The key is gone.
            case removed
            /// No transaction of this chain wrote the version that the endorsers read.
            case unknownVersion = "unknown-version"
        }

        var key: StateKey
        var kind: Kind
        /// The version that the endorsers read; `nil` if there was no such key, or the range's results are only hashed.
        var read: Version?
        /// The version that validation found; `nil` if there was no such key.
        var found: Version?
        /// Who changed the key; `nil` for an unknown version.
        var writer: TransactionPlace?
        /// The range in which the key lies, for phantom reads.
        var range: KeyRange?
        /// The place of the read in the transaction.
        fileprivate var order: Int
    }

    /// A range of keys that was read.
    struct KeyRange: Equatable {
        var namespace: String
        var start: String
        /// The end, not included; the last key read, included, if the range wasn't read to its end.
        var end: String
        var isExhausted: Bool
        /// The results as they were recorded; `nil` if only hashes of them were.
        var results: [Data: Version]?

        func contains(_ key: StateKey) -> Bool {
            guard key.collection == nil, key.namespace == Data(self.namespace.utf8) else { return false }
            guard !key.key.lexicographicallyPrecedes(Data(self.start.utf8)) else { return false }
            let end = Data(self.end.utf8)
            guard self.isExhausted else { return !end.lexicographicallyPrecedes(key.key) }
            return end.isEmpty || key.key.lexicographicallyPrecedes(end)
        }

        var text: String {
            let start = self.start.isEmpty ? "the first key" : KeyText.key(self.start)
            let end =
                self.end.isEmpty
                ? "the end" : "\(KeyText.key(self.end))\(self.isExhausted ? " (not included)" : "")"
            return "from \(start) to \(end)"
        }
    }

    /// What is known of a key that was read.
    private struct Watch {
        var order: Int
        var read: Version?
        var range: Int?
        /// Whether the version read is known: not for a range of which only hashes were recorded.
        var isReadKnown = true
        /// A newer transaction that wrote the key's metadata, which counts only if the key was there.
        var metadataWriter: TransactionPlace?
        var isSettled = false
    }

    /// What was found so far, in the order in which the transaction read.
    private(set) var findings: [Finding] = []
    private let place: Version
    private var ranges: [KeyRange] = []
    private var watches: [StateKey: Watch] = [:]

    /// Searches for the causes of a conflict.
    ///
    /// - Parameters:
    ///   - set: What the transaction read.
    ///   - code: `MVCC_READ_CONFLICT` for keys, `PHANTOM_READ_CONFLICT` for ranges.
    ///   - place: Where the transaction is.
    init(_ set: TransactionReadWriteSet, code: Protos_TxValidationCode, place: Version) {
        self.place = place
        for namespace in set.namespaces {
            if code == .phantomReadConflict {
                self.ranges += namespace.kv.rangeQueriesInfo.map { KeyRange(namespace.name, $0) }
                continue
            }
            for read in namespace.kv.reads {
                self.watch(StateKey(namespace.name, read.key), read.hasVersion ? read.version : nil)
            }
            for collection in namespace.collections {
                for read in collection.hashed.hashedReads {
                    let key = StateKey(namespace.name, collection.name, hash: read.keyHash)
                    self.watch(key, read.hasVersion ? read.version : nil)
                }
            }
        }
    }

    private mutating func watch(_ key: StateKey, _ version: Kvrwset_Version?) {
        guard self.watches[key] == nil else { return }
        self.watches[key] = Watch(order: self.watches.count, read: version.map(Version.init))
    }

    /// Takes the valid transactions of a block, the last one first; the first block is the transaction's own, with those
    /// before it.
    ///
    /// - Returns: Whether to go on with the block before.
    mutating func take(_ number: BlockNumber, _ transactions: [WrittenTransaction]) -> Bool {
        for transaction in transactions {
            for (key, change) in transaction.changes { self.take(key, change, transaction.place) }
        }
        for (key, watch) in self.watches where !watch.isSettled {
            guard let read = watch.read, read.block >= number else { continue }
            // Nobody wrote it at that place, or it lies ahead.
            self.watches[key]?.isSettled = true
            self.add(key, watch, watch.metadataWriter == nil ? .unknownVersion : .changed, nil)
        }
        self.findings.sort { $0.order < $1.order }
        guard self.findings.isEmpty else { return false }
        return !self.ranges.isEmpty || self.watches.values.contains { !$0.isSettled }
    }

    private mutating func take(_ key: StateKey, _ change: KeyChange, _ writer: TransactionPlace) {
        if let index = self.ranges.firstIndex(where: { $0.contains(key) }), self.watches[key] == nil {
            var watch = Watch(order: index, range: index)
            watch.read = self.ranges[index].results?[key.key]
            watch.isReadKnown = self.ranges[index].results != nil
            self.watches[key] = watch
        }
        guard var watch = self.watches[key], !watch.isSettled else { return }
        defer { self.watches[key] = watch }
        let isRead = watch.read == writer.version && writer.version.block < self.place.block
        switch change {
        case .metadata where !isRead:
            watch.metadataWriter = watch.metadataWriter ?? writer
            return
        case .metadata, .value:
            watch.isSettled = true
            guard !isRead || watch.metadataWriter != nil else { return }
            let changer = watch.metadataWriter ?? writer
            let appeared = watch.isReadKnown && watch.read == nil
            self.add(key, watch, appeared ? .appeared : .changed, changer, found: changer.version)
        case .removal:
            watch.isSettled = true
            // A key that is read as missing conflicts with any write in its own block, but for those in ranges.
            let isInOwnBlock = writer.version.block == self.place.block
            let wasThere = watch.read != nil || !watch.isReadKnown
            guard wasThere || isInOwnBlock && watch.range == nil else { return }
            self.add(key, watch, .removed, writer)
        }
    }

    private mutating func add(
        _ key: StateKey,
        _ watch: Watch,
        _ kind: Finding.Kind,
        _ writer: TransactionPlace?,
        found: Version? = nil
    ) {
        self.findings.append(
            Finding(
                key: key,
                kind: kind,
                read: watch.read,
                found: found ?? watch.metadataWriter?.version,
                writer: writer ?? watch.metadataWriter,
                range: watch.range.map { self.ranges[$0] },
                order: watch.order
            )
        )
    }
}

extension ConflictSearch.KeyRange {
    fileprivate init(_ namespace: String, _ query: Kvrwset_RangeQueryInfo) {
        self.namespace = namespace
        self.start = query.startKey
        self.end = query.endKey
        self.isExhausted = query.itrExhausted
        if case .readsMerkleHashes = query.readsInfo {
            self.results = nil
            return
        }
        self.results = [:]
        for read in query.rawReads.kvReads where read.hasVersion {
            self.results?[Data(read.key.utf8)] = Version(read.version)
        }
    }
}

extension Version {
    init(_ version: Kvrwset_Version) {
        self.init(block: version.blockNum, transaction: version.txNum)
    }

    /// The version in words.
    var words: String { "\(self.block):\(self.transaction)" }
}

// MARK: - Words

extension ConflictSearch.Finding {
    /// The most findings that are told one by one.
    static let shown = 10

    /// The finding as a sentence.
    ///
    /// - Parameter block: The block of the transaction that is explained.
    /// - Returns: One line, without a full stop.
    func text(in block: BlockNumber) -> String {
        let key = "key \(self.key.text) of \(self.key.place)"
        let whose = self.range.map { "it read the range of keys \($0.text) of \($0.namespace); " } ?? ""
        let when = self.writer?.version.block == block ? ", earlier in the same block" : ""
        let who = (self.writer?.text ?? "") + when
        let versionRead = self.read.map { "version \($0.words)" } ?? "no such key"
        switch self.kind {
        case .unknownVersion:
            return """
                it read the \(key) at version \(self.read?.words ?? "none"), which no transaction of this chain wrote: \
                the endorser had another state than this channel's
                """
        case .appeared:
            return """
                \(self.range == nil ? "it read the \(key) and found no such key" : "\(whose)the \(key) wasn't there"); \
                now there is version \(self.found?.words ?? "?"), written by \(who)
                """
        case .removed where self.read == nil && self.range == nil:
            return "it read the \(key), which was not there; \(who) has removed it again since"
        case .removed where self.read == nil:
            return
                "\(whose)its results are recorded as hashes only, and the newest change among them is the \(key), which \(who) has removed"
        case .removed:
            return "\(whose)it read the \(key) at \(versionRead); \(who) has removed it"
        case .changed where self.range != nil && self.read == nil:
            return
                "\(whose)its results are recorded as hashes only, and the newest change among them is the \(key), written by \(who)"
        case .changed:
            return
                "\(whose)it read the \(key) at \(versionRead); found version \(self.found?.words ?? "?"), written by \(who)"
        }
    }

    var json: JSONValue {
        let version = { (version: Version?) -> JSONValue in
            guard let version else { return .null }
            return .object([
                "block": .unsigned(version.block), "transaction": .unsigned(version.transaction),
            ])
        }
        var members: [(String, JSONValue)] = [("kind", .string(self.kind.rawValue))]
        members += self.key.json
        members += [
            ("versionRead", version(self.read)), ("versionFound", version(self.found)),
            ("changedBy", self.writer?.json ?? .null),
        ]
        if let range {
            let end = range.isExhausted ? "end" : "last"
            members.append(
                ("range", .members([("start", .string(range.start)), (end, .string(range.end))]))
            )
        }
        return .members(members)
    }
}
