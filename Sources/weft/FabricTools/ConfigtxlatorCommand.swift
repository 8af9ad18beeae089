import ArgumentParser
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import Translation

/// `configtxlator`: messages as JSON and back, and the update between two configurations.
///
/// - Source: Fabric v3.1, `docs/source/commands/configtxlator.md`.
struct ConfigtxlatorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configtxlator",
        abstract:
            "Show messages of Fabric as JSON, make messages from JSON, and compute configuration updates.",
        discussion: """
            Example: weft configtxlator proto_decode --type common.Block --input emissions.block
            """,
        subcommands: [
            ProtoEncodeCommand.self, ProtoDecodeCommand.self, ComputeUpdateCommand.self,
            ConfigtxlatorVersionCommand.self,
        ]
    )
}

/// `configtxlator proto_encode`: JSON to a message.
struct ProtoEncodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proto_encode",
        abstract: "Turn a JSON document into a message."
    )

    @Option(help: "The message's type, such as common.Config.")
    var type: String

    @Option(help: "A file with the JSON document; else standard input.", completion: .file())
    var input: String?

    @Option(help: "The file for the message; else standard output.", completion: .file())
    var output: String?

    func run() throws {
        let document = try InputOutput.read(self.input)
        do {
            let bytes = try FabricJSON().bytes(of: JSONTree(document: document), type: self.type)
            try InputOutput.write(bytes, to: self.output)
        } catch let error as TranslationError {
            // The words of Fabric's program, which names both directions alike.
            throw Failure("Error decoding: error decoding input: \(error)")
        }
    }
}

/// `configtxlator proto_decode`: a message to JSON.
struct ProtoDecodeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "proto_decode",
        abstract: "Turn a message into a JSON document."
    )

    @Option(help: "The message's type, such as common.Config.")
    var type: String

    @Option(help: "A file with the message; else standard input.", completion: .file())
    var input: String?

    @Option(help: "The file for the JSON document; else standard output.", completion: .file())
    var output: String?

    func run() throws {
        let bytes = try InputOutput.read(self.input)
        do {
            try InputOutput.write(FabricJSON().json(of: bytes, type: self.type).document, to: self.output)
        } catch let error as TranslationError {
            throw Failure("Error decoding: error encoding output: \(error)")
        }
    }
}

/// `configtxlator compute_update`: the update that leads from one configuration to another.
struct ComputeUpdateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "compute_update",
        abstract: "Compute the update that leads from one configuration (common.Config) to another."
    )

    @Option(help: "A file with the configuration as it is.", completion: .file())
    var original: String?

    @Option(help: "A file with the configuration as it is to be.", completion: .file())
    var updated: String?

    @Option(name: .customLong("channel_id"), help: "The channel's name.")
    var channelID: String

    @Option(help: "The file for the update (common.ConfigUpdate); else standard output.", completion: .file())
    var output: String?

    func run() throws {
        let original = try Self.configuration(self.original, which: "original")
        let updated = try Self.configuration(self.updated, which: "updated")
        let update: Common_ConfigUpdate
        do {
            update = try Common_ConfigUpdate.computing(
                from: original,
                to: updated,
                channelID: ChannelID(self.channelID)
            )
        } catch is ConfigUpdateError {
            throw Failure(
                """
                Error computing update: error computing config update: \
                no differences detected between original and updated config
                """
            )
        }
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        try InputOutput.write(update.serializedBytes(options: options), to: self.output)
    }

    private static func configuration(_ path: String?, which: String) throws -> Common_ConfigGroup {
        guard let path else {
            throw Failure(
                "Error computing update: error reading \(which) config: name its file with --\(which)"
            )
        }
        let config: Common_Config
        do {
            config = try Common_Config(serializedBytes: InputOutput.read(path))
        } catch let error as BinaryDecodingError {
            throw Failure("Error computing update: error unmarshalling \(which) config: \(error)")
        }
        guard config.hasChannelGroup else {
            throw Failure(
                """
                Error computing update: error computing config update: \
                no channel group included for \(which) config
                """
            )
        }
        return config.channelGroup
    }
}

/// `configtxlator version`.
struct ConfigtxlatorVersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Show the version.")

    func run() { print(KingpinProgram.version(of: "configtxlator")) }
}

/// Files, or standard input and output where none is named.
enum InputOutput {
    static func read(_ path: String?) throws -> Data {
        guard let path else { return try FileHandle.standardInput.readToEnd() ?? Data() }
        do {
            return try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            let isThere = FileManager.default.fileExists(atPath: path)
            throw Failure(
                "open \(path): \(isThere ? "it can't be read; check its permissions" : "no such file or directory")"
            )
        }
    }

    static func write(_ bytes: Data, to path: String?) throws {
        guard let path else { return try FileHandle.standardOutput.write(contentsOf: bytes) }
        do {
            try bytes.write(to: URL(fileURLWithPath: path))
        } catch {
            throw Failure("open \(path): it can't be written; is the folder there, and may you write to it?")
        }
    }
}
