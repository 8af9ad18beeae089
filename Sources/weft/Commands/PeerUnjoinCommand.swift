import ArgumentParser
import Channel
import Foundation
import Peer

extension PeerCommand {
    struct Unjoin: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Take a channel off a peer that is stopped: its blocks, state and private data are deleted.",
            discussion: """
                The peer can join the channel again from its genesis block, and gets its blocks from the orderers then; \
                private data that no other peer has is lost.
                """
        )

        @Option(help: ArgumentHelp("The peer's configuration file (YAML).", valueName: "file"))
        var config = "peer.yaml"

        @Option(name: .shortAndLong, help: ArgumentHelp("The channel to leave.", valueName: "name"))
        var channel: String

        @OptionGroup var output: OutputOptions

        func run() async throws {
            let configuration = try PeerConfiguration(file: self.config)
            let channel = try ChannelID(self.channel)
            try ChannelRemoval.remove(channel, dataFolder: configuration.data)
            let listed = configuration.channels.filter { file in
                (try? ChannelConfiguration(configBlock: readGenesisBlock(file)).channelID) == channel
            }
            self.output.answer(
                .object([
                    "removed": .string(channel.description),
                    "stillListed": .array(listed.map { .string($0) }),
                ]),
                (["removed channel \(channel) from \(configuration.data)"]
                    + listed.map {
                        "note: \(self.config) still lists \($0) under channels; as long as it does, the peer joins the "
                            + "channel again when it starts"
                    }).joined(separator: "\n")
            )
        }
    }
}
