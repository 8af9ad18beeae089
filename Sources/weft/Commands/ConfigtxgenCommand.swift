import ArgumentParser
import CertificateAuthority
import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import Translation

/// `configtxgen`: make the first block of a channel from a profile, or show one, with the flags of Fabric's tool.
///
/// - Source: Fabric v3.1, `docs/source/commands/configtxgen.md`.
struct ConfigtxgenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configtxgen",
        abstract: "Make the genesis block of a channel from a profile in configtx.yaml, or show one.",
        discussion:
            "Example: weft configtxgen -profile Emissions -channelID emissions -outputBlock emissions.block",
        helpNames: [.short, .long, .customLong("help", withSingleDash: true)]
    )

    @Option(name: .goStyle("profile"), help: "The profile in configtx.yaml.")
    var profile: String?

    @Option(name: .goStyle("channelID"), help: "The channel's name.")
    var channelID: String?

    @Option(name: .goStyle("outputBlock"), help: "Where to write the genesis block.")
    var outputBlock: String?

    @Option(
        name: .goStyle("outputCreateChannelTx"),
        help: "Where to write a request to create a channel, as Fabric had it before version 3."
    )
    var outputCreateChannelTx: String?

    @Option(
        name: .goStyle("channelCreateTxBaseProfile"),
        help: "The profile of the system channel that such a request differs from."
    )
    var channelCreateTxBaseProfile: String?

    @Option(
        name: .goStyle("configPath"),
        help:
            "The folder of configtx.yaml; else FABRIC_CFG_PATH, the present folder, /etc/hyperledger/fabric."
    )
    var configPath: String?

    @Option(name: .goStyle("inspectBlock"), help: "A block to show as JSON.")
    var inspectBlock: String?

    @Option(name: .goStyle("inspectChannelCreateTx"), help: "A request to create a channel, to show as JSON.")
    var inspectChannelCreateTx: String?

    @Option(name: .goStyle("printOrg"), help: "An organization to show as JSON, for adding it to a channel.")
    var printOrg: String?

    @Option(name: .goStyle("asOrg"), help: "Taken and not looked at, as by Fabric's tool since version 3.")
    var asOrg: String?

    @Flag(name: .goStyle("version"), help: "Show the version.")
    var version = false

    @OptionGroup var output: OutputOptions

    func validate() throws {
        guard self.outputBlock != nil || self.outputCreateChannelTx != nil else { return }
        guard self.channelID != nil else {
            throw ValidationError("Missing channelID, please specify it with '-channelID'")
        }
        guard self.profile != nil || self.version else {
            throw ValidationError(
                "The '-profile' is required when '-outputBlock', '-outputCreateChannelTx' is specified"
            )
        }
    }

    func run() throws {
        if self.version { return print(ToolVersion.text(of: "configtxgen")) }
        if let profile, let channelID, let outputBlock {
            try self.writeBlock(profile, ChannelID(channelID), to: outputBlock)
        }
        if let profile, let channelID, let outputCreateChannelTx {
            try self.writeCreation(profile, ChannelID(channelID), to: outputCreateChannelTx)
        }
        if let inspectBlock { try self.show(inspectBlock, as: "block", type: "common.Block") }
        if let inspectChannelCreateTx {
            try self.show(inspectChannelCreateTx, as: "transaction", type: "common.Envelope")
        }
        if let printOrg { try self.printOrganization(printOrg) }
    }

    private func file() throws -> ConfigtxFile {
        let environment = ProcessInfo.processInfo.environment
        return try ConfigtxFile(
            file: ConfigtxFile.find(in: self.configPath, environment: environment),
            environment: environment
        ) { folder, mspID in
            try MSPFolder(folder).configuration(mspID: MSPID(mspID)).config
        }
    }

    private func writeBlock(_ name: String, _ channelID: ChannelID, to path: String) throws {
        let profile = try self.file().profile(name)
        guard let orderer = profile.orderer else {
            throw Failure("refusing to generate block which is missing orderer section")
        }
        guard profile.application != nil || profile.consortiums != nil else {
            throw Failure(
                "refusing to generate application channel block which is missing application section"
            )
        }
        let organizations = orderer.organizations + (profile.application?.organizations ?? [])
        if let foreign = organizations.first(where: { $0.msp == nil }) {
            throw Failure(
                """
                all org definitions must be local during bootstrapping: \
                organization '\(foreign.name)' is marked to be skipped as foreign
                """
            )
        }
        let block = try GenesisBlock.make(
            channelID: channelID,
            profile: profile,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
        try writeWithFolder(block.serializedBytes(), to: path)
        guard self.output.json else {
            return standardError("wrote the genesis block of channel \(channelID) to \(path)")
        }
        self.output.answer(
            .object([
                "channel": .string(channelID.description), "block": .string(path),
                "hash": .string(block.header.hash.hexadecimal),
            ]),
            ""
        )
    }

    private func writeCreation(_ name: String, _ channelID: ChannelID, to path: String) throws {
        let file = try self.file()
        let envelope = try ChannelCreation.envelope(
            channelID: channelID,
            profile: file.profile(name),
            base: self.channelCreateTxBaseProfile.map(file.profile),
            timestamp: Date()
        )
        try writeWithFolder(envelope.serializedBytes(), to: path)
        standardError("wrote a request to create channel \(channelID) to \(path); Fabric 3 takes none")
    }

    private func show(_ path: String, as what: String, type: String) throws {
        let bytes = try readBytes(path, as: "the \(what)")
        do {
            try InputOutput.write(FabricJSON().json(of: bytes, type: type).document, to: nil)
        } catch let error as TranslationError {
            throw Failure("\(path) is not a \(what) with a configuration: \(error)")
        }
    }

    private func printOrganization(_ name: String) throws {
        let organization = try self.file().organization(named: name)
        let isOrderer = !organization.ordererEndpoints.isEmpty
        let group = isOrderer ? try organization.ordererGroup() : try organization.applicationGroup()
        let tree = try FabricJSON().json(
            ofGroup: group.serializedBytes(),
            at: isOrderer ? .ordererOrganization : .applicationOrganization
        )
        try InputOutput.write(tree.document, to: nil)
    }
}

extension NameSpecification {
    /// A flag as Go's package `flag` takes it: with one hyphen or two.
    static func goStyle(_ name: String) -> Self {
        [.customLong(name, withSingleDash: true), .customLong(name)]
    }
}

/// Writes a file, and makes the folder that it belongs to.
private func writeWithFolder(_ bytes: Data, to path: String) throws(Failure) {
    let folder = URL(fileURLWithPath: path).deletingLastPathComponent()
    do {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    } catch {
        throw Failure("can't make the folder \(folder.path) for \(path): \(error)")
    }
    try writeNew(bytes, to: path)
}
