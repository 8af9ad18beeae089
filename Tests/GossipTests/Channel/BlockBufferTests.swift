import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

@Suite struct BlockBufferTests {
    private let identities: GossipIdentities
    private let view: ChannelView
    private let chain: TestChain
    private let sender: PKIID

    init() throws {
        self.identities = try GossipIdentities(organizations: 1, peers: 1)
        let configuration = try self.identities.channel()
        self.view = ChannelView(configuration)
        self.chain = try TestChain(configuration, self.identities, count: 40)
        self.sender = try self.identities.local(0, of: 0).pkiID
    }

    private func received(_ number: Int) throws -> ReceivedBlock {
        try ReceivedBlock(TestChain.payload(self.chain.blocks[number]), from: self.sender, self.view)
    }

    private func buffer(at height: Int, window: Int = 10) -> BlockBuffer {
        var buffer = BlockBuffer(window: window)
        _ = buffer.advance(to: BlockNumber(height), self.chain.blocks[height - 1].header)
        return buffer
    }

    @Test func blocksGoOnInOrderWhateverOrderTheyComeIn() throws {
        var buffer = self.buffer(at: 5)
        for number in [7, 6, 9] { buffer.insert(try self.received(number)) }
        #expect(buffer.handOver(self.view).blocks.isEmpty)
        buffer.insert(try self.received(5))
        #expect(buffer.handOver(self.view).blocks.map(\.block.header.number) == [5, 6, 7])
        buffer.insert(try self.received(8))
        #expect(buffer.handOver(self.view).blocks.map(\.block.header.number) == [8, 9])
    }

    @Test func nothingBeforeTheLedgerOrBeyondTheWindowIsKept() throws {
        var buffer = self.buffer(at: 5)
        for number in [1, 4, 15, 30] { buffer.insert(try self.received(number)) }
        #expect(buffer.count == 0)
        buffer.insert(try self.received(14))
        buffer.insert(try self.received(14))
        #expect(buffer.count == 1)
        _ = buffer.advance(to: 20, self.chain.blocks[19].header)
        #expect(buffer.count == 0)
        #expect(buffer.byteCount == 0)
    }

    @Test func theWindowEndsWithTheNumbers() {
        var buffer = BlockBuffer(window: 10)
        _ = buffer.advance(to: .max - 3, nil)
        #expect(buffer.end == .max)
        #expect(buffer.isOpen(.max - 1))
        #expect(!buffer.isOpen(.max))
    }

    @Test func aBlockOfAnotherChainIsRefusedAndTheRightOneTaken() throws {
        var buffer = self.buffer(at: 5)
        // Signed by the orderer, with another predecessor.
        let stranger = try self.chain.next(after: self.chain.blocks[4].header, text: "another")
        var wrong = stranger
        wrong.header.previousHash = Data(repeating: 1, count: 32)
        buffer.insert(try ReceivedBlock(TestChain.payload(wrong), from: self.sender, self.view))
        let (blocks, refused) = buffer.handOver(self.view)
        #expect(blocks.isEmpty)
        #expect(refused?.0 == self.sender)
        buffer.insert(try self.received(5))
        #expect(buffer.handOver(self.view).blocks.count == 1)
    }

    @Test func aBlockWhoseDataWasChangedIsNotEvenKept() throws {
        var block = self.chain.blocks[5]
        block.data.data = self.chain.blocks[6].data.data
        #expect(throws: BlockRefusal.self) {
            try ReceivedBlock(TestChain.payload(block), from: self.sender, self.view)
        }
        var payload = try TestChain.payload(self.chain.blocks[5])
        payload.seqNum = 6
        #expect(throws: BlockRefusal.self) { try ReceivedBlock(payload, from: self.sender, self.view) }
        payload.data = Data([0xff])
        #expect(throws: BlockRefusal.self) { try ReceivedBlock(payload, from: self.sender, self.view) }
    }

    @Test func afterARefusalOfTheLedgerAllIsGivenAnew() throws {
        var buffer = self.buffer(at: 5)
        for number in 5...7 { buffer.insert(try self.received(number)) }
        #expect(buffer.handOver(self.view).blocks.count == 3)
        #expect(buffer.refuse(6) == self.sender)
        #expect(buffer.next == 5)
        for number in 5...7 { buffer.insert(try self.received(number)) }
        #expect(buffer.handOver(self.view).blocks.count == 3)
    }

    @Test func whatFollowsAConfigurationWaitsUntilItIsInForce() throws {
        let config = Common_ConfigEnvelope.with { $0.config = self.view.configuration.config }
        let envelope = try Common_Envelope.signed(
            .config,
            channel: self.view.id.description,
            data: config.serializedData(),
            signer: self.identities.orderer,
            nonce: Data(repeating: 1, count: 24),
            timestamp: Date(timeIntervalSince1970: 1_700_000_000)
        )
        let last = self.chain.blocks[4].header
        let first = try self.signed(.next(after: last, envelopes: [envelope.serializedData()]))
        let second = try self.chain.next(after: first.header, text: "after")
        var buffer = self.buffer(at: 5)
        for block in [first, second] {
            buffer.insert(try ReceivedBlock(TestChain.payload(block), from: self.sender, self.view))
        }
        #expect(buffer.handOver(self.view).blocks.map(\.block.header.number) == [5])
        #expect(buffer.handOver(self.view).blocks.isEmpty)
        _ = buffer.advance(to: 6, first.header)
        #expect(buffer.handOver(self.view).blocks.map(\.block.header.number) == [6])
    }

    private func signed(_ block: Common_Block) throws -> Common_Block {
        var block = block
        try block.sign(
            lastConfig: block.header.number,
            consenterMetadata: Data(),
            by: self.identities.orderer,
            nonce: Data(repeating: 2, count: 24)
        )
        return block
    }

    @Test func recentBlocksAreTheNewestFew() throws {
        var recent = RecentBlocks(capacity: 3)
        for number in [5, 6, 7, 8] { recent.add(try TestChain.payload(self.chain.blocks[number])) }
        #expect(recent.numbers == [6, 7, 8])
        #expect(!recent.wants(5))
        #expect(!recent.wants(7))
        #expect(recent.wants(9))
    }
}
