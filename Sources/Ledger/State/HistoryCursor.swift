internal import Channel
package import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import SwiftProtobuf
internal import Synchronization

internal import struct Channel.Version

/// The writes of one key, newest first, each read from its transaction in the log.
///
/// May be used from any thread.
package final class HistoryCursor: Sendable {
    private let position: Mutex<Position>
    private let log: BlockLog
    private let namespace: String
    private let key: Bytes
    private let prefix: Data

    private struct Position {
        let cursor: any KeyValueCursor
        var hasStarted = false
    }

    init(_ reader: StateReader, _ log: BlockLog, namespace: String, key: String) {
        self.position = Mutex(Position(cursor: reader.store.makeCursor()))
        self.log = log
        self.namespace = namespace
        self.key = Bytes(key.utf8)
        self.prefix = Data(DerivedKey.historyPrefix(Bytes(namespace.utf8), self.key))
    }

    /// Returns the next older write, or `nil` after the first one ever.
    package func next() throws -> Queryresult_KeyModification? {
        let found: Data? = try self.position.withLock { position in
            if position.hasStarted {
                try position.cursor.previous()
            } else {
                position.hasStarted = true
                try self.seekToNewest(position.cursor)
            }
            return position.cursor.isValid ? position.cursor.key : nil
        }
        guard let found, found.starts(with: self.prefix) else { return nil }
        var reader = RecordReader(found.dropFirst(self.prefix.count))
        guard let block = reader.orderPreserving(), let index = reader.orderPreserving(), reader.isAtEnd,
            index <= UInt64(UInt32.max)
        else { throw LedgerError.damagedState("the history of \(self.namespace) is damaged") }
        return try self.modification(Version(block: block, transaction: index))
    }

    private func seekToNewest(_ cursor: any KeyValueCursor) throws {
        guard let end = self.prefix.prefixEnd else { return }
        try cursor.seek(to: end)
        if cursor.isValid {
            try cursor.previous()
        } else {
            try cursor.seekToLast()
        }
    }

    private func modification(_ version: Version) throws -> Queryresult_KeyModification {
        let index = Int(version.transaction)
        guard let envelope = try self.log.envelope(block: version.block, index: index),
            let transaction = try? DecodedTransaction.decode(envelope),
            case .success(.endorser(let action)) = transaction.body
        else {
            throw LedgerError.damaged(
                block: version.block,
                "transaction \(index) is missing or can't be decoded"
            )
        }
        let namespace = action.readWriteSet.namespaces.first {
            $0.name.utf8.elementsEqual(self.namespace.utf8)
        }
        guard let write = namespace?.kv.writes.first(where: { $0.key.utf8.elementsEqual(self.key) }) else {
            throw LedgerError.damagedState(
                "the history says that transaction \(index) of block \(version.block) wrote a key of "
                    + "\(self.namespace), but it did not"
            )
        }
        var modification = Queryresult_KeyModification()
        modification.txID = transaction.transactionID
        modification.value = write.value
        modification.timestamp = transaction.headers.channel.timestamp
        modification.isDelete = write.deletes
        return modification
    }
}

extension Kvrwset_KVWrite {
    /// A write of the empty value counts as a removal.
    var deletes: Bool { self.isDelete || self.value.isEmpty }
}
