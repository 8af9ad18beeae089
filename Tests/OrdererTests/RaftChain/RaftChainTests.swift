import Channel
import Consensus
import Cryptography
import FabricProtos
import Foundation
import KeyValueStore
import Ledger
import SwiftProtobuf
import Testing

@testable import Orderer

/// The blocks that a chain makes, and what it makes of damaged stores.
@Suite struct RaftChainTests {
    let network: TestNetwork

    init() throws { self.network = try TestNetwork(absoluteMaxBytes: 3 << 20, preferredMaxBytes: 3 << 20) }

    private func chain(_ disk: FaultyDisk) throws -> RaftChain {
        try RaftChain(
            channelID: self.network.channelID,
            genesis: self.network.genesis,
            log: BlockLog(store: disk.open("log")),
            consensus: disk.open("consensus"),
            signer: RenewableIdentity(self.network.orderer),
            nonce: { (try? secureRandomBytes(24)) ?? Data() }
        )
    }

    @discardableResult
    private func order(_ texts: [String], _ chain: RaftChain) throws -> Common_Block {
        let block = chain.nextBlock(try texts.map { try self.network.envelope($0).serializedBytes() })
        return try #require(try chain.order(block).first).block
    }

    @Test("the first block carries consenters [1], next 2, index 3, wrapped as etcdraft does it")
    func writesMetadata() throws {
        let chain = try self.chain(FaultyDisk())
        _ = try chain.start()
        let block = try self.order(["a", "b"], chain)
        let orderer = try block.ordererMetadata().orderer
        // From a live etcdraft orderer: ids [1], next 2, index 3.
        #expect(orderer.consenterMetadata == Data([0x0a, 0x07, 0x0a, 0x01, 0x01, 0x10, 0x02, 0x18, 0x03]))
        #expect(orderer.hasLastConfig && orderer.lastConfig.index == 0)
        #expect(block.metadata.metadata.count == 5)
        #expect(block.metadata(.lastConfig).isEmpty && block.metadata(.transactionsFilter).isEmpty)
        let second = try self.order(["c"], chain)
        #expect(try ConsenterMetadata(of: second)?.raftIndex == 4)
        #expect(second.header.previousHash == block.header.hash)
    }

    @Test("a block is signed so that peers accept it")
    func signs() throws {
        let chain = try self.chain(FaultyDisk())
        _ = try chain.start()
        let block = try self.order(["a"], chain)
        try block.verifySignatures(under: chain.configuration)
        try block.checkStructure(after: self.network.genesis.header, expected: 1)
        var forged = block
        forged.header.dataHash = Data(repeating: 1, count: 32)
        #expect(throws: (any Error).self) { try forged.verifySignatures(under: chain.configuration) }
    }

    @Test("entries hold blocks with five empty metadata slots")
    func storesUnsignedBlocks() throws {
        let disk = FaultyDisk()
        let chain = try self.chain(disk)
        _ = try chain.start()
        try self.order(["a"], chain)
        var store = RaftStore(disk.open("consensus"))
        let state = try #require(try store.load())
        guard case .payload(let bytes) = state.entries.last?.content else {
            Issue.record("the last entry is no block")
            return
        }
        let block = try Common_Block(serializedBytes: bytes)
        #expect(block.metadata.metadata == Array(repeating: Data(), count: 5))
        #expect(state.entries.map(\.position.index) == [1, 2, 3])
        #expect(state.hardState.vote == 1 && state.hardState.term == 2)
    }

    @Test("a restart goes on in the next term; its empty entry takes an index")
    func restarts() throws {
        let disk = FaultyDisk()
        let first = try self.chain(disk)
        _ = try first.start()
        try self.order(["a"], first)
        let second = try self.chain(disk)
        #expect(try second.start().applied.isEmpty)
        let block = try self.order(["b"], second)
        #expect(block.header.number == 2)
        #expect(try ConsenterMetadata(of: block)?.raftIndex == 5)
    }

    @Test("a loss of power before the log reached the disk loses no block")
    func refillsTheLog() throws {
        let disk = FaultyDisk()
        let chain = try self.chain(disk)
        _ = try chain.start()
        let headers = try (0..<5).map { try self.order(["\($0)"], chain).header }
        disk.losePower()
        let restarted = try self.chain(disk)
        #expect(restarted.log.height == 1)
        let recovered = try restarted.start().applied.map(\.block)
        #expect(recovered.map(\.header) == headers)
        for (offset, block) in recovered.enumerated() {
            try block.verifySignatures(under: restarted.configuration)
            #expect(try ConsenterMetadata(of: block)?.raftIndex == UInt64(offset + 3))
        }
        #expect(restarted.log.height == 6)
    }

    @Test("entries are released once the log is durable, and the chain goes on")
    func releases() throws {
        let disk = FaultyDisk()
        let chain = try self.chain(disk)
        _ = try chain.start()
        let large = String(repeating: "x", count: 2 << 20)
        for number in 0..<9 { try self.order(["\(number)" + large], chain) }
        var store = RaftStore(disk.open("consensus"))
        let state = try #require(try store.load())
        #expect(state.start.position.index > 3 && state.start.voters == [1])
        #expect(state.entries.count < 5)
        disk.losePower()
        let restarted = try self.chain(disk)
        _ = try restarted.start()
        #expect(restarted.log.height == 10)
        try self.order(["after"], restarted)
    }

    @Test("a consensus store that is gone is refused, since acknowledged blocks may be missing")
    func refusesAnEmptyConsensusStore() throws {
        let disk = FaultyDisk()
        let chain = try self.chain(disk)
        _ = try chain.start()
        try self.order(["a"], chain)
        try chain.close()
        #expect(throws: OrdererError.self) {
            try RaftChain(
                channelID: self.network.channelID,
                genesis: self.network.genesis,
                log: BlockLog(store: disk.open("log")),
                consensus: MemoryStore(),
                signer: RenewableIdentity(self.network.orderer),
                nonce: { Data() }
            )
        }
    }

    @Test("a damaged entry is refused with a reason, not a crash")
    func refusesDamage() throws {
        let disk = FaultyDisk()
        let chain = try self.chain(disk)
        _ = try chain.start()
        try self.order(["a"], chain)
        var batch = WriteBatch()
        batch.set(Data([0xff, 0xff]), forKey: Data("e".utf8) + Data([0, 0, 0, 0, 0, 0, 0, 2]))
        try disk.open("consensus").write(batch, durably: true)
        let error = #expect(throws: RaftStateError.self) { try self.chain(disk) }
        #expect(error?.description.contains("damaged") == true)
    }

    @Test("the ledger of another channel is refused")
    func refusesAnotherChannel() throws {
        let disk = FaultyDisk()
        let chain = try self.chain(disk)
        _ = try chain.start()
        let error = #expect(throws: OrdererError.self) {
            try RaftChain(
                channelID: try ChannelID("other"),
                genesis: nil,
                log: BlockLog(store: disk.open("log")),
                consensus: disk.open("consensus"),
                signer: RenewableIdentity(self.network.orderer),
                nonce: { Data() }
            )
        }
        #expect(error?.description.contains("trade") == true)
    }
}
