package import Channel
package import FabricProtos
package import Foundation
package import KeyValueStore
internal import Synchronization

/// The chain of blocks of one channel, in the order in which they were appended.
///
/// Orderers and peers keep their blocks in it. A block's transactions are stored one by one, exactly as received, and
/// can be fetched alone. Reading needs no lock and never waits for an append.
///
/// - Invariant: block *n* + 1 carries the hash of block *n*; there is no gap.
package final class BlockLog: Sendable {
    private let store: any KeyValueStore
    private let end: Mutex<End>

    private struct End {
        var height: BlockNumber
        var lastHeader: Common_BlockHeader?
        var lastHash: Data

        /// Moves past a block, which must continue the chain.
        mutating func advance(over header: Common_BlockHeader) throws {
            guard header.number == self.height else {
                throw LedgerError.outOfOrder(expected: self.height, received: header.number)
            }
            guard self.height == 0 || header.previousHash == self.lastHash else {
                throw LedgerError(
                    code: .outOfOrder,
                    message: "block \(header.number) carries the previous hash "
                        + "\(header.previousHash.hexadecimal), but the last block has the hash "
                        + "\(self.lastHash.hexadecimal); it belongs to another chain: fetch it from another node"
                )
            }
            self = End(height: header.number + 1, lastHeader: header, lastHash: header.hash)
        }
    }

    /// Opens the log in `store` and finds its end.
    package init(store: any KeyValueStore) throws {
        try StoreFormat.check(store, name: "log")
        self.store = store
        self.end = Mutex(try Self.end(of: store))
    }

    /// Opens the store again after a failed write; the block of that write may be part of the log then.
    func reopen() throws {
        try self.store.reopen()
        let end = try Self.end(of: self.store)
        self.end.withLock { $0 = end }
    }

    private static func end(of store: any KeyValueStore) throws -> End {
        guard let last = try store.last(from: LogKey.first, to: LogKey.end) else {
            return End(height: 0, lastHeader: nil, lastHash: Data())
        }
        guard let number = LogKey.number(last.key) else {
            throw LedgerError(
                code: .damaged,
                message: "the log holds a key that is none of its own: \(last.key.hexadecimal); "
                    + "restore the folder from a backup"
            )
        }
        guard let header = try Self.summary(number, in: store)?.header else {
            throw LedgerError.damaged(block: number, "its header is missing")
        }
        return End(height: number + 1, lastHeader: header, lastHash: header.hash)
    }

    /// The number of the next block; 0 for an empty log.
    package var height: BlockNumber { self.end.withLock { $0.height } }

    /// The header of the last block, or `nil` for an empty log.
    package var lastHeader: Common_BlockHeader? { self.end.withLock { $0.lastHeader } }

    /// Appends `block`, all of it or nothing.
    ///
    /// With `durably` it would survive a loss of power once this returns; without, only the end of the process, until
    /// ``sync()`` or the next durable append.
    ///
    /// The log has one writer at a time: of two concurrent appends of one number, one is refused.
    package func append(_ block: Common_Block, durably: Bool = true) throws {
        try self.append([block], durably: durably)
    }

    /// Appends blocks that follow each other, all of them or none, with one write.
    package func append(_ blocks: [Common_Block], durably: Bool = true) throws {
        try self.end.withLock { end in
            var newEnd = end
            var batch = WriteBatch()
            batch.reserveCapacity(blocks.reduce(0) { $0 + $1.data.data.count + 1 })
            for block in blocks {
                try newEnd.advance(over: block.header)
                batch.set(BlockSummary(block).encoded, forKey: LogKey.summary(block.header.number))
                for (index, envelope) in block.data.data.enumerated() {
                    batch.set(envelope, forKey: LogKey.envelope(block.header.number, index))
                }
            }
            try self.store.write(batch, durably: durably)
            end = newEnd
        }
    }

    /// Makes every block appended so far durable.
    package func sync() throws {
        try self.store.write(WriteBatch(), durably: true)
    }

    /// Removes all blocks, the newest first, so that what a crash in between leaves is a chain.
    ///
    /// Returns once they would stay removed after a loss of power.
    package func removeAll() throws {
        try self.end.withLock { end in
            repeat {
                let first = end.height > 100 ? end.height - 100 : 0
                var batch = WriteBatch()
                try self.store.forEach(from: LogKey.summary(first), to: LogKey.end) { key, _ in
                    batch.removeValue(forKey: key)
                    return true
                }
                try self.store.write(batch, durably: first == 0)
                end = try Self.end(of: self.store)
            } while end.height > 0
        }
    }

    /// The header, metadata and count of transactions of block `number`; `nil` beyond the end.
    package func summary(_ number: BlockNumber) throws -> BlockSummary? {
        guard number < self.height else { return nil }
        guard let summary = try Self.summary(number, in: self.store) else {
            throw LedgerError.damaged(block: number, "its header is missing")
        }
        return summary
    }

    /// One transaction exactly as it was received; `nil` if there is none at that place.
    package func envelope(block number: BlockNumber, index: Int) throws -> Data? {
        guard index >= 0, index <= Int(UInt32.max), number < self.height else { return nil }
        return try self.store.value(forKey: LogKey.envelope(number, index))
    }

    /// Block `number`; `nil` beyond the end.
    package func block(_ number: BlockNumber) throws -> Common_Block? {
        guard let (summary, envelopes) = try self.parts(number) else { return nil }
        var block = Common_Block()
        block.header = summary.header
        block.data.data = envelopes
        block.metadata.metadata = summary.metadata
        return block
    }

    /// Block `number` as the bytes of a `common.Block`, put together without decoding; `nil` beyond the end.
    package func serializedBlock(_ number: BlockNumber) throws -> Data? {
        guard let (summary, envelopes) = try self.parts(number) else { return nil }
        var header = WireMessage()
        header.field(1, summary.header.number)
        header.field(2, summary.header.previousHash)
        header.field(3, summary.header.dataHash)
        let dataCount = envelopes.reduce(0) { $0 + WireMessage.size(ofElement: $1) }
        let metadataCount = summary.metadata.reduce(0) { $0 + WireMessage.size(ofElement: $1) }
        var block = WireMessage(capacity: header.bytes.count + dataCount + metadataCount + 32)
        block.message(1, header.bytes)
        block.startMessage(2, count: dataCount)
        for envelope in envelopes { block.element(1, envelope) }
        block.startMessage(3, count: metadataCount)
        for slot in summary.metadata { block.element(1, slot) }
        return Data(block.bytes)
    }

    /// The number of the config block in force at the end of the log; `nil` for an empty log.
    package func lastConfigBlockNumber() throws -> BlockNumber? {
        let height = self.height
        guard height > 0, let summary = try self.summary(height - 1) else { return nil }
        var block = Common_Block()
        block.header = summary.header
        block.metadata.metadata = summary.metadata
        return try block.lastConfigNumber()
    }

    private func parts(_ number: BlockNumber) throws -> (BlockSummary, [Data])? {
        guard number < self.height else { return nil }
        let cursor = self.store.makeCursor()
        let summaryKey = LogKey.summary(number)
        try cursor.seek(to: summaryKey)
        guard cursor.isValid, cursor.key == summaryKey,
            let summary = BlockSummary(encoded: cursor.value, number: number)
        else { throw LedgerError.damaged(block: number, "its header is missing or malformed") }
        var envelopes: [Data] = []
        envelopes.reserveCapacity(summary.transactionCount)
        for index in 0..<summary.transactionCount {
            try cursor.next()
            guard cursor.isValid, cursor.key == LogKey.envelope(number, index) else {
                throw LedgerError.damaged(block: number, "transaction \(index) is missing")
            }
            envelopes.append(cursor.value)
        }
        return (summary, envelopes)
    }

    private static func summary(_ number: BlockNumber, in store: any KeyValueStore) throws -> BlockSummary? {
        guard let encoded = try store.value(forKey: LogKey.summary(number)) else { return nil }
        guard let summary = BlockSummary(encoded: encoded, number: number) else {
            throw LedgerError.damaged(block: number, "its header is malformed")
        }
        return summary
    }
}

/// The keys of the log: eight bytes of block number, most significant first, and a kind.
enum LogKey {
    private static let summaryKind: UInt8 = 0
    private static let envelopeKind: UInt8 = 1

    /// Where the keys of blocks begin and end; the format's key is shorter and comes before.
    static var first: Data { Data(count: 8) }
    static var end: Data { Data(repeating: 0xff, count: 14) }

    static func summary(_ number: BlockNumber) -> Data {
        var key = Self.prefix(number)
        key.append(self.summaryKind)
        return key
    }

    static func envelope(_ number: BlockNumber, _ index: Int) -> Data {
        var key = Self.prefix(number)
        key.append(self.envelopeKind)
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: index).bigEndian) { key.append(contentsOf: $0) }
        return key
    }

    /// The block to which `key` belongs, or `nil` if it belongs to none.
    static func number(_ key: Data) -> BlockNumber? {
        guard key.count >= 9, key.count <= 13 else { return nil }
        return key.prefix(8).reduce(0) { $0 << 8 | BlockNumber($1) }
    }

    private static func prefix(_ number: BlockNumber) -> Data {
        var key = Data(capacity: 13)
        withUnsafeBytes(of: number.bigEndian) { key.append(contentsOf: $0) }
        return key
    }
}
