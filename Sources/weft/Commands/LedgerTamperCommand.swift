import ArgumentParser
import Channel
import Foundation
import Ledger
import WeftContract

/// `weft ledger tamper`: damages a ledger on purpose, so that a demonstration can show that it is noticed.
struct LedgerTamperCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tamper",
        abstract: "For demonstrations: falsify one value in the state of a stopped peer's ledger.",
        discussion: """
            Writes through the database itself, as somebody with access to the disk would, so that every checksum of its \
            files is right afterwards. Use a copy of the folder: the ledger is wrong from then on, which \
            `weft ledger verify` shows.
            """,
        shouldDisplay: false
    )

    @Argument(
        help: "The folder of one channel's ledger, such as weft-network/nodes/agency/data/channels/emissions."
    )
    var folder: String

    @Option(help: "The contract whose state it is.")
    var namespace = "emissions"

    @Option(
        help: ArgumentHelp(
            "The key: its text, or the parts of a composite key after each other.",
            valueName: "part"
        )
    )
    var key: [String]

    @Option(help: "The false value.")
    var value: String

    @OptionGroup var output: OutputOptions

    func run() throws {
        guard let first = self.key.first else { throw ValidationError("--key is missing") }
        let key = self.key.count == 1 ? first : try CompositeKey(first, Array(self.key.dropFirst())).text
        let version = try StateTampering.rewrite(
            folder: self.folder,
            namespace: self.namespace,
            key: key,
            value: Data(self.value.utf8)
        )
        guard let version else {
            throw Failure(
                "there is no key \(self.key.joined(separator: " ")) of \(self.namespace) in \(self.folder)"
            )
        }
        self.output.answer(
            .object(["block": .unsigned(version.block), "transaction": .unsigned(version.transaction)]),
            "falsified the value that transaction \(version.transaction) of block \(version.block) wrote"
        )
    }
}
