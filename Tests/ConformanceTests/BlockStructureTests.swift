import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Chains of a real network: see `Vectors/blocks/README.md` for how they were made.
@Suite struct BlockStructureTests {
    private struct Chain: Decodable {
        struct Transaction: Decodable {
            let index: Int
            let txId: String?
            let validationCode: Int

            enum CodingKeys: String, CodingKey {
                case index
                case txId = "tx_id"
                case validationCode = "validation_code"
            }
        }
        struct Block: Decodable {
            let number: UInt64
            let headerHash: String
            let transactions: [Transaction]

            enum CodingKeys: String, CodingKey {
                case number, transactions
                case headerHash = "header_hash"
            }
        }
        let chain: [Block]
    }

    @Test(arguments: ["main", "side"])
    func everyBlockOfARealChainHasTheRecordedHashAndFollowsTheOneBefore(name: String) throws {
        let folder = VectorReport.folder("blocks")
        let expected = try JSONDecoder().decode(
            Chain.self,
            from: Data(contentsOf: folder.appendingPathComponent("\(name).json"))
        ).chain
        let blocks = try BlockFile(contentsOf: folder.appendingPathComponent("\(name).peer.blocks"))
            .map { try Common_Block(serializedBytes: $0) }
        #expect(blocks.count == expected.count)

        var previous: Common_BlockHeader?
        for (block, expected) in zip(blocks, expected) {
            try block.checkStructure(after: previous, expected: expected.number)
            let holds = block.header.hash.hexadecimal == expected.headerHash
            #expect(holds, "block \(expected.number)")
            VectorReport.record(folder: "blocks", name: "\(name) \(expected.number) hash", holds: holds)
            for transaction in expected.transactions where transaction.txId?.isEmpty == false {
                let bytes = block.data.data[transaction.index]
                #expect(DecodedTransaction.indexedIdentifier(of: bytes) == transaction.txId)
            }
            previous = block.header
        }
    }

    @Test func codesThatNeedNeitherKeysNorLedgerAreTheRecordedOnes() throws {
        let folder = VectorReport.folder("blocks")
        let chain = try JSONDecoder().decode(
            Chain.self,
            from: Data(contentsOf: folder.appendingPathComponent("main.json"))
        ).chain
        let structural: Set<Int> = [2, 3, 5, 8, 19, 20, 21, 22, 23]
        var seen = Set<Int>()
        for (bytes, expected) in zip(
            try BlockFile(contentsOf: folder.appendingPathComponent("main.peer.blocks")),
            chain
        ) {
            let block = try Common_Block(serializedBytes: bytes)
            for transaction in expected.transactions where structural.contains(transaction.validationCode) {
                seen.insert(transaction.validationCode)
                let code = Self.structuralCode(of: block.data.data[transaction.index])
                #expect(
                    code == transaction.validationCode,
                    "block \(expected.number), transaction \(transaction.index)"
                )
            }
        }
        #expect(seen.isSuperset(of: [3, 5, 8, 19, 21, 22, 23]))
    }

    private static func structuralCode(of bytes: Data) -> Int {
        do {
            guard case .failure(let failure) = try DecodedTransaction.decode(bytes).body else { return 0 }
            return failure.invalid.code.rawValue
        } catch {
            return error.code.rawValue
        }
    }

    @Test func headerBytesOfTheWorkedSampleAreEqual() throws {
        var header = Common_BlockHeader()
        header.dataHash = try #require(
            Data(hexadecimal: "8148b113701ccf558706db89799d025d386ff187e573bbed67270a9ee7ee8769")
        )
        let expected = "30270201000400" + "0420" + header.dataHash.hexadecimal
        #expect(header.der.hexadecimal == expected)
        let hash = "89e03f9f1950cbab6ec7f0d653549a3d6920be9d2e1344aef05310bcb6633770"
        #expect(header.hash.hexadecimal == hash)
        header.number = 1 << 63
        #expect(header.der.hexadecimal.hasPrefix("302f0209008000000000000000"))
    }

    @Test(arguments: [
        (0, "number"), (1, "previous hash"), (2, "metadata"), (3, "canonical"), (4, "data hash"),
    ])
    func damagedBlockIsRefusedWithTheReason(damage: Int, reason: String) throws {
        let folder = VectorReport.folder("blocks")
        let all = try BlockFile(contentsOf: folder.appendingPathComponent("main.peer.blocks")).prefix(12)
            .map { try Common_Block(serializedBytes: $0) }
        let index = try #require(all.lastIndex { !$0.isConfigBlock })
        var block = all[index]
        switch damage {
        case 0: block.header.number += 1
        case 1: block.header.previousHash[block.header.previousHash.startIndex] ^= 1
        case 2: block.metadata.metadata.removeLast()
        case 3: block.data.data[0] = Data([0x0a, 0x00]) + block.data.data[0]
        default: block.data.data.append(block.data.data[0])
        }
        #expect {
            try block.checkStructure(after: all[index - 1].header, expected: all[index].header.number)
        } throws: { error in
            let text = "\(error)"
            return damage == 0 ? text.contains("was expected") : text.contains(reason)
        }
    }
}
