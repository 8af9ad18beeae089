package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A read-write set that can't be read.
package struct MalformedReadWriteSet: Error, Equatable, Sendable, CustomStringConvertible {
    package var reason: String

    package init(reason: String) {
        self.reason = reason
    }

    package var description: String { "malformed read-write set: \(self.reason)" }
}

/// What a transaction read and wrote, decoded down to keys.
package struct TransactionReadWriteSet: Equatable, Sendable {
    /// The reads and writes in one namespace, which is a contract's name.
    package struct Namespace: Equatable, Sendable {
        package var name: String
        package var kv: Kvrwset_KVRWSet
        package var collections: [Collection]

        package init(name: String, kv: Kvrwset_KVRWSet, collections: [Collection] = []) {
            self.name = name
            self.kv = kv
            self.collections = collections
        }
    }

    /// The hashed reads and writes in one private collection.
    package struct Collection: Equatable, Sendable {
        package var name: String
        package var hashed: Kvrwset_HashedRWSet
        /// SHA-256 of the private read-write set's bytes; empty if the collection was only read.
        package var privateHash: Data

        package init(name: String, hashed: Kvrwset_HashedRWSet, privateHash: Data) {
            self.name = name
            self.hashed = hashed
            self.privateHash = privateHash
        }
    }

    package var namespaces: [Namespace]

    package init(namespaces: [Namespace]) {
        self.namespaces = namespaces
    }

    /// Decodes a `rwset.TxReadWriteSet` and everything nested in it.
    ///
    /// - Throws: ``MalformedReadWriteSet`` naming the namespace or collection at fault.
    package init(serialized: Data) throws(MalformedReadWriteSet) {
        let set: Rwset_TxReadWriteSet
        do {
            set = try Rwset_TxReadWriteSet(serializedBytes: serialized)
        } catch {
            throw MalformedReadWriteSet(reason: "\(error)")
        }
        self.namespaces = []
        self.namespaces.reserveCapacity(set.nsRwset.count)
        for entry in set.nsRwset {
            self.namespaces.append(try Namespace(entry))
        }
    }
}

extension TransactionReadWriteSet.Namespace {
    fileprivate init(_ entry: Rwset_NsReadWriteSet) throws(MalformedReadWriteSet) {
        self.name = entry.namespace
        self.collections = []
        var place = "namespace \(entry.namespace)"
        do {
            self.kv = try Kvrwset_KVRWSet(serializedBytes: entry.rwset)
            for collection in entry.collectionHashedRwset {
                place = "collection \(collection.collectionName) of namespace \(entry.namespace)"
                self.collections.append(
                    TransactionReadWriteSet.Collection(
                        name: collection.collectionName,
                        hashed: try Kvrwset_HashedRWSet(serializedBytes: collection.hashedRwset),
                        privateHash: collection.pvtRwsetHash
                    )
                )
            }
        } catch {
            throw MalformedReadWriteSet(reason: "\(place): \(error)")
        }
    }

    /// Whether anything public is written: values or metadata.
    package var writesPublicly: Bool { !self.kv.writes.isEmpty || !self.kv.metadataWrites.isEmpty }

    /// Whether anything at all is written, in public or in a collection.
    package var writes: Bool {
        self.writesPublicly
            || self.collections.contains {
                !$0.hashed.hashedWrites.isEmpty || !$0.hashed.metadataWrites.isEmpty
            }
    }
}
