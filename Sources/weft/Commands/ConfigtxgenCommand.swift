import ArgumentParser
import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf

/// `weft configtxgen`: make the first block of a channel, with the flags of Fabric's tool.
struct ConfigtxgenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configtxgen",
        abstract: "Make the genesis block of a channel from a profile in configtx.yaml, or show one.",
        discussion:
            "Example: weft configtxgen -profile Emissions -channelID emissions -outputBlock emissions.block"
    )

    @Option(name: .customLong("profile", withSingleDash: true), help: "The profile in configtx.yaml.")
    var profile: String?

    @Option(name: .customLong("channelID", withSingleDash: true), help: "The channel's name.")
    var channelID: String?

    @Option(name: .customLong("outputBlock", withSingleDash: true), help: "Where to write the block.")
    var outputBlock: String?

    @Option(
        name: .customLong("configPath", withSingleDash: true),
        help: "The folder of configtx.yaml; else FABRIC_CFG_PATH, else the present folder."
    )
    var configPath: String?

    @Option(name: .customLong("inspectBlock", withSingleDash: true), help: "A block to show as JSON.")
    var inspectBlock: String?

    @OptionGroup var output: OutputOptions

    func run() async throws {
        if let inspectBlock {
            let bytes = try readBytes(inspectBlock, as: "the block")
            let block: Common_Block
            do {
                block = try Common_Block(serializedBytes: bytes)
            } catch {
                throw Failure("\(inspectBlock) is not a block: \(error)")
            }
            print(try ConfigurationPicture.json(ofBlock: block).indented())
            return
        }
        guard let profile, let outputBlock else {
            throw ValidationError(
                "give -profile and -outputBlock to make a block, or -inspectBlock to show one"
            )
        }
        guard let channelID else { throw ValidationError("give the channel's name with -channelID") }
        let folder =
            self.configPath ?? ProcessInfo.processInfo.environment["FABRIC_CFG_PATH"]
            ?? FileManager.default.currentDirectoryPath
        let reader = try ConfigtxProfile(file: folder + "/configtx.yaml") { folder, mspID in
            try MSPFolder(folder).configuration(mspID: MSPID(mspID)).config
        }
        let block = try GenesisBlock.make(
            channelID: ChannelID(channelID),
            profile: try reader.profile(profile),
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
        try writeNew(block.serializedBytes(), to: outputBlock)
        self.output.answer(
            .object([
                "channel": .string(channelID), "block": .string(outputBlock),
                "hash": .string(block.header.hash.hexadecimal),
            ]),
            "wrote the genesis block of channel \(channelID) to \(outputBlock)"
        )
    }
}

/// Writes a file whole or not at all.
func writeNew(_ bytes: Data, to path: String) throws(Failure) {
    do {
        try bytes.write(to: URL(fileURLWithPath: path), options: .atomic)
    } catch {
        throw Failure(
            "can't write \(path): \(error); is the folder there, and is the disk full or read-only?"
        )
    }
}
