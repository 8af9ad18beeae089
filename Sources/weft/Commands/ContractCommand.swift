import ArgumentParser

/// `weft contract`: bring contracts onto a channel, and look at them.
struct ContractCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "contract",
        abstract: "Bring contracts onto a channel, and look at them.",
        discussion: """
            Beside a network of `weft network up` it acts as the administrator of every organization; with --as, --peer or \
            --identity as one administrator at one peer.
            """,
        subcommands: [
            ContractDeployCommand.self, ContractListCommand.self, ContractStatusCommand.self,
            ContractLogsCommand.self,
        ]
    )
}
