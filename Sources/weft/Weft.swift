import ArgumentParser

/// The whole command line: each subcommand is one file in `Commands/`.
///
/// Only this module reads flags, files and the environment. Everything that it calls gets values.
struct Weft: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "weft",
        abstract: "Run and use a permissioned ledger that speaks Hyperledger Fabric's protocols.",
        discussion: """
            Start here: `weft network up` runs a consortium of three organizations on this machine, without any
            configuration, and prints what to type next.

            Exit codes: 0 done; 1 failed or refused; 2 checked and found wrong; 3 no answer from the other side; \
            64 wrong use of the command; 78 wrong configuration file.
            """,
        version: version,
        subcommands: [
            NetworkCommand.self, ContractCommand.self, TransactionCommand.self, BlockCommand.self,
            LedgerCommand.self,
            EmissionsCommand.self, ChannelCommand.self, BenchCommand.self,
            OrdererCommand.self, PeerCommand.self, CACommand.self, ConfigtxgenCommand.self,
            CertificatesCommand.self, CryptogenCommand.self, PrivateDataCommand.self, HSMCommand.self,
            FabricToolsCommand.self,
        ]
    )

    /// The version of Weft, as in `CHANGELOG.md`.
    static let version = "0.1.0"
}

@main struct Main {
    static func main() async {
        shareHeaps()
        if let (tool, arguments) = FabricTool.called(by: CommandLine.arguments) {
            endProcess(await tool.run(arguments))
        }
        let arguments = Array(CommandLine.arguments.dropFirst())
        do {
            var command = try Weft.parseAsRoot(arguments)
            if var command = command as? any AsyncParsableCommand {
                try await command.run()
            } else {
                try command.run()
            }
        } catch {
            Failure.exit(with: error, asJSON: arguments.contains("--json"))
        }
        endProcess(0)
    }
}
