import Channel
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import Ledger

@testable import Orderer

extension RaftChain {
    /// A chain with one consenter.
    convenience init(
        channelID: ChannelID,
        genesis: Common_Block?,
        log: BlockLog,
        consensus: any KeyValueStore,
        signer: RenewableIdentity,
        nonce: @escaping () -> Data
    ) throws {
        try self.init(
            RaftChain.Parts(
                channelID: channelID,
                genesis: genesis,
                log: log,
                consensus: consensus,
                serverKey: nil,
                signer: signer,
                nonce: nonce
            )
        )
    }

    /// Has a block decided, which with one consenter is done when this returns.
    func order(_ block: Common_Block) throws -> [Applied] {
        try self.propose(block, accepted: { _ in }, decided: { _ in }).applied
    }
}
