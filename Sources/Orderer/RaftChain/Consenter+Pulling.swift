internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger

extension Consenter {
    /// Appends blocks of other orderers, through this one or as many as there are.
    func pull(through number: BlockNumber?) throws {
        let puller = BlockPuller(channel: self.channel)
        let own = self.chain.membership.member(self.chain.id)?.endpoint
        try puller.pull(
            from: { self.chain.log.height },
            sources: { self.chain.configuration.blockSources.filter { $0.address != own } },
            through: number,
            patience: number == nil ? .seconds(1) : .seconds(3)
        ) { block in
            let applied = try self.chain.append(pulled: block)
            try self.publish(applied.block)
            if let configuration = applied.configuration { self.install(configuration) }
            self.settle(block: applied)
        }
    }
}
