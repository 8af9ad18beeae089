package import Channel
package import FabricProtos
package import Foundation

/// What happens to the blocks of a channel.
package enum BlocksInput: Sendable {
    /// Blocks that were read for ``BlocksEffect/read``: as many as there are, from the first asked for; none if nothing
    /// could be read.
    case read([Gossip_Payload], for: PKIID, nonce: UInt64)
    /// A block came from the ordering service and was verified; it may be spread.
    case delivered(Gossip_Payload)
    /// The ledger ends with this block now. If it brings a configuration, `configured` came before.
    case committed(Common_BlockHeader)
    /// A block that ``BlocksEffect/commit(_:)`` handed over was not accepted, nor any after it.
    case refused(BlockNumber, reason: String)
    /// Whether the ordering service gives blocks: `false` once connections to all orderers fail.
    case ordererReachable(Bool)
}

/// What gossip wants done about the blocks of a channel.
package enum BlocksEffect: Sendable {
    /// Read blocks, with the private data that `requester` may have, and answer with ``BlocksInput/read``.
    case read(ClosedRange<BlockNumber>, requester: GossipConnection, nonce: UInt64)
    /// Commit blocks that came from other peers, in order; they continue the ledger, or what was handed over before.
    ///
    /// Their chain of hashes and the orderers' signatures were verified under the configuration in force.
    case commit([PeerBlock])
    /// Begin, or cease, to take blocks from the ordering service.
    case lead(Bool)
}

/// A block that another peer gave.
package struct PeerBlock: Sendable {
    package var block: Common_Block
    /// `PvtDataPayload` messages that came along.
    package var privateData: [Data]
    package var sender: PKIID

    package init(block: Common_Block, privateData: [Data], sender: PKIID) {
        self.block = block
        self.privateData = privateData
        self.sender = sender
    }
}
