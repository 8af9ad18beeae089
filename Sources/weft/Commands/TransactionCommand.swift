import ArgumentParser
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import WeftClient

/// `weft tx`: run contracts and look at what became of transactions.
struct TransactionCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tx",
        abstract: "Submit transactions, ask contracts, and look at transactions in the ledger.",
        subcommands: [
            TransactionSubmitCommand.self, Evaluate.self, Show.self, TransactionExplainCommand.self,
        ]
    )

    /// The flags of a contract's call.
    struct InvocationOptions: ParsableArguments {
        @Argument(help: "The contract's name.")
        var contract: String

        @Argument(help: "The function's name.")
        var function: String

        @Argument(help: "The function's arguments.")
        var arguments: [String] = []

        @Option(
            name: .customLong("organization"),
            help: ArgumentHelp(
                "An organization, by MSP identifier, that must endorse or answer.",
                valueName: "id"
            )
        )
        var organizations: [String] = []

        @Option(help: ArgumentHelp("Data for the endorsers alone, as name=value.", valueName: "name=value"))
        var transient: [String] = []

        func invocation() throws -> Invocation {
            var invocation = Invocation(self.contract, self.function, self.arguments)
            invocation.organizations = self.organizations
            for entry in self.transient {
                guard let equals = entry.firstIndex(of: "=") else {
                    throw ValidationError("--transient takes name=value; \"\(entry)\" has no =")
                }
                invocation.transient[String(entry[..<equals])] = Data(
                    entry[entry.index(after: equals)...].utf8
                )
            }
            return invocation
        }
    }

    struct Evaluate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Ask a contract on one peer; nothing is written.",
            discussion: "Example: weft tx evaluate kv get greeting"
        )

        @OptionGroup var call: InvocationOptions
        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let invocation = try self.call.invocation()
            let result = try await self.connection.withTarget { connection, target in
                try await connection.gateway(channel: target.channel, as: target.signer).evaluate(invocation)
            }
            self.output.answer(.object(["result": .bytes(result)]), readable(result))
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show a transaction of the ledger: how it was judged, and what it read and wrote."
        )

        @Argument(help: "The transaction's identifier: 64 hexadecimal digits.")
        var transaction: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let (envelope, code) = try await self.connection.withTarget { connection, target in
                let peer = connection.peer(channel: target.channel, as: target.signer)
                let bytes = try await peer.query(
                    Invocation("qscc", "GetTransactionByID", [target.channel, self.transaction])
                )
                let processed = try Protos_ProcessedTransaction(serializedBytes: bytes)
                let code = Protos_TxValidationCode(rawValue: Int(processed.validationCode)) ?? .notValidated
                return (try processed.transactionEnvelope.serializedBytes() as Data, code)
            }
            let shown = TransactionPicture(envelope: envelope, code: code)
            self.output.answer(shown.json, shown.text)
        }
    }
}

/// Bytes as a person reads them: text where it is text, else hexadecimal digits.
func readable(_ bytes: Data) -> String {
    guard let text = String(data: bytes, encoding: .utf8), !text.unicodeScalars.contains(where: isControl)
    else { return bytes.hexadecimal }
    return text
}

private func isControl(_ scalar: Unicode.Scalar) -> Bool {
    scalar.properties.generalCategory == .control && scalar != "\n" && scalar != "\t" && scalar != "\r"
}
