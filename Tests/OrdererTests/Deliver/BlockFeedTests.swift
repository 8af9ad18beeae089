import FabricProtos
import Foundation
import Ledger
import Testing

@testable import Orderer

/// What readers find of a channel's newest blocks.
@Suite struct BlockFeedTests {
    private func block(_ number: UInt64) -> DeliverableBlock {
        DeliverableBlock(number: number, serialized: Data([UInt8(number)]))
    }

    private func found(_ number: UInt64, in feed: BlockFeed) -> UInt64? {
        guard case .block(let block) = feed.find(number, insistsOnHealth: false).next else { return nil }
        return block.number
    }

    @Test("a block that was never told, since the disk failed just then, is not mixed up with the next one")
    func findsNoOtherBlock() {
        let feed = BlockFeed(maxRecentBytes: 1_000, failure: "")
        for number in [UInt64(4), 5, 7, 8] { feed.append(self.block(number)) }
        #expect([UInt64(4), 5, 6].map { self.found($0, in: feed) } == [nil, nil, nil])
        #expect([UInt64(7), 8].map { self.found($0, in: feed) } == [7, 8])
        // Those that come again are known.
        feed.append(self.block(7))
        #expect(self.found(8, in: feed) == 8)
    }

    @Test("the oldest blocks leave memory first")
    func forgetsTheOldest() {
        let size = self.block(1).whole.count
        let feed = BlockFeed(maxRecentBytes: 2 * size, failure: "")
        for number in UInt64(1)...3 { feed.append(self.block(number)) }
        #expect([UInt64(1), 2, 3].map { self.found($0, in: feed) } == [nil, 2, 3])
    }
}
