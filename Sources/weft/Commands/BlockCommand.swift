import ArgumentParser
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// `weft block`: look at blocks.
struct BlockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "block",
        abstract: "Look at the blocks of a channel.",
        subcommands: [Show.self]
    )

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a block: its hashes, re-computed here, and its transactions."
        )

        @Argument(help: "The block's number, or \"newest\".")
        var number = "newest"

        @Flag(help: "Show each transaction with what it wrote.")
        var transactions = false

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let number = UInt64(self.number)
            guard number != nil || self.number == "newest" else {
                throw ValidationError("\"\(self.number)\" is neither a block's number nor \"newest\"")
            }
            let block = try await self.connection.withTarget { connection, target in
                let peer = connection.peer(channel: target.channel, as: target.signer)
                let found = try await peer.query(
                    number.map { Invocation("qscc", "GetBlockByNumber", [target.channel, "\($0)"]) }
                        ?? Invocation("qscc", "GetChainInfo", [target.channel])
                )
                if number != nil { return try Common_Block(serializedBytes: found) }
                let information = try Common_BlockchainInfo(serializedBytes: found)
                guard information.height > 0 else {
                    throw Failure("\(target.endpoint) has no block of channel \(target.channel)")
                }
                let newest = Invocation(
                    "qscc",
                    "GetBlockByNumber",
                    [target.channel, "\(information.height - 1)"]
                )
                return try await Common_Block(serializedBytes: peer.query(newest))
            }
            let shown = BlockPicture(block)
            self.output.answer(shown.json, shown.text(withTransactions: self.transactions))
        }
    }
}

/// A block, taken apart for people and scripts.
struct BlockPicture {
    private let block: Common_Block
    private let transactions: [TransactionPicture]

    init(_ block: Common_Block) {
        self.block = block
        let codes = block.metadata(.transactionsFilter)
        self.transactions = block.data.data.enumerated().map { index, envelope in
            let code =
                codes.dropFirst(index).first.map { Int($0) } ?? Protos_TxValidationCode.notValidated.rawValue
            return TransactionPicture(
                envelope: envelope,
                code: Protos_TxValidationCode(rawValue: code) ?? .notValidated
            )
        }
    }

    /// The commit hash that the peer stored with the block; empty for the first block.
    var commitHash: Data {
        (try? Common_Metadata(serializedBytes: self.block.metadata(.commitHash)).value) ?? Data()
    }

    private var dataHashHolds: Bool {
        Common_Block.dataHash(self.block.data.data) == self.block.header.dataHash
    }

    var json: JSONValue {
        .object([
            "number": .unsigned(self.block.header.number),
            "hash": .string(self.block.header.hash.hexadecimal),
            "previousHash": .string(self.block.header.previousHash.hexadecimal),
            "dataHash": .string(self.block.header.dataHash.hexadecimal),
            "dataHashHolds": .boolean(self.dataHashHolds),
            "commitHash": .string(self.commitHash.hexadecimal),
            "transactions": .array(self.transactions.map(\.json)),
        ])
    }

    func text(withTransactions: Bool) -> String {
        let header = self.block.header
        var lines = [
            "block \(header.number)",
            "  hash           \(header.hash.hexadecimal)",
            "  previous hash  \(header.previousHash.isEmpty ? "(none)" : header.previousHash.hexadecimal)",
            "  data hash      \(header.dataHash.hexadecimal)"
                + (self.dataHashHolds ? "  matches the transactions" : "  DOES NOT MATCH the transactions"),
            "  commit hash    \(self.commitHash.isEmpty ? "(none)" : self.commitHash.hexadecimal)",
            "  transactions   \(self.transactions.count)",
        ]
        for (index, transaction) in self.transactions.enumerated() {
            if withTransactions {
                lines.append(transaction.text)
            } else {
                let name = transaction.transactionID.isEmpty ? "(no identifier)" : transaction.transactionID
                lines.append("  \(index)  \(transaction.codeName)  \(name)  \(transaction.contract)")
            }
        }
        return lines.joined(separator: "\n")
    }
}
