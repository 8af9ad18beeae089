internal import Consensus
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import SwiftProtobuf

/// Keeps what ``Raft`` wants durable in the `consensus` store of one channel.
///
/// Keys and values (`docs/formats/consensus-store.md`):
///
/// | key | value |
/// |---|---|
/// | `h` | `raftpb.HardState` |
/// | `s` | `raftpb.SnapshotMetadata`: where the log begins and who had votes there |
/// | `f` | there while this node doesn't know what it may have promised before it lost this store |
/// | `e` and the index, 8 bytes big-endian | `raftpb.Entry` |
///
/// Source of the messages: etcd's raft package.
struct RaftStore {
    private let store: any KeyValueStore
    /// The entries that are stored.
    private var indexes: Range<UInt64> = 1..<1

    init(_ store: any KeyValueStore) { self.store = store }

    /// What is stored, or `nil` if nothing ever was.
    ///
    /// - Throws: ``RaftStateError`` if it can't be read, ``KeyValueStoreError`` if the disk can't.
    mutating func load() throws -> RaftState? {
        guard let hardStateBytes = try self.store.value(forKey: Self.hardStateKey) else { return nil }
        let hardState = try Self.decode("the hard state") {
            try Raftpb_HardState(serializedBytes: hardStateBytes)
        }
        var start = RaftLogStart()
        if let bytes = try self.store.value(forKey: Self.startKey) {
            let metadata = try Self.decode("the start of the log") {
                try Raftpb_SnapshotMetadata(serializedBytes: bytes)
            }
            start = RaftLogStart(
                position: RaftPosition(index: metadata.index, term: metadata.term),
                voters: metadata.confState.voters
            )
        }
        var entries: [RaftEntry] = []
        var stored: [UInt64] = []
        try self.store.forEach(prefix: Self.entryPrefix) { key, value in
            let entry = try Self.decode("an entry") { try Raftpb_Entry(serializedBytes: value) }
            guard Self.entryKey(entry.index) == key else {
                throw RaftStateError(reason: "entry \(entry.index) is stored under another index")
            }
            stored.append(entry.index)
            entries.append(try RaftEntry(entry))
            return true
        }
        if let first = stored.first, let last = stored.last, last < UInt64.max {
            self.indexes = first..<(last + 1)
        } else {
            self.indexes = (start.position.index + 1)..<(start.position.index + 1)
        }
        return RaftState(
            hardState: RaftHardState(
                term: hardState.term,
                vote: hardState.vote == 0 ? nil : hardState.vote,
                commit: hardState.commit
            ),
            start: start,
            entries: entries
        )
    }

    /// Whether this node has never taken part with this store.
    var isEmpty: Bool {
        get throws { try self.store.value(forKey: Self.hardStateKey) == nil && !self.isForgetful }
    }

    /// Whether what this node promised before it lost this store is to be found out.
    var isForgetful: Bool {
        get throws { try self.store.value(forKey: Self.forgetfulKey) != nil }
    }

    /// Remembers, durably, that there may have been another store before this one.
    func forget() throws {
        var batch = WriteBatch()
        batch.set(Data([1]), forKey: Self.forgetfulKey)
        try self.store.write(batch, durably: true)
    }

    /// What is stored is all that matters; returns once that is durable.
    func recollected() throws {
        var batch = WriteBatch()
        batch.removeValue(forKey: Self.forgetfulKey)
        try self.store.write(batch, durably: true)
    }

    /// The last entry that was released, 0 if none was, and the number of the first block that was not.
    ///
    /// - Throws: ``RaftStateError`` if it can't be read.
    var released: (index: UInt64, first: UInt64?) {
        get throws {
            guard let bytes = try self.store.value(forKey: Self.startKey) else { return (0, nil) }
            let metadata = try Self.decode("the start of the log") {
                try Raftpb_SnapshotMetadata(serializedBytes: bytes)
            }
            var first: UInt64?
            try self.store.forEach(prefix: Self.entryPrefix) { _, value in
                let entry = try Self.decode("an entry") { try Raftpb_Entry(serializedBytes: value) }
                guard entry.type == .entryNormal, !entry.data.isEmpty else { return true }
                first = try Self.decode("the block of an entry") {
                    try Common_Block(serializedBytes: entry.data).header.number
                }
                return false
            }
            return (metadata.index, first)
        }
    }

    /// Stores the state in which a channel begins.
    mutating func save(founding state: RaftState) throws {
        var write = RaftWrite(number: 0)
        write.hardState = state.hardState
        write.entries = state.entries
        try self.carryOut(write)
    }

    /// Carries out one write; returns once it is durable.
    ///
    mutating func carryOut(_ write: RaftWrite) throws {
        var batch = WriteBatch()
        var indexes = self.indexes
        if write.clearsLog {
            for index in indexes { batch.removeValue(forKey: Self.entryKey(index)) }
            indexes = indexes.upperBound..<indexes.upperBound
        }
        if let hardState = write.hardState { try Self.put(hardState, into: &batch) }
        if let first = write.entries.first, let last = write.entries.last {
            for entry in write.entries { try Self.put(entry, into: &batch) }
            for index in indexes where index > last.position.index {
                batch.removeValue(forKey: Self.entryKey(index))
            }
            indexes = min(indexes.lowerBound, first.position.index)..<(last.position.index + 1)
        }
        if let start = write.start {
            var metadata = Raftpb_SnapshotMetadata()
            metadata.confState.voters = start.voters
            metadata.confState.autoLeave = false
            metadata.index = start.position.index
            metadata.term = start.position.term
            batch.set(try metadata.serializedBytes(), forKey: Self.startKey)
            for index in indexes where index <= start.position.index {
                batch.removeValue(forKey: Self.entryKey(index))
            }
            let next = start.position.index + 1
            indexes = max(indexes.lowerBound, next)..<max(indexes.upperBound, next)
        }
        try self.store.write(batch, durably: true)
        self.indexes = indexes
    }

    // MARK: - Encoding

    private static let hardStateKey = Data("h".utf8)
    private static let forgetfulKey = Data("f".utf8)
    private static let startKey = Data("s".utf8)
    private static let entryPrefix = Data("e".utf8)

    private static func entryKey(_ index: UInt64) -> Data {
        withUnsafeBytes(of: index.bigEndian) { Self.entryPrefix + $0 }
    }

    private static func put(_ hardState: RaftHardState, into batch: inout WriteBatch) throws {
        var message = Raftpb_HardState()
        message.term = hardState.term
        message.vote = hardState.vote ?? 0
        message.commit = hardState.commit
        batch.set(try message.serializedBytes(), forKey: Self.hardStateKey)
    }

    private static func put(_ entry: RaftEntry, into batch: inout WriteBatch) throws {
        batch.set(try Raftpb_Entry.bytes(of: entry), forKey: Self.entryKey(entry.position.index))
    }

    private static func decode<Message>(_ what: String, _ body: () throws -> Message) throws -> Message {
        do {
            return try body()
        } catch {
            throw RaftStateError(reason: "\(what) can't be decoded: \(error)")
        }
    }
}
