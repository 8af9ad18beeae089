import ArgumentParser
import Channel
import Foundation

/// `weft tx explain`: why a transaction was judged as it was.
struct TransactionExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say in words why a transaction of the ledger is valid or invalid, and what to do.",
        discussion: """
            For conflicts: the key, the version read, the version found, and the transaction that changed it. For \
            endorsements: the policy, the signatures that it had, and those that it lacked. It asks a peer, Weft's or \
            Fabric's, and searches the blocks before the transaction's, or reads the data folder of a peer that is stopped.

            Example: weft tx explain 1c7a… ; weft tx explain 1c7a… --data weft-network/nodes/agency/data
            """
    )

    @Argument(help: "The transaction's identifier: 64 hexadecimal digits.")
    var transaction: String

    @Option(
        help: ArgumentHelp(
            "The block of the transaction, if another one of the same identifier came before it.",
            valueName: "number"
        )
    )
    var block: UInt64?

    @Option(
        help: ArgumentHelp(
            "How many blocks before the transaction's are searched for what changed a key or policy.",
            valueName: "blocks"
        )
    )
    var depth: UInt64 = 1_000

    @Option(
        help: ArgumentHelp(
            "The data folder of a peer that is stopped, instead of a running peer.",
            valueName: "folder"
        )
    )
    var data: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.depth <= 1_000_000_000 else {
            throw ValidationError("--depth \(self.depth) is more than 1000000000 blocks")
        }
    }

    func run() async throws {
        let explanation: TransactionExplanation
        if let data {
            explanation = try await self.explain(inFolder: data)
        } else {
            explanation = try await self.connection.withTarget { connection, target in
                try await self.explain(
                    PeerChain(connection: connection, channel: target.channel, identity: target.signer)
                )
            }
        }
        self.output.answer(explanation.json, explanation.text)
    }

    private func explain(_ source: any ChainSource) async throws -> TransactionExplanation {
        try await TransactionExplainer(source: source, depth: self.depth)
            .explain(self.transaction, in: self.block)
    }

    /// Searches the ledger of `--channel`, or else each ledger of the folder.
    private func explain(inFolder data: String) async throws -> TransactionExplanation {
        let ledgers = try LedgerCommand.ledgers(in: data).filter { ledger in
            guard let channel = self.connection.channel else { return true }
            return URL(fileURLWithPath: ledger).lastPathComponent == channel
        }
        for ledger in ledgers {
            let source = try FolderChain(folder: ledger)
            guard try await source.block(transaction: self.transaction) != nil else { continue }
            return try await self.explain(source)
        }
        throw Failure(
            "there is no transaction \(self.transaction) in "
                + (ledgers.isEmpty
                    ? "\(data): it has no channel \(self.connection.channel ?? "")"
                    : ledgers.joined(separator: ", "))
        )
    }
}
