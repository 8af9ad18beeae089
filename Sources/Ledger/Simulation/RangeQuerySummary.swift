internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation

/// The keys and versions that a range query returned, in the form in which a read-write set records them.
///
/// Few results are kept as they are. With more than the maximum degree, every degree + 1 of them are hashed together,
/// and when a level of hashes grows beyond the degree, it is hashed into one hash of the next level.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger/txmgmt/rwsetutil`, query results and Merkle tree.
struct RangeQuerySummary {
    enum Result: Equatable {
        case reads(Kvrwset_QueryReads)
        case hashes(Kvrwset_QueryReadsMerkleSummary)
    }

    /// The degree with which peers record queries.
    static let defaultDegree = 50

    private let maximumDegree: Int
    private var pending: [(key: Bytes, version: Version)] = []
    /// The hashes of each level, from level 1 up; lower levels empty once they are folded.
    private var levels: [[Data]] = []

    /// Returns `nil` for a degree that makes no tree.
    init?(maximumDegree: Int) {
        guard maximumDegree >= 2 else { return nil }
        self.maximumDegree = maximumDegree
    }

    mutating func append(key: Bytes, version: Version) {
        self.pending.append((key, version))
        if self.pending.count > self.maximumDegree { self.hashPending() }
    }

    /// The results so far, or `nil` if there are none.
    consuming func finish() -> Result? {
        if self.levels.isEmpty {
            guard !self.pending.isEmpty else { return nil }
            var reads = Kvrwset_QueryReads()
            reads.kvReads = self.pending.map { Kvrwset_KVRead(key: $0.key, version: $0.version) }
            return .reads(reads)
        }
        if !self.pending.isEmpty { self.hashPending() }
        self.foldUp()
        var summary = Kvrwset_QueryReadsMerkleSummary()
        summary.maxDegree = UInt32(clamping: self.maximumDegree)
        summary.maxLevel = UInt32(clamping: self.levels.count)
        summary.maxLevelHashes = self.levels.last ?? []
        return .hashes(summary)
    }

    private mutating func hashPending() {
        var reads = WireMessage(capacity: self.pending.count * 32)
        for read in self.pending {
            var version = WireMessage()
            version.field(1, read.version.block)
            version.field(2, read.version.transaction)
            var encoded = WireMessage()
            encoded.field(1, read.key)
            encoded.message(2, version.bytes)
            reads.message(1, encoded.bytes)
        }
        self.pending.removeAll(keepingCapacity: true)
        self.add(Digest.sha256(Data(reads.bytes)))
    }

    private mutating func add(_ hash: Data) {
        var hash = hash
        var level = 0
        while true {
            if level == self.levels.count { self.levels.append([]) }
            self.levels[level].append(hash)
            guard self.levels[level].count > self.maximumDegree else { return }
            hash = Digest.hash(self.levels[level], with: .sha256)
            self.levels[level] = []
            level += 1
        }
    }

    /// Moves what is left on lower levels to the top: one hash as it is, several hashed into one.
    private mutating func foldUp() {
        for level in self.levels.indices.dropLast() where !self.levels[level].isEmpty {
            let hashes = self.levels[level]
            self.levels[level] = []
            self.levels[level + 1].append(hashes.count == 1 ? hashes[0] : Digest.hash(hashes, with: .sha256))
        }
        if let top = self.levels.last, top.count > self.maximumDegree {
            self.levels[self.levels.count - 1] = []
            self.levels.append([Digest.hash(top, with: .sha256)])
        }
    }
}

extension Kvrwset_KVRead {
    init(key: Bytes, version: Version?) {
        self.init()
        self.key = String(decoding: key, as: UTF8.self)
        if let version { self.version = Kvrwset_Version(version) }
    }
}

extension Kvrwset_Version {
    init(_ version: Version) {
        self.init()
        self.blockNum = version.block
        self.txNum = version.transaction
    }
}
