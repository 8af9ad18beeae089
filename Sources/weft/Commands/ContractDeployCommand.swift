import ArgumentParser
import Channel
import FabricProtos
import Foundation
import Peer
import SwiftProtobuf
import WeftClient

/// `weft contract deploy`: package, install, approve, commit.
struct ContractDeployCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "deploy",
        abstract:
            "Package and install a contract, approve its definition, and commit it when enough have approved.",
        discussion: """
            Does what is left to do, so that it can be run again: after another organization has approved, or with new code, \
            which becomes the next definition. What isn't said stays as it is: the parts of the channel's definition, and, \
            without a path and --address, the packages that run. A first definition without them is of a contract that is built \
            into the peers.

            Example: weft contract deploy trade/ --policy "AND('UtilityMSP.peer', 'AuditorMSP.peer')"
            """
    )

    @Argument(help: "The contract: a folder, a program, or a package (.tar.gz).")
    var path: String?

    @Option(help: ArgumentHelp("Where the contract runs as a service of its own.", valueName: "host:port"))
    var address: String?

    @Option(help: "The contract's name; else the path's last part.")
    var name: String?

    @Option(help: "The contract's version; 1.0 for a new one.")
    var version: String?

    @Option(
        help: ArgumentHelp(
            "How it is built and run (executable, python, ccaas, golang, …); else told by its files.",
            valueName: "type"
        )
    )
    var type: String?

    @Option(help: "The package's label; else the contract's name.")
    var label: String?

    @Option(
        help: ArgumentHelp(
            "The endorsement policy: a signature policy, or the path of one in the channel's configuration. Else the channel's own, /Channel/Application/Endorsement.",
            valueName: "policy"
        )
    )
    var policy: String?

    @Option(help: ArgumentHelp("The private data collections (JSON, as Fabric's).", valueName: "file"))
    var collections: String?

    @Flag(help: "The contract must be initialized by a first call.")
    var initRequired = false

    @Option(help: ArgumentHelp("Where to write the package, for other organizations.", valueName: "file"))
    var out: String?

    @OptionGroup var connection: ConnectionOptions
    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.path == nil || self.address == nil else {
            throw ValidationError("--address is for contracts that run elsewhere: leave the path out")
        }
        guard self.name != nil || self.path != nil else { throw ValidationError("--name is missing") }
    }

    func run() async throws {
        let name = try self.contractName()
        let source = try self.source(name)
        if let out, let source { try source.package.write(to: URL(fileURLWithPath: out)) }
        let given = try self.policy.flatMap { text in
            try DefinitionParts.policy(
                signature: text.hasPrefix("/") ? "" : text,
                channelConfig: text.hasPrefix("/") ? text : ""
            )
        }
        let collections = try self.collections.map { try DefinitionParts.collections(file: $0) }
        let configuration = try await self.connection.administeredChannel()
        let isQuiet = self.output.json
        let outcome = try await ContractSeat.connecting(to: self.connection.administeredPeers()[...]) {
            seats in
            try await ContractDeployment(
                seats: seats,
                configuration: configuration,
                package: source.map { ($0.package, $0.id) },
                tell: { if !isQuiet { print($0) } }
            ).run { committed in
                var definition = try ContractDefinition(name: name, committed: committed)
                definition.version = self.version ?? definition.version
                definition.policy = given ?? definition.policy
                definition.collections = collections ?? definition.collections
                definition.initRequired = self.initRequired || definition.initRequired
                return definition
            }
        }
        self.answer(outcome, configuration)
    }

    private func contractName() throws -> String {
        let last = self.path.map { URL(fileURLWithPath: $0).standardizedFileURL.lastPathComponent } ?? ""
        let name = self.name ?? String(last.prefix { $0 != "." })
        try ChaincodeName.validate(name)
        return name
    }

    private func source(_ name: String) throws -> ContractSource? {
        let label = self.label ?? name
        if let address { return try ContractSource(address: address, label: label) }
        return try self.path.map { try ContractSource(path: $0, type: self.type, label: label) }
    }

    // MARK: - Answer

    private func answer(
        _ outcome: ContractDeployment.Outcome,
        _ configuration: ChannelConfiguration
    ) {
        let channel = configuration.channelID
        let definition = outcome.definition
        let state =
            outcome.isCommitted
            ? (outcome.wasThere ? "is on channel \(channel) already" : "is on channel \(channel)")
            : "waits for other organizations"
        var lines = [
            "contract \(definition.name), version \(definition.version), sequence \(definition.sequence): \(state)"
        ]
        let strangers = definition.strangers(configuration)
        if !strangers.isEmpty {
            lines.append(
                "note: its policy names \(strangers.joined(separator: ", ")), no organization of channel \(channel): nobody can sign for that"
            )
        }
        let commands = self.commands(definition, outcome.package, configuration)
        if !outcome.isCommitted {
            lines.append(
                "not approved yet by \(outcome.missing.joined(separator: ", ")); an administrator there runs"
            )
            lines += commands.map { "  \($0)" }
            lines.append("then run this command again, to commit")
        }
        self.output.answer(
            .object([
                "name": .string(definition.name),
                "version": .string(definition.version),
                "sequence": .integer(definition.sequence),
                "package": outcome.package.isEmpty ? .null : .string(outcome.package),
                "committed": .boolean(outcome.isCommitted),
                "unchanged": .boolean(outcome.wasThere),
                "unknownOrganizations": .array(strangers.map { .string($0) }),
                "approvals": .members(
                    outcome.approvals.sorted { $0.key < $1.key }.map { ($0.key, .boolean($0.value)) }
                ),
                "missing": .array(outcome.isCommitted ? [] : outcome.missing.map { .string($0) }),
                "commands": .array(outcome.isCommitted ? [] : commands.map { .string($0) }),
            ]),
            lines.joined(separator: "\n")
        )
    }

    /// What an administrator of another organization types, at a peer of Fabric's or Weft's.
    private func commands(
        _ definition: ContractDefinition,
        _ package: String,
        _ configuration: ChannelConfiguration
    ) -> [String] {
        var approve = [
            "peer lifecycle chaincode approveformyorg", "-C \(configuration.channelID)",
            "-n \(definition.name)",
            "-v \(definition.version)", "--sequence \(definition.sequence)",
        ]
        switch definition.policy?.type {
        case .signaturePolicy:
            let text = self.policy ?? definition.policyText
            approve.append("--signature-policy \"\(text)\"")
        case .channelConfigPolicyReference(let path): approve.append("--channel-config-policy \(path)")
        case nil: break
        }
        if !definition.collections.config.isEmpty {
            approve.append("--collections-config \(self.collections ?? "FILE-OF-THE-DEFINITION-BEFORE")")
        }
        if definition.initRequired { approve.append("--init-required") }
        if !package.isEmpty { approve.append("--package-id \(package)") }
        guard self.path != nil || self.address != nil else { return [approve.joined(separator: " ")] }
        let file = self.out ?? self.path.flatMap { $0.hasSuffix("gz") ? $0 : nil } ?? "PACKAGE-FILE"
        return ["peer lifecycle chaincode install \(file)", approve.joined(separator: " ")]
    }
}
