import ArgumentParser
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Translation
import WeftClient

/// `weft channel`: look at a channel's configuration and change it.
struct ChannelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "channel",
        abstract: "Join channels, look at their configuration, and change it with the others' signatures.",
        discussion: """
            A change goes: `edit` writes a file, each administrator that has to signs it with `sign` (offline, and with \
            Fabric's `peer channel signconfigtx` as well), and anybody hands it in with `submit`.
            """,
        subcommands: [
            Show.self, Diff.self, ExplainPolicyCommand.self, ChannelEditCommand.self, ChannelSignCommand.self,
            ChannelSubmitCommand.self, Fetch.self, Join.self, List.self,
        ]
    )

    // MARK: -

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Show a channel's configuration: organizations, policies, orderers, capabilities, access."
        )

        @Argument(help: "A config block or configuration; without one, the peer's is shown.")
        var file: String?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let configuration = try await self.connection.configuration(file: self.file).checked()
            let bytes = try configuration.config.channelGroup.serializedData()
            let group = JSONValue(try FabricJSON().json(ofGroup: bytes, at: .channel))
            self.output.answer(
                .object([
                    "channel": .string(configuration.channelID.description),
                    "sequence": .unsigned(configuration.sequence),
                    "configuration": group,
                ]),
                ChannelPicture(configuration).text
            )
        }
    }

    // MARK: -

    struct Diff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Show what differs between two configurations, or between a file and the channel.",
            discussion: "Exit code 2 when they differ."
        )

        @Argument(help: "A config block or configuration.")
        var before: String

        @Argument(help: "Another one, or a file of `weft channel edit`; without one, the peer's is taken.")
        var after: String?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let old = try NamedConfiguration(file: self.before, channel: self.connection.channel ?? "channel")
            let difference = ConfigurationDifference(
                from: old.config.channelGroup,
                to: try await self.newer(than: old)
            )
            self.output.answer(
                difference.json,
                difference.isEmpty ? "they say the same" : difference.lines.joined(separator: "\n")
            )
            guard difference.isEmpty else {
                throw Failure("the configurations differ", code: .wrong, followsAnswer: true)
            }
        }

        private func newer(than old: NamedConfiguration) async throws -> Common_ConfigGroup {
            if let after, let bytes = try? readArgument(after, as: "the update"),
                let update = try? ConfigUpdateFile(serialized: bytes)
            {
                return try old.checked().previewing(update.content).channelGroup
            }
            let channel = self.connection.channel ?? "channel"
            if let after { return try NamedConfiguration(file: after, channel: channel).config.channelGroup }
            return try await self.connection.configuration(file: nil).config.channelGroup
        }
    }

    // MARK: -

    struct Fetch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Write the channel's newest config block to a file, for `edit --config` and others offline.",
            discussion: "The peer is asked, and an orderer when the peer doesn't answer or refuses."
        )

        @Argument(help: "The file to write.")
        var file: String

        @Flag(help: "Write the genesis block, from which peers join, in place of the newest config block.")
        var genesis = false

        @Option(
            help: ArgumentHelp(
                "The orderer to ask when the peer doesn't tell, or without --peer; trusted through the same roots.",
                valueName: "host:port"
            )
        )
        var orderer: String?

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let (block, channel) = try await self.connection.withConfigurationSource(orderer: self.orderer) {
                source,
                target in
                let block = self.genesis ? try await source.genesisBlock() : try await source.configBlock()
                return (block, target.channel)
            }
            try writeNew(block.serializedBytes(), to: self.file)
            let sequence = try block.configEnvelope().config.sequence
            self.output.answer(
                .object([
                    "channel": .string(channel), "block": .unsigned(block.header.number),
                    "sequence": .unsigned(sequence), "file": .string(self.file),
                ]),
                "wrote block \(block.header.number) of channel \(channel), configuration \(sequence), to \(self.file)"
            )
        }
    }

    // MARK: -

    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Have a running peer join a channel; an administrator of the peer's organization signs.",
            discussion: "Example: weft channel join --as agency/admin --peer agency prices.block"
        )

        @Argument(help: "The channel's genesis block.")
        var file: String

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let block = try readGenesisBlock(self.file)
            let channel = try ChannelConfiguration(configBlock: block).channelID
            let endpoint = try await self.connection.withTarget { connection, target in
                _ = try await connection.peer(channel: "", as: target.signer).query(
                    Invocation(
                        contract: "cscc",
                        arguments: [Data("JoinChain".utf8), try block.serializedBytes()]
                    )
                )
                return target.endpoint
            }
            self.output.answer(
                .object(["channel": .string(channel.description), "peer": .string("\(endpoint)")]),
                "\(endpoint) has joined channel \(channel)"
            )
        }
    }

    // MARK: -

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the channels that a peer has joined.")

        @OptionGroup var connection: ConnectionOptions
        @OptionGroup var output: OutputOptions

        func run() async throws {
            let channels = try await self.connection.withTarget { connection, target in
                let bytes = try await connection.peer(channel: "", as: target.signer)
                    .query(Invocation("cscc", "GetChannels"))
                return try Protos_ChannelQueryResponse(serializedBytes: bytes).channels.map(\.channelID)
                    .sorted()
            }
            self.output.answer(
                .object(["channels": .array(channels.map { .string($0) })]),
                channels.isEmpty ? "the peer has joined no channel" : channels.joined(separator: "\n")
            )
        }
    }
}
