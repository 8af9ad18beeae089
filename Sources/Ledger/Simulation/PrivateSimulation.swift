internal import Channel
internal import Cryptography
package import FabricProtos
package import Foundation
internal import Synchronization

internal import struct Channel.Version

/// Private collections. Whether the collection exists, and who may use it, is for the caller to check.
extension TransactionSimulator {
    /// Returns a private value, or `nil` if the key does not exist.
    ///
    /// Fails if this peer does not hold the value that the hash on the ledger stands for.
    package func privateValue(namespace: String, collection: String, key: String) throws -> Data? {
        let value = try self.snapshot.privateValue(namespace: namespace, collection: collection, key: key)
        let hash = try self.hash(namespace, collection, key)
        guard value?.version == hash?.version else {
            throw SimulationError.privateDataUnavailable(hash: hash?.version, value: value?.version)
        }
        try self.recordRead(namespace, collection, [(key, value?.version)], ofValues: true)
        return value?.value
    }

    /// Returns several private values, `nil` for each that this peer does not hold.
    ///
    /// Unlike ``privateValue(namespace:collection:key:)``, without comparing them with the hashes on the ledger.
    package func privateValues(namespace: String, collection: String, keys: [String]) throws -> [Data?] {
        let values = try keys.map {
            try self.snapshot.privateValue(namespace: namespace, collection: collection, key: $0)
        }
        let reads = zip(keys, values).map { ($0, $1?.version) }
        try self.recordRead(namespace, collection, reads, ofValues: true)
        return values.map { $0?.value }
    }

    /// Returns SHA-256 of a private value, which every peer has, or `nil` if the key does not exist.
    package func privateHash(namespace: String, collection: String, key: String) throws -> Data? {
        let hash = try self.hash(namespace, collection, key)
        try self.recordRead(namespace, collection, [(key, hash?.version)], ofValues: false)
        return hash?.value
    }

    /// Returns the metadata of a private key in the order of the names.
    package func privateMetadata(
        namespace: String,
        collection: String,
        key: String
    ) throws -> [Kvrwset_KVMetadataEntry] {
        let hash = try self.hash(namespace, collection, key)
        try self.recordRead(namespace, collection, [(key, hash?.version)], ofValues: false)
        return try hash?.metadata ?? []
    }

    /// Begins a query of the private keys that this peer holds.
    ///
    /// Nothing is recorded, so the transaction can't write.
    package func privateRange(
        namespace: String,
        collection: String,
        start: String,
        end: String
    ) throws -> SimulatedRange {
        try self.recording.withLock { recording in
            try Self.checkNotFinished(recording)
            guard !recording.hasWritten else {
                throw SimulationError.unsupported(
                    self.transactionID,
                    "Queries on pvt data is supported only in a read-only transaction"
                )
            }
            recording.hasQueriedPrivately = true
            recording.privateReads[Bytes(namespace.utf8), default: []].insert(Bytes(collection.utf8))
        }
        return SimulatedRange(
            self.snapshot,
            namespace: namespace,
            collection: collection,
            start: start,
            end: end
        )
    }

    /// Writes a private value; the empty value removes the key.
    package func setPrivateValue(_ value: Data, namespace: String, collection: String, key: String) throws {
        try self.writePrivate(namespace, collection) { $0.writes[Bytes(key.utf8)] = .set(value) }
    }

    /// Removes a private key.
    package func deletePrivateValue(namespace: String, collection: String, key: String) throws {
        try self.writePrivate(namespace, collection) { $0.writes[Bytes(key.utf8)] = .delete }
    }

    /// Removes a private key and everything that members keep of its earlier values.
    package func purgePrivateValue(namespace: String, collection: String, key: String) throws {
        try self.writePrivate(namespace, collection) { $0.writes[Bytes(key.utf8)] = .purge }
    }

    /// Replaces all metadata of a private key; no entries remove it.
    package func setPrivateMetadata(
        _ entries: [Kvrwset_KVMetadataEntry],
        namespace: String,
        collection: String,
        key: String
    ) throws {
        let sorted = entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
        try self.writePrivate(namespace, collection) { $0.metadataWrites[Bytes(key.utf8)] = sorted }
    }

    private func hash(_ namespace: String, _ collection: String, _ key: String) throws -> VersionedValue? {
        try self.snapshot.hashed(
            namespace: namespace,
            collection: collection,
            keyHash: Digest.sha256(Data(key.utf8))
        )
    }

    private func recordRead(
        _ namespace: String,
        _ collection: String,
        _ reads: [(key: String, version: Version?)],
        ofValues: Bool
    ) throws {
        let name = Bytes(namespace.utf8)
        let collectionName = Bytes(collection.utf8)
        try self.recording.withLock { recording in
            try Self.checkNotFinished(recording)
            if ofValues { recording.privateReads[name, default: []].insert(collectionName) }
            for (key, version) in reads {
                recording.set.namespaces[name, default: .init()].collections[collectionName, default: .init()]
                    .reads[Bytes(key.utf8)] = .some(version)
            }
        }
    }

    private func writePrivate(
        _ namespace: String,
        _ collection: String,
        _ body: (inout ReadWriteSetBuilder.Collection) -> Void
    ) throws {
        try self.write { recording in
            body(
                &recording.set.namespaces[Bytes(namespace.utf8), default: .init()]
                    .collections[Bytes(collection.utf8), default: .init()]
            )
        }
    }
}
