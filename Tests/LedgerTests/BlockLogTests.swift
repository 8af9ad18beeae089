import Channel
import FabricProtos
import Foundation
import KeyValueStore
import SwiftProtobuf
import Testing

@testable import Ledger

/// The log as orderers and peers use it.
@Suite struct BlockLogTests {
    /// A chain of `count` blocks with two transactions each.
    private func chain(_ count: Int) -> [Common_Block] {
        var blocks: [Common_Block] = []
        for index in 0..<count {
            var block = Common_Block.next(
                after: blocks.last?.header,
                envelopes: [Data("first of \(index)".utf8), Data("second of \(index)".utf8)]
            )
            block.setMetadata(.orderer, Data("metadata of \(index)".utf8))
            blocks.append(block)
        }
        return blocks
    }

    @Test func anEmptyLogHasNothing() throws {
        let log = try BlockLog(store: MemoryStore())
        #expect(log.height == 0)
        #expect(log.lastHeader == nil)
        #expect(try log.block(0) == nil)
        #expect(try log.summary(0) == nil)
        #expect(try log.envelope(block: 0, index: 0) == nil)
        #expect(try log.serializedBlock(0) == nil)
        #expect(try log.lastConfigBlockNumber() == nil)
    }

    @Test func keepsBlocksByteForByteAcrossReopening() throws {
        let store = MemoryStore()
        let blocks = self.chain(300)
        let first = try BlockLog(store: store)
        for block in blocks { try first.append(block, durably: false) }
        try first.sync()
        let log = try BlockLog(store: store)
        #expect(log.height == 300)
        #expect(log.lastHeader == blocks[299].header)
        for block in [blocks[0], blocks[1], blocks[255], blocks[256], blocks[299]] {
            let number = block.header.number
            #expect(try log.block(number) == block)
            #expect(try log.serializedBlock(number) == block.serializedBytes())
            #expect(try log.envelope(block: number, index: 1) == block.data.data[1])
            #expect(try log.envelope(block: number, index: 2) == nil)
            #expect(try log.envelope(block: number, index: -1) == nil)
            #expect(try log.summary(number)?.transactionCount == 2)
            #expect(try log.summary(number)?.metadata(.orderer) == block.metadata(.orderer))
        }
        #expect(try log.block(300) == nil)
    }

    @Test(
        "a log of which all blocks were removed is empty, also when it is opened again, and takes another chain"
    )
    func removesAllBlocks() throws {
        let store = MemoryStore()
        let log = try BlockLog(store: store)
        try log.removeAll()
        for block in self.chain(250) { try log.append(block, durably: false) }
        try log.removeAll()
        #expect(log.height == 0 && log.lastHeader == nil)
        #expect(try log.block(0) == nil && log.block(249) == nil)
        #expect(try BlockLog(store: store).height == 0)
        let block = Common_Block.next(after: nil, envelopes: [Data("another".utf8)])
        try log.append(block)
        #expect(try BlockLog(store: store).block(0) == block)
    }

    @Test func refusesBlocksThatDoNotFollow() throws {
        let log = try BlockLog(store: MemoryStore())
        let blocks = self.chain(4)
        #expect(throws: LedgerError.self) { try log.append(blocks[1]) }
        try log.append(blocks[0])
        #expect(throws: LedgerError.self) { try log.append(blocks[0]) }
        #expect(throws: LedgerError.self) { try log.append(blocks[2]) }
        var foreign = blocks[1]
        foreign.header.previousHash = Data(count: 32)
        let error = #expect(throws: LedgerError.self) { try log.append(foreign) }
        #expect(error?.code == .outOfOrder)
        try log.append(blocks[1])
        #expect(log.height == 2)
    }

    @Test func aFailedAppendChangesNothing() throws {
        let store = FailingStore(MemoryStore())
        let log = try BlockLog(store: store)
        let blocks = self.chain(2)
        try log.append(blocks[0])
        store.fail(after: 0, .before)
        #expect(throws: KeyValueStoreError.self) { try log.append(blocks[1]) }
        #expect(log.height == 1)
        #expect(log.lastHeader == blocks[0].header)
    }

    @Test func aMissingTransactionIsNamed() throws {
        let store = MemoryStore()
        let log = try BlockLog(store: store)
        for block in self.chain(2) { try log.append(block) }
        var batch = WriteBatch()
        batch.removeValue(forKey: LogKey.envelope(1, 1))
        store.write(batch, durably: true)
        let error = #expect(throws: LedgerError.self) { try log.block(1) }
        #expect(error?.code == .damaged)
        #expect(error?.description.contains("block 1 in the log: transaction 1 is missing") == true)
    }

    @Test func findsTheLastConfigBlock() throws {
        let log = try BlockLog(store: MemoryStore())
        var block = Common_Block.next(after: nil, envelopes: [Data("config".utf8)])
        block.setMetadata(.signatures, Data([0x0a, 0x04, 0x0a, 0x02, 0x08, 0x05]))
        try log.append(block)
        #expect(try log.lastConfigBlockNumber() == 5)
    }
}
