package import FabricProtos
package import Foundation
package import Gossip

/// What the peer's own stores of private data do for gossip: the other side of ``PrivateDataExchange``.
///
/// All of it reads or writes the disk, so it is called where that may block.
package protocol PrivateDataHolder: Sendable {
    /// What there is of these: from the private store if their block is committed, else from what is kept until then.
    ///
    /// Who may have it is not judged here, but comes with it.
    func held(_ digests: [Gossip_PvtDataDigest]) -> [HeldPrivateData]

    /// Keeps what another peer has endorsed until the transaction is committed; durable on return.
    ///
    /// - Returns: why it can't be kept; empty if it is.
    func keep(_ payload: Gossip_PrivatePayload) -> String

    /// What `requester`, a serialized identity, may have of a block's private data: a `gossip.PvtDataPayload` for each
    /// transaction of which it may have any, to go beside the block.
    func payloads(ofBlock number: UInt64, for requester: Data) -> [Data]
}
