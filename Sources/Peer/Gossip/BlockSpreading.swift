internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger
internal import SwiftProtobuf

/// Hands the blocks that come from the ordering service to gossip, where `blockGossipEnabled` has them spread.
struct BlockSpreading: Sendable {
    let channel: PeerChannel
    let intake: BlockIntake

    /// Runs until the task is cancelled.
    func run() async {
        var next = self.channel.committed.height
        while !Task.isCancelled {
            do {
                try await self.channel.committed.waitForBlock(next)
            } catch {
                // The channel takes no blocks at present.
                try? await Task.sleep(for: .seconds(1))
                continue
            }
            while next < self.channel.committed.height {
                self.spread(next)
                next += 1
            }
        }
    }

    private func spread(_ number: BlockNumber) {
        guard !self.intake.cameFromPeer(number),
            let block = self.channel.committed.recentBlock(number)?.block,
            let bytes = try? block.serializedBytes() as Data
        else { return }
        self.intake.tell(
            .delivered(
                .with {
                    $0.seqNum = number
                    $0.data = bytes
                }
            )
        )
    }
}
