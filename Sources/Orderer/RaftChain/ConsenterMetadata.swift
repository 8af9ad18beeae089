internal import Channel
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What etcdraft records in the metadata of every block: the consenters' identifiers and the entry's index.
///
/// Source: Fabric v3.1, package `orderer/consensus/etcdraft`.
struct ConsenterMetadata: Equatable {
    var identifiers: [UInt64]
    var next: UInt64
    var raftIndex: UInt64

    /// The metadata of a channel that begins: consenters are counted from 1 in the order of the configuration.
    static func founding(consenters: Int) -> ConsenterMetadata {
        let count = UInt64(consenters)
        return ConsenterMetadata(identifiers: Array(1..<(count + 1)), next: count + 1, raftIndex: 0)
    }

    init(identifiers: [UInt64], next: UInt64, raftIndex: UInt64) {
        self.identifiers = identifiers
        self.next = next
        self.raftIndex = raftIndex
    }

    /// Reads the metadata of a block; `nil` if it has none, as a genesis block.
    init?(of block: Common_Block) throws {
        let bytes = try block.ordererMetadata().orderer.consenterMetadata
        guard !bytes.isEmpty else { return nil }
        let message = try Etcdraft_BlockMetadata(
            serializedBytes: Common_Metadata(serializedBytes: bytes).value
        )
        self.init(
            identifiers: message.consenterIds,
            next: message.nextConsenterID,
            raftIndex: message.raftIndex
        )
    }

    /// The bytes for `OrdererBlockMetadata.consenter_metadata`: wrapped once more, as Fabric does for Raft.
    func serialized() throws -> Data {
        var message = Etcdraft_BlockMetadata()
        message.consenterIds = self.identifiers
        message.nextConsenterID = self.next
        message.raftIndex = self.raftIndex
        var metadata = Common_Metadata()
        metadata.value = try message.serializedBytes()
        return try metadata.serializedBytes()
    }
}
