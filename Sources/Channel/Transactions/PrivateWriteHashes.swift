internal import Cryptography
internal import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// What a transaction tells everybody of its private writes to one collection: their hashes.
///
/// Whoever has the writes themselves can show with these that they are the ones that were endorsed.
package struct PrivateWriteHashes: Hashable, Sendable {
    private struct Write: Hashable, Sendable {
        var valueHash: Data
        var deletes: Bool
    }

    /// How private writes compare with the hashes.
    package enum Match: Hashable, Sendable {
        /// They are the bytes that were endorsed.
        case whole
        /// All that is there was endorsed, but the writes to the keys with these hashes are not there: their holder may
        /// have purged them since.
        case part(lacking: Set<Data>)
        /// Something is there that was not endorsed.
        case none
    }

    /// SHA-256 of the private write set's bytes.
    package let whole: Data
    private let writes: [Data: Write]
    private let metadata: [Data: [Kvrwset_KVMetadataEntry]]

    package init(_ collection: TransactionReadWriteSet.Collection) {
        self.whole = collection.privateHash
        var writes: [Data: Write] = [:]
        for write in collection.hashed.hashedWrites {
            let deletes = write.isDelete || write.valueHash.isEmpty || write.valueHash == Self.emptyHash
            writes[write.keyHash] = Write(valueHash: deletes ? Data() : write.valueHash, deletes: deletes)
        }
        self.writes = writes
        self.metadata = Dictionary(
            collection.hashed.metadataWrites.map { ($0.keyHash, $0.entries) },
            uniquingKeysWith: { $1 }
        )
    }

    private static let emptyHash = Digest.sha256(Data())

    /// Compares private writes, a `kvrwset.KVRWSet`, with what was endorsed; no bytes at all lack every key.
    package func match(_ bytes: Data) -> Match {
        guard Digest.sha256(bytes) != self.whole else { return .whole }
        guard let set = try? Kvrwset_KVRWSet(serializedBytes: bytes), set.reads.isEmpty,
            set.rangeQueriesInfo.isEmpty
        else { return .none }
        var lacking = Set(self.writes.keys)
        for write in set.writes {
            let hash = Digest.sha256(Data(write.key.utf8))
            let deletes = write.isDelete || write.value.isEmpty
            guard let expected = self.writes[hash], expected.deletes == deletes,
                deletes || Digest.sha256(write.value) == expected.valueHash,
                lacking.remove(hash) != nil
            else { return .none }
        }
        let isMetadataEndorsed = set.metadataWrites.allSatisfy {
            self.metadata[Digest.sha256(Data($0.key.utf8))] == $0.entries
        }
        // Bytes of the same writes in another form lack nothing, but they are not what was endorsed.
        return isMetadataEndorsed && !lacking.isEmpty ? .part(lacking: lacking) : .none
    }
}
