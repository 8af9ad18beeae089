internal import Channel
internal import FabricProtos
internal import Foundation
internal import KeyValueStore

/// Reads the store `derived`: as it is, or a snapshot of it.
struct StateReader: Sendable {
    let store: any KeyValueReader

    func value(_ namespace: Bytes, _ key: some Collection<UInt8>) throws -> VersionedValue? {
        guard let encoded = try self.store.value(forKey: DerivedKey.state(namespace, key)) else { return nil }
        return try Self.decode(encoded, namespace)
    }

    static func decode(_ encoded: Data, _ namespace: Bytes) throws -> VersionedValue {
        guard let value = VersionedValue(encoded: encoded) else {
            throw LedgerError.damagedState(
                "a value of namespace \"\(String(decoding: namespace, as: UTF8.self))\" has no version"
            )
        }
        return value
    }

    func containsTransaction(_ identifier: String) throws -> Bool {
        try self.store.value(forKey: DerivedKey.transaction(identifier)) != nil
    }

    func transaction(_ identifier: String) throws -> TransactionRecord? {
        guard let encoded = try self.store.value(forKey: DerivedKey.transaction(identifier)) else {
            return nil
        }
        guard let record = TransactionRecord(id: identifier, encoded: encoded) else {
            throw LedgerError.damagedState("the index of transactions is damaged at \(identifier.prefix(80))")
        }
        return record
    }

    func number(ofBlockHash hash: Data) throws -> BlockNumber? {
        guard let encoded = try self.store.value(forKey: DerivedKey.blockHash(hash)) else { return nil }
        var reader = RecordReader(encoded)
        guard let number = reader.varint() else {
            throw LedgerError.damagedState("the index of block hashes is damaged at \(hash.hexadecimal)")
        }
        return number
    }

    /// The number of blocks whose effects the store holds.
    func height() throws -> BlockNumber {
        guard let encoded = try self.store.value(forKey: DerivedKey.savepoint) else { return 0 }
        var reader = RecordReader(encoded)
        guard let height = reader.varint(), reader.isAtEnd else {
            throw LedgerError.damagedState("the state's savepoint is damaged")
        }
        return height
    }

    /// The namespaces in which a key ever had metadata.
    func namespacesWithMetadata() throws -> Set<Bytes> {
        var namespaces = Set<Bytes>()
        try self.store.forEach(prefix: DerivedKey.metadataNamespacePrefix) { key, _ in
            namespaces.insert(Bytes(key.dropFirst()))
            return true
        }
        return namespaces
    }
}
