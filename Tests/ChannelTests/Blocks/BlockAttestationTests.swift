import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// What is left of a block for those who ask for headers with signatures.
@Suite struct BlockAttestationTests {
    /// As Fabric does it: decode everything, and drop the data unless they are a configuration.
    private func reference(_ bytes: Data) throws -> Common_Block {
        var block = try Common_Block(serializedBytes: bytes)
        if !block.isConfigBlock { block.clearData() }
        return block
    }

    @Test func normalBlocksLoseTheirDataAndConfigurationBlocksDoNot() throws {
        let channel = try BFTTestChannel(consenters: 1)
        let one = try channel.block(after: channel.genesis.header)
        var many = one
        many.data.data += one.data.data + one.data.data
        var empty = one
        empty.data.data = []
        for block in [channel.genesis, one, many, empty] {
            let bytes: Data = try block.serializedBytes()
            // A slice's indices do not start at 0.
            let slice = (Data([1, 2, 3]) + bytes).dropFirst(3)
            #expect(try Common_Block(attesting: slice) == self.reference(bytes))
        }
        #expect(try Common_Block(attesting: channel.genesis.serializedBytes()).hasData)
        #expect(try !Common_Block(attesting: many.serializedBytes()).hasData)
    }

    @Test(arguments: seeds(100))
    func damagedBlocksAreReadAsEverywhere(_ seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var block = Common_Block()
        block.header.number = 7
        block.header.previousHash = Data(repeating: 1, count: 32)
        block.header.dataHash = Data(repeating: 2, count: 32)
        block.data.data = (0..<Int.random(in: 1...3, using: &random)).map { Data([10, 1, UInt8($0)]) }
        block.metadata.metadata = (0..<5).map { Data(repeating: UInt8($0), count: $0) }
        var bytes = [UInt8](try block.serializedBytes() as Data)
        let place = Int.random(in: bytes.indices, using: &random)
        bytes[place] = UInt8.random(in: 0...255, using: &random)
        let expected = try? self.reference(Data(bytes))
        let found = try? Common_Block(attesting: Data(bytes))
        guard let expected else {
            // What can't be decoded may lie in the data, which are dropped unread.
            #expect(found?.hasData != true)
            return
        }
        #expect(found?.header == expected.header)
        #expect(found?.metadata == expected.metadata)
        #expect(found?.hasData == expected.hasData)
    }
}
