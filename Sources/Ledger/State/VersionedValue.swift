package import Channel
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

package import struct Channel.Version

/// A key's value in the world state.
package struct VersionedValue: Sendable, Equatable {
    package var value: Data
    /// The transaction that last wrote the value or the metadata.
    package var version: Version
    /// The key's metadata: a `kvrwset.KVMetadataWrite` that holds entries only, or nothing.
    package var metadataBytes: Data

    package init(value: Data, version: Version, metadataBytes: Data = Data()) {
        self.value = value
        self.version = version
        self.metadataBytes = metadataBytes
    }

    /// The key's metadata by name, in the order of the names.
    package var metadata: [Kvrwset_KVMetadataEntry] {
        get throws {
            guard !self.metadataBytes.isEmpty else { return [] }
            return try Kvrwset_KVMetadataWrite(serializedBytes: self.metadataBytes).entries
        }
    }

    /// Reads ``encoded``.
    init?(encoded: Data) {
        var reader = RecordReader(encoded)
        guard let block = reader.varint(), let transaction = reader.varint(), let metadata = reader.counted()
        else { return nil }
        self.version = Version(block: block, transaction: transaction)
        self.metadataBytes = metadata.isEmpty ? Data() : Data(metadata)
        self.value = Data(reader.rest)
    }

    /// The record of the store: version, metadata, value.
    var encoded: Data {
        var bytes = Bytes()
        bytes.reserveCapacity(self.value.count + self.metadataBytes.count + 24)
        bytes.appendVarint(self.version.block)
        bytes.appendVarint(self.version.transaction)
        bytes.appendCounted(self.metadataBytes)
        bytes.append(contentsOf: self.value)
        return Data(bytes)
    }
}

/// What the index knows about a transaction.
package struct TransactionRecord: Sendable, Equatable {
    package var id: String
    package var block: BlockNumber
    /// The transaction's place in its block, from 0.
    package var index: Int
    package var code: Protos_TxValidationCode

    package init(id: String, block: BlockNumber, index: Int, code: Protos_TxValidationCode) {
        self.id = id
        self.block = block
        self.index = index
        self.code = code
    }

    /// Reads ``encoded``.
    init?(id: String, encoded: Data) {
        var reader = RecordReader(encoded)
        guard let block = reader.varint(), let index = reader.varint(), index <= UInt64(UInt32.max),
            let code = reader.byte(), reader.isAtEnd
        else { return nil }
        self.init(
            id: id,
            block: block,
            index: Int(index),
            code: Protos_TxValidationCode(rawValue: Int(code)) ?? .invalidOtherReason
        )
    }

    var encoded: Data {
        var bytes = Bytes()
        bytes.appendVarint(self.block)
        bytes.appendVarint(UInt64(self.index))
        bytes.append(UInt8(truncatingIfNeeded: self.code.rawValue))
        return Data(bytes)
    }
}
