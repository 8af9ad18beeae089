import ArgumentParser
import CertificateAuthority
import Foundation

/// `cryptogen`: the identities of a whole network, from Fabric's file, with the flags of Fabric's tool.
struct CryptogenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cryptogen",
        abstract: "Make the identities of a network from Fabric's crypto-config.yaml.",
        discussion: """
            Each organization's folder can be worked on with `weft ca` afterwards (renew, revoke, show).
            """,
        subcommands: [
            CryptogenGenerateCommand.self, CryptogenExtendCommand.self, CryptogenTemplateCommand.self,
            CryptogenVersionCommand.self,
        ]
    )
}

/// `cryptogen generate`: makes everything.
struct CryptogenGenerateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "generate",
        abstract: "Make all organizations; none of them may exist."
    )

    @Option(help: "The configuration; without it, the one that `showtemplate` prints.", completion: .file())
    var config: String?

    @Option(help: "The folder to write to.", completion: .directory)
    var output = "crypto-config"

    @Option(help: "For how many days the certificates are valid.")
    var days: Int = OrganizationAuthority.defaultAuthorityDays

    @OptionGroup var options: OutputOptions

    func run() throws {
        let configuration = try CryptoConfiguration.read(self.config)
        try CryptoMaterial(path: self.output, days: self.days).generate(configuration, now: Date()) {
            domain in
            self.options.say(domain)
        }
        self.options.answerWithFolder(self.output, configuration)
    }
}

/// `cryptogen extend`: adds what is missing.
struct CryptogenExtendCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "extend",
        abstract: "Add the organizations, nodes and users that the configuration has and the folder lacks."
    )

    @Option(help: "The configuration; without it, the one that `showtemplate` prints.", completion: .file())
    var config: String?

    @Option(help: "The folder to extend.", completion: .directory)
    var input = "crypto-config"

    @Option(help: "For how many days the new certificates are valid.")
    var days: Int = OrganizationAuthority.defaultAuthorityDays

    @OptionGroup var options: OutputOptions

    func run() throws {
        let configuration = try CryptoConfiguration.read(self.config)
        try CryptoMaterial(path: self.input, days: self.days).extend(configuration, now: Date()) { domain in
            self.options.say(domain)
        }
        self.options.answerWithFolder(self.input, configuration)
    }
}

/// `cryptogen showtemplate`: prints an example.
struct CryptogenTemplateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "showtemplate",
        abstract: "Print a configuration to begin with."
    )

    func run() { print(CryptoConfiguration.template) }
}

/// `cryptogen version`.
struct CryptogenVersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Show the version.")

    func run() { print(ToolVersion.text(of: "cryptogen")) }
}

extension OutputOptions {
    fileprivate func answerWithFolder(_ folder: String, _ configuration: CryptoConfiguration) {
        guard self.json else { return }
        let domains = configuration.peerOrganizations + configuration.ordererOrganizations
        self.answer(
            .object([
                "folder": .string(folder), "organizations": .array(domains.map { .string($0.domain) }),
            ]),
            ""
        )
    }
}
