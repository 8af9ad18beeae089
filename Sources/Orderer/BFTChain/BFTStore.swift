internal import Consensus
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import SwiftProtobuf

/// Keeps what ``BFT`` wants durable in the `consensus` store of one channel.
///
/// Keys and values (`docs/formats/consensus-store.md`):
///
/// | key | value |
/// |---|---|
/// | `begun` | `weft.consensus.Beginning`: since when this node takes part |
/// | `bft` | `weft.consensus.Record`: what it has promised |
/// | `p` and a digest | a block that the record names |
struct BFTStore {
    private let store: any KeyValueStore
    /// The payloads that are stored.
    private var digests: Set<[UInt8]> = []

    init(_ store: any KeyValueStore) { self.store = store }

    /// Whether this node has taken part in BFT with this store before.
    var hasBegun: Bool {
        get throws { try self.store.value(forKey: Self.beginningKey) != nil }
    }

    /// The height from which on this node takes part; `nil` if it never did.
    ///
    /// - Throws: ``BFTStateError`` if it can't be read.
    var beginning: UInt64? {
        get throws {
            guard let bytes = try self.store.value(forKey: Self.beginningKey) else { return nil }
            do {
                return try Weft_Consensus_Beginning(serializedBytes: bytes).height
            } catch {
                throw BFTStateError(reason: "since when this node takes part can't be read: \(error)")
            }
        }
    }

    /// Notes that this node takes part from this height on.
    ///
    /// What another protocol left in the store goes. The ledger must be durable up to there: one that is shorter at a
    /// later start was lost.
    func begin(at height: UInt64) throws {
        var batch = WriteBatch()
        try self.store.forEach(from: Data(), to: nil) { key, _ in
            batch.removeValue(forKey: key)
            return true
        }
        var beginning = Weft_Consensus_Beginning()
        beginning.height = height
        batch.set(try beginning.serializedBytes(), forKey: Self.beginningKey)
        try self.store.write(batch, durably: true)
    }

    /// What is stored.
    ///
    /// - Throws: ``BFTStateError`` if it can't be read, `KeyValueStoreError` if the disk can't.
    mutating func load() throws -> BFTState {
        guard let bytes = try self.store.value(forKey: Self.recordKey) else { return BFTState() }
        let record: BFTRecord
        do {
            record = try BFTRecord(Weft_Consensus_Record(serializedBytes: bytes))
        } catch {
            throw BFTStateError(
                reason:
                    "what this node promised can't be read: \(error); restore the folder from a backup of its last "
                    + "state, or add the node as a new consenter"
            )
        }
        var payloads: [BFTPayload] = []
        try self.store.forEach(prefix: Self.payloadPrefix) { key, value in
            let digest = [UInt8](key.dropFirst(Self.payloadPrefix.count))
            self.digests.insert(digest)
            payloads.append(BFTPayload(digest: digest, bytes: [UInt8](value)))
            return true
        }
        // In the order in which they were voted for.
        let order = Dictionary(
            zip(record.digests, record.digests.indices),
            uniquingKeysWith: { first, _ in first }
        )
        payloads = payloads.filter { order[$0.digest] != nil }
            .sorted { order[$0.digest, default: 0] < order[$1.digest, default: 0] }
        return BFTState(record: record, payloads: payloads)
    }

    /// Carries out one write; returns once it is durable.
    mutating func carryOut(_ write: BFTWrite) throws {
        var batch = WriteBatch()
        batch.set(try Weft_Consensus_Record(write.record).serializedBytes(), forKey: Self.recordKey)
        let kept = Set(write.record.digests)
        for payload in write.payloads where !self.digests.contains(payload.digest) {
            batch.set(Data(payload.bytes), forKey: Self.key(payload.digest))
        }
        for digest in self.digests where !kept.contains(digest) {
            batch.removeValue(forKey: Self.key(digest))
        }
        try self.store.write(batch, durably: true)
        self.digests = self.digests.union(write.payloads.map(\.digest)).intersection(kept)
    }

    // MARK: - Encoding

    private static let beginningKey = Data("begun".utf8)
    private static let recordKey = Data("bft".utf8)
    private static let payloadPrefix = Data("p".utf8)

    private static func key(_ digest: [UInt8]) -> Data { self.payloadPrefix + Data(digest) }
}

extension Weft_Consensus_Record {
    fileprivate init(_ record: BFTRecord) {
        self.init()
        self.height = record.height
        self.view = record.view
        self.ticket = Weft_Consensus_Ticket(record.ticket)
        if let voted = record.voted { self.voted = Weft_Consensus_Ballot(voted) }
        if let lock = record.lock { self.lock = Weft_Consensus_Certificate(lock) }
        self.timedOut = record.timedOut
        if let previous = record.previous { self.previous = Weft_Consensus_Certificate(previous) }
        self.digests = record.digests.map { Data($0) }
    }
}

extension BFTRecord {
    fileprivate init(_ record: Weft_Consensus_Record) throws {
        // This node wrote it: as large as it had to be.
        let reader = BFTMessageReader(
            bounds: BFTMessageBounds(signatures: .max, blockBytes: .max, envelopeBytes: .max)
        )
        self.init(
            height: record.height,
            view: record.view,
            ticket: try reader.ticket(record.ticket),
            voted: record.hasVoted ? try reader.ballot(record.voted) : nil,
            lock: record.hasLock ? try reader.certificate(record.lock) : nil,
            timedOut: record.timedOut,
            previous: record.hasPrevious ? try reader.certificate(record.previous) : nil,
            digests: record.digests.map { [UInt8]($0) }
        )
    }
}
