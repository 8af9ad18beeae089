package import Channel
package import Foundation
internal import KeyValueStore

/// Private write sets of transactions that were endorsed and may be committed one day.
///
/// They come from this peer's own endorsements and from other peers. Several may be kept for one transaction, since
/// what other peers send can only be checked against the transaction itself.
package final class TransientStore: Sendable {
    private let store: any KeyValueStore
    private static let entry = UInt8(ascii: "t")
    private static let height = UInt8(ascii: "h")
    private static let nameCount = 16

    init(store: any KeyValueStore) {
        self.store = store
    }

    /// One set that was kept.
    package struct Entry: Sendable, Equatable {
        /// The ledger's height when the transaction was simulated.
        package var height: BlockNumber
        /// A `transientstore.TxPvtReadWriteSetWithConfigInfo`.
        package var bytes: Data
    }

    /// Keeps `bytes`, a `transientstore.TxPvtReadWriteSetWithConfigInfo`, for a transaction; durable on return.
    ///
    /// `height` is the ledger's height when the transaction was simulated.
    package func add(transaction identifier: String, height: BlockNumber, bytes: Data) throws {
        let name = withUnsafeBytes(of: UUID().uuid) { Bytes($0) }
        var batch = WriteBatch()
        var value = Bytes()
        value.appendVarint(height)
        batch.set(Data(value) + bytes, forKey: Data(Self.prefix(identifier) + name))
        batch.set(Data(), forKey: Self.heightKey(height, identifier, name))
        try self.store.write(batch, durably: true)
    }

    /// The sets kept for a transaction, in no particular order.
    package func entries(transaction identifier: String) throws -> [Entry] {
        try self.named(identifier).map(\.entry)
    }

    /// Forgets what is kept for transactions that were committed.
    package func remove(transactions identifiers: some Sequence<String>) throws {
        var batch = WriteBatch()
        for identifier in identifiers {
            for (name, entry) in try self.named(identifier) {
                batch.removeValue(forKey: Data(Self.prefix(identifier) + name))
                batch.removeValue(forKey: Self.heightKey(entry.height, identifier, name))
            }
        }
        guard !batch.isEmpty else { return }
        try self.store.write(batch, durably: false)
    }

    /// Forgets everything that was simulated below `height`: transactions that were never committed.
    package func removeAll(below height: BlockNumber) throws {
        var batch = WriteBatch()
        try self.store.forEach(from: Data([Self.height]), to: Data(Self.heightPrefix(height))) { key, _ in
            var reader = RecordReader(key.dropFirst())
            if reader.orderPreserving() != nil, let identifier = reader.counted() {
                batch.removeValue(
                    forKey: Data(
                        Self.prefix(String(decoding: identifier, as: UTF8.self)) + Bytes(reader.rest)
                    )
                )
            }
            batch.removeValue(forKey: key)
            return true
        }
        guard !batch.isEmpty else { return }
        try self.store.write(batch, durably: false)
    }

    private func named(_ identifier: String) throws -> [(name: Bytes, entry: Entry)] {
        var found: [(name: Bytes, entry: Entry)] = []
        let prefix = Data(Self.prefix(identifier))
        try self.store.forEach(prefix: prefix) { key, value in
            var reader = RecordReader(value)
            guard key.count == prefix.count + Self.nameCount, let height = reader.varint() else {
                return true
            }
            found.append((Bytes(key.suffix(Self.nameCount)), Entry(height: height, bytes: Data(reader.rest))))
            return true
        }
        return found
    }

    private static func prefix(_ identifier: String) -> Bytes {
        var bytes = Bytes([self.entry])
        bytes.appendCounted(identifier.utf8)
        return bytes
    }

    private static func heightPrefix(_ height: BlockNumber) -> Bytes {
        var bytes = Bytes([self.height])
        bytes.appendOrderPreserving(height)
        return bytes
    }

    private static func heightKey(_ height: BlockNumber, _ identifier: String, _ name: Bytes) -> Data {
        var bytes = self.heightPrefix(height)
        bytes.appendCounted(identifier.utf8)
        return Data(bytes + name)
    }
}
