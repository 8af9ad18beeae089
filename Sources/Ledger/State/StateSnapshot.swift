package import Channel
package import FabricProtos
package import Foundation
internal import KeyValueStore

/// The ledger as it was after one block: what contracts are simulated on and blocks are validated against.
///
/// Taking one is cheap, reading it never waits for a commit, and it keeps showing the same block however long it
/// lives; while it lives, the disk space of what was overwritten since stays in use.
package struct StateSnapshot: Sendable {
    /// The number of blocks whose effects are visible.
    package let height: BlockNumber
    let reader: StateReader
    private let log: BlockLog
    private let metadataNamespaces: Set<Bytes>

    init(height: BlockNumber, reader: StateReader, log: BlockLog, metadataNamespaces: Set<Bytes>) {
        self.height = height
        self.reader = reader
        self.log = log
        self.metadataNamespaces = metadataNamespaces
    }

    // MARK: Public state

    package func value(namespace: String, key: String) throws -> VersionedValue? {
        try self.reader.value(Bytes(namespace.utf8), key.utf8)
    }

    /// The metadata of `key`; empty if it has none or does not exist.
    ///
    /// Reads nothing from the disk in a namespace without metadata, which nearly all are.
    package func metadata(namespace: String, key: String) throws -> [Kvrwset_KVMetadataEntry] {
        try self.metadata(Bytes(namespace.utf8), key.utf8)
    }

    /// Whether any key of `namespace` ever had metadata; costs no read.
    package func namespaceHasMetadata(_ namespace: String) -> Bool {
        self.metadataNamespaces.contains(Bytes(namespace.utf8))
    }

    /// The keys from `start` up to, not including, `end`; an empty `end` is the end of the namespace.
    package func range(namespace: String, start: String, end: String) -> StateRange {
        StateRange(
            self.reader,
            namespace: Bytes(namespace.utf8),
            start: Bytes(start.utf8),
            end: Bytes(end.utf8)
        )
    }

    // MARK: Private collections

    /// The hash of a private value, under the hash of its key.
    package func hashed(namespace: String, collection: String, keyHash: Data) throws -> VersionedValue? {
        try self.reader.value(
            DerivedNamespace.hashes(Bytes(namespace.utf8), Bytes(collection.utf8)),
            keyHash
        )
    }

    /// The metadata of a private key; empty if it has none or does not exist.
    package func hashedMetadata(
        namespace: String,
        collection: String,
        keyHash: Data
    ) throws -> [Kvrwset_KVMetadataEntry] {
        try self.metadata(DerivedNamespace.hashes(Bytes(namespace.utf8), Bytes(collection.utf8)), keyHash)
    }

    /// Whether any key of the collection ever had metadata; costs no read.
    package func collectionHasMetadata(namespace: String, collection: String) -> Bool {
        self.metadataNamespaces.contains(
            DerivedNamespace.hashes(Bytes(namespace.utf8), Bytes(collection.utf8))
        )
    }

    /// A private value, if this peer has it.
    package func privateValue(namespace: String, collection: String, key: String) throws -> VersionedValue? {
        try self.reader.value(
            DerivedNamespace.values(Bytes(namespace.utf8), Bytes(collection.utf8)),
            key.utf8
        )
    }

    /// The private keys that this peer has, from `start` up to, not including, `end`.
    package func privateRange(namespace: String, collection: String, start: String, end: String) -> StateRange
    {
        StateRange(
            self.reader,
            namespace: DerivedNamespace.values(Bytes(namespace.utf8), Bytes(collection.utf8)),
            start: Bytes(start.utf8),
            end: Bytes(end.utf8)
        )
    }

    // MARK: Transactions and history

    /// Whether a transaction of this identifier was committed, valid or not.
    package func containsTransaction(_ identifier: String) throws -> Bool {
        try self.reader.containsTransaction(identifier)
    }

    /// The first transaction committed under this identifier, valid or not.
    package func transaction(_ identifier: String) throws -> TransactionRecord? {
        try self.reader.transaction(identifier)
    }

    /// Every write of `key` by a valid transaction, newest first.
    package func history(namespace: String, key: String) -> HistoryCursor {
        HistoryCursor(self.reader, self.log, namespace: namespace, key: key)
    }

    private func metadata(
        _ namespace: Bytes,
        _ key: some Collection<UInt8>
    ) throws -> [Kvrwset_KVMetadataEntry] {
        guard self.metadataNamespaces.contains(namespace) else { return [] }
        return try self.reader.value(namespace, key)?.metadata ?? []
    }
}
