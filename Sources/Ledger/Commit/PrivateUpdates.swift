internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

internal import struct Channel.Version

/// What the valid transactions of a block change in the private values that this peer holds.
struct PrivateUpdates {
    /// By derived namespace and plain key.
    private(set) var namespaces: [Bytes: [Bytes: StateUpdate]] = [:]

    /// Adds the private writes of a valid transaction.
    ///
    /// New metadata alone gives the value a new version, as it does with the value's hash.
    mutating func apply(_ set: PrivateWriteSet, block: BlockNumber, _ reader: StateReader) throws {
        let namespace = DerivedNamespace.values(Bytes(set.namespace.utf8), Bytes(set.collection.utf8))
        let version = Version(block: block, transaction: UInt64(set.transaction))
        let keyValues = try Kvrwset_KVRWSet(serializedBytes: set.bytes)
        var written = Set<Bytes>()
        for write in keyValues.writes {
            let key = Bytes(write.key.utf8)
            written.insert(key)
            self.namespaces[namespace, default: [:]][key] =
                StateUpdate(value: write.deletes ? nil : write.value, version: version)
        }
        for write in keyValues.metadataWrites {
            let key = Bytes(write.key.utf8)
            guard !written.contains(key) else { continue }
            let value =
                if let update = self.namespaces[namespace]?[key] {
                    update.value
                } else {
                    try reader.value(namespace, key)?.value
                }
            guard let value else { continue }
            self.namespaces[namespace, default: [:]][key] = StateUpdate(value: value, version: version)
        }
    }

    /// Gives a key a value, or removes it, whatever its version.
    mutating func set(_ namespace: Bytes, _ key: Bytes, _ update: StateUpdate) {
        self.namespaces[namespace, default: [:]][key] = update
    }

    /// Removes a value whatever its version.
    mutating func remove(_ namespace: Bytes, _ key: Bytes, version: Version) {
        self.namespaces[namespace, default: [:]][key] = StateUpdate(value: nil, version: version)
    }
}
