package import Channel
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A stored block without its transactions.
package struct BlockSummary: Sendable {
    package var header: Common_BlockHeader
    /// The metadata slots, with the flags and the commit hash where a peer stored the block.
    package var metadata: [Data]
    package var transactionCount: Int

    /// The bytes in `slot`; empty if the block has no such slot.
    package func metadata(_ slot: BlockMetadataSlot) -> Data {
        self.metadata.indices.contains(slot.rawValue) ? self.metadata[slot.rawValue] : Data()
    }

    /// The validation code of each transaction; empty in an orderer's log.
    package var codes: [Protos_TxValidationCode] {
        self.metadata(.transactionsFilter).map {
            Protos_TxValidationCode(rawValue: Int($0)) ?? .invalidOtherReason
        }
    }

    package init(_ block: Common_Block) {
        self.header = block.header
        self.metadata = block.metadata.metadata
        self.transactionCount = block.data.data.count
    }

    /// Reads ``encoded``.
    init?(encoded: Data, number: BlockNumber) {
        var reader = RecordReader(encoded)
        guard let previousHash = reader.counted(), let dataHash = reader.counted(),
            let transactionCount = reader.varint(), transactionCount <= UInt64(UInt32.max),
            let slots = reader.varint(), slots <= 1000
        else { return nil }
        self.metadata = []
        for _ in 0..<slots {
            guard let slot = reader.counted() else { return nil }
            self.metadata.append(Data(slot))
        }
        guard reader.isAtEnd else { return nil }
        self.header = Common_BlockHeader()
        self.header.number = number
        self.header.previousHash = Data(previousHash)
        self.header.dataHash = Data(dataHash)
        self.transactionCount = Int(transactionCount)
    }

    /// The record of the log: all but the number, which is in the key.
    var encoded: Data {
        var bytes = Bytes()
        bytes.reserveCapacity(self.metadata.reduce(160) { $0 + $1.count })
        bytes.appendCounted(self.header.previousHash)
        bytes.appendCounted(self.header.dataHash)
        bytes.appendVarint(UInt64(self.transactionCount))
        bytes.appendVarint(UInt64(self.metadata.count))
        for slot in self.metadata { bytes.appendCounted(slot) }
        return Data(bytes)
    }
}

extension BlockSummary {
    /// The commit hash in the block's metadata, if it has one.
    package var commitHash: Data? {
        let slot = self.metadata(.commitHash)
        guard !slot.isEmpty, let metadata = try? Common_Metadata(serializedBytes: slot) else { return nil }
        return metadata.value
    }
}
