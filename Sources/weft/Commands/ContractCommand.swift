import ArgumentParser

/// `weft contract`: try contracts, bring them onto a channel, look at them, and remove them.
struct ContractCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract",
        abstract: "Try contracts, bring them onto a channel, look at them, and remove them.",
        discussion: """
            Beside a network of `weft network up` it acts as the administrator of every organization; with --as, --peer or \
            --identity as one administrator at one peer.
            """,
        subcommands: [
            ContractTestCommand.self, ContractDeployCommand.self, ContractListCommand.self,
            ContractStatusCommand.self, ContractLogsCommand.self, ContractRemoveCommand.self,
        ]
    )
}
