internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation

/// Applies the transactions of one block, one after the other, to the state before the block.
///
/// Nothing is written: the result is ``updates``. Committed keys are read at most once a block.
///
/// - Source: Fabric v3.1, package `core/ledger/kvledger/txmgmt/validation`.
struct StateTransition {
    let block: BlockNumber
    let reader: StateReader
    /// Namespaces, derived ones too, in which a key has metadata, from before this block and from this block.
    private(set) var metadataNamespaces: Set<Bytes>
    /// What the valid transactions so far change.
    private(set) var updates = UpdateBatch()
    /// Committed values read so far, by namespace and key; `nil` for a key that does not exist.
    private var committed: [Bytes: [Bytes: VersionedValue?]] = [:]

    /// The namespace of the channel's configuration, which no contract can have.
    static let configurationNamespace = Bytes()
    static let configurationKey = Bytes("CHANNEL_CONFIG_ENV_BYTES".utf8)
    /// The hash of an empty private value: writing it removes the key.
    private static let emptyHash = Digest.sha256(Data())

    init(block: BlockNumber, reader: StateReader, metadataNamespaces: Set<Bytes>) {
        self.block = block
        self.reader = reader
        self.metadataNamespaces = metadataNamespaces
    }

    /// Returns the value of a key before this block.
    mutating func committedValue(_ namespace: Bytes, _ key: Bytes) throws -> VersionedValue? {
        if let known = self.committed[namespace]?[key] { return known }
        let value = try self.reader.value(namespace, key)
        self.committed[namespace, default: [:]][key] = .some(value)
        return value
    }

    /// Writes the channel's configuration.
    mutating func apply(config: Data) {
        self.updates.namespaces[Self.configurationNamespace, default: .init()].keys[Self.configurationKey] =
            StateUpdate(value: config, version: Version(block: self.block, transaction: 0))
    }

    /// Adds what a valid transaction writes.
    mutating func apply(_ set: TransactionReadWriteSet, transaction: Int) throws {
        let version = Version(block: self.block, transaction: UInt64(transaction))
        for namespace in set.namespaces {
            let name = Bytes(namespace.name.utf8)
            try self.applyPublic(namespace.kv, name, version)
            for collection in namespace.collections {
                try self.applyHashed(collection.hashed, name, Bytes(collection.name.utf8), version)
            }
        }
    }

    // MARK: Public keys

    private mutating func applyPublic(_ set: Kvrwset_KVRWSet, _ namespace: Bytes, _ version: Version) throws {
        guard !set.writes.isEmpty || !set.metadataWrites.isEmpty else { return }
        var metadata = Self.metadata(set.metadataWrites.map { (Bytes($0.key.utf8), $0.entries) })
        if !metadata.isEmpty { self.metadataNamespaces.insert(namespace) }
        let hasMetadata = self.metadataNamespaces.contains(namespace)

        for write in set.writes {
            let key = Bytes(write.key.utf8)
            var update = StateUpdate(value: write.deletes ? nil : write.value, version: version)
            if let new = metadata.removeValue(forKey: key) {
                if !write.deletes { update.metadataBytes = new }
            } else if hasMetadata, !write.deletes {
                update.metadataBytes = try self.currentMetadata(namespace, key)
            }
            self.updates.namespaces[namespace, default: .init()].keys[key] = update
        }
        for (key, new) in metadata {
            guard let value = try self.currentValue(namespace, key) else { continue }
            self.updates.namespaces[namespace, default: .init()].keys[key] =
                StateUpdate(value: value, metadataBytes: new, version: version)
        }
    }

    private mutating func currentMetadata(_ namespace: Bytes, _ key: Bytes) throws -> Data {
        if let update = self.updates.update(namespace, key) { return update.metadataBytes }
        return try self.committedValue(namespace, key)?.metadataBytes ?? Data()
    }

    /// `nil` if the key does not exist, or was removed earlier in this block.
    ///
    /// Fabric's peers crash on metadata written to a key that was removed earlier in the same block. Here it has no
    /// effect, as for any other key that does not exist.
    private mutating func currentValue(_ namespace: Bytes, _ key: Bytes) throws -> Data? {
        if let update = self.updates.update(namespace, key) { return update.value }
        return try self.committedValue(namespace, key)?.value
    }

    // MARK: Hashes of private keys

    private mutating func applyHashed(
        _ set: Kvrwset_HashedRWSet,
        _ namespace: Bytes,
        _ collection: Bytes,
        _ version: Version
    ) throws {
        guard !set.hashedWrites.isEmpty || !set.metadataWrites.isEmpty else { return }
        let derived = DerivedNamespace.hashes(namespace, collection)
        var metadata = Self.metadata(set.metadataWrites.map { (Bytes($0.keyHash), $0.entries) })
        if !metadata.isEmpty { self.metadataNamespaces.insert(derived) }
        let hasMetadata = self.metadataNamespaces.contains(derived)

        for write in set.hashedWrites {
            let key = Bytes(write.keyHash)
            let deletes = write.isDelete || write.valueHash.isEmpty || write.valueHash == Self.emptyHash
            var update = StateUpdate(value: deletes ? nil : write.valueHash, version: version)
            if let new = metadata.removeValue(forKey: key) {
                if !deletes { update.metadataBytes = new }
            } else if hasMetadata, !deletes {
                if let current = self.updates.update(namespace, collection, key) {
                    update.metadataBytes = current.metadataBytes
                } else {
                    update.metadataBytes = try self.committedValue(derived, key)?.metadataBytes ?? Data()
                }
            }
            self.setHashed(namespace, collection, key, update)
        }
        for (key, new) in metadata {
            let value =
                if let current = self.updates.update(namespace, collection, key) {
                    current.value
                } else {
                    try self.committedValue(derived, key)?.value
                }
            guard let value else { continue }
            self.setHashed(
                namespace,
                collection,
                key,
                StateUpdate(value: value, metadataBytes: new, version: version)
            )
        }
    }

    private mutating func setHashed(
        _ namespace: Bytes,
        _ collection: Bytes,
        _ key: Bytes,
        _ update: StateUpdate
    ) {
        self.updates.namespaces[namespace, default: .init()].collections[collection, default: [:]][key] =
            update
    }

    /// The new metadata of each key in the form that is stored: the entries as the set holds them, or nothing.
    private static func metadata(_ writes: [(key: Bytes, entries: [Kvrwset_KVMetadataEntry])]) -> [Bytes:
        Data]
    {
        guard !writes.isEmpty else { return [:] }
        var metadata: [Bytes: Data] = [:]
        for write in writes {
            var message = WireMessage()
            for entry in write.entries {
                var encoded = WireMessage()
                encoded.field(1, entry.name.utf8)
                encoded.field(2, entry.value)
                message.message(2, encoded.bytes)
            }
            metadata[write.key] = Data(message.bytes)
        }
        return metadata
    }
}
