internal import Channel
internal import Consensus
internal import Cryptography
internal import Foundation

/// Which consenter of a channel that begins asks for votes at once, so that the channel needn't wait for an election
/// timeout.
///
/// Source: Fabric v3.1, package `orderer/consensus/etcdraft`, start of a node.
enum FirstCampaign {
    static func isOurs(id: NodeID, of consenters: Int, channel: ChannelID) -> Bool {
        guard consenters > 1 else { return false }
        let digest = Digest.sha256(Data(channel.description.utf8))
        return id == self.varint(digest.dropFirst(24)) % UInt64(consenters) + 1
    }

    /// Reads an unsigned varint as protobuf has it; 0 if it isn't one.
    private static func varint(_ bytes: Data) -> UInt64 {
        var value: UInt64 = 0
        for (index, byte) in bytes.prefix(10).enumerated() {
            if index == 9, byte > 1 { return 0 }
            value |= UInt64(byte & 0x7f) << UInt64(7 * index)
            if byte & 0x80 == 0 { return value }
        }
        return 0
    }
}
