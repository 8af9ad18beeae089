internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import Ledger

/// How a BFT consenter gets blocks that no message of the others brings.
extension BFTConsenter {
    /// Begins to get blocks of other orderers, through this one or as many as there are.
    func pull(through number: BlockNumber?) {
        guard self.pulling == nil else { return }
        let own = self.chain.consenters[self.chain.id]?.endpoint
        self.pulling = MissingBlocks(
            BlockPuller(channel: self.channel),
            sources: self.chain.configuration.blockSources.filter { $0.address != own },
            through: number,
            patience: .seconds(1),
            turn: .seconds(2)
        )
    }

    /// Appends what has come in; the engine goes on behind it.
    func pullOn(_ progress: inout BFTChain.Progress) throws {
        guard let pulling else { return }
        if let number = pulling.through, self.chain.log.height > number {
            self.pulling = nil
            return
        }
        let now = self.channel.settings.clock()
        guard let blocks = try pulling.take(from: self.chain.log.height, at: now) else {
            self.pulling = nil
            return
        }
        do {
            // Consensus may have brought some of them meanwhile.
            for block in blocks where block.header.number >= self.chain.log.height {
                try self.tell(self.chain.append(pulled: block))
            }
        } catch {
            try pulling.reject(error)
        }
        try self.chain.pulled(&progress)
    }
}
