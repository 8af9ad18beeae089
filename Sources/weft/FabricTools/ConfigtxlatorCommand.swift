import ArgumentParser
import Channel
import FabricProtos
import Foundation
import Logging
import Operations
import SwiftProtobuf
import Translation

/// `configtxlator`: messages as JSON and back, and the update between two configurations.
///
/// - Source: Fabric v3.1, `docs/source/commands/configtxlator.md`.
struct ConfigtxlatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "configtxlator",
        abstract:
            "Show messages of Fabric as JSON, make messages from JSON, and compute configuration updates.",
        discussion: """
            Example: weft configtxlator proto_decode --type common.Block --input emissions.block
            """,
        subcommands: [
            ConfigtxlatorStartCommand.self, ProtoEncodeCommand.self, ProtoDecodeCommand.self,
            ComputeUpdateCommand.self, ConfigtxlatorVersionCommand.self,
        ]
    )
}

/// `configtxlator start`: the same over HTTP.
struct ConfigtxlatorStartCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "start",
        abstract: "Start the configtxlator REST server."
    )

    @Option(help: "The hostname or IP on which the REST server will listen.")
    var hostname = "0.0.0.0"

    @Option(help: "The port on which the REST server will listen.")
    var port = 7059

    @Option(
        name: .customLong("CORS"),
        help: "An origin whose pages may use the server, or '*' (may be repeated)."
    )
    var origins: [String] = []

    func run() async throws {
        let logging = try LoggingSettings().logging(environment: ProcessInfo.processInfo.environment)
        let logger = logging.logger("configtxlator")
        var quiet = logger
        quiet.logLevel = .error
        let address = "\(self.hostname):\(self.port)"
        do {
            let server = try HTTPServer(
                listeningOn: address,
                tls: nil,
                routes: ConfigtxlatorServer(access: CrossOriginAccess(self.origins)).routes,
                name: "configtxlator",
                logger: quiet
            )
            let announcement = Task { [hostname, origins] in
                let port = try await server.boundPort()
                let access = origins.isEmpty ? "" : " with CORS [\(origins.joined(separator: " "))]"
                // Scripts wait for this line.
                logger.info("Serving HTTP requests on \(hostname):\(port)\(access)", function: "startServer")
            }
            defer { announcement.cancel() }
            try await runNode([server], logger: quiet)
        } catch let error as HTTPServerError {
            throw Failure("Could not bind to address '\(address)': \(error)")
        }
    }
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
        let update: Data
        do {
            update = try ConfigtxlatorUpdate.between(original, updated, channelID: self.channelID)
        } catch {
            throw Failure("Error computing update: error computing config update: \(error)")
        }
        try InputOutput.write(update, to: self.output)
    }

    private static func configuration(_ path: String?, which: String) throws -> Common_Config {
        guard let path else {
            throw Failure(
                "Error computing update: error reading \(which) config: name its file with --\(which)"
            )
        }
        do {
            return try Common_Config(serializedBytes: InputOutput.read(path))
        } catch let error as BinaryDecodingError {
            throw Failure("Error computing update: error unmarshalling \(which) config: \(error)")
        }
    }
}

/// The update between two configurations, for the command and for the server.
enum ConfigtxlatorUpdate {
    /// Computes it.
    ///
    /// - Parameters:
    ///   - original: The configuration as it is.
    ///   - updated: The configuration as it is to be.
    ///   - channelID: The channel's name; empty leaves it open.
    /// - Returns: A serialized `common.ConfigUpdate`; equal configurations give equal bytes.
    /// - Throws: ``Failure`` in the words of Fabric's tool, `InvalidName`.
    static func between(
        _ original: Common_Config,
        _ updated: Common_Config,
        channelID: String
    ) throws -> Data {
        for (config, which) in [(original, "original"), (updated, "updated")] where !config.hasChannelGroup {
            throw Failure("no channel group included for \(which) config")
        }
        let update: Common_ConfigUpdate
        do {
            update = try .computing(
                from: original.channelGroup,
                to: updated.channelGroup,
                channelID: channelID.isEmpty ? nil : ChannelID(channelID)
            )
        } catch is ConfigUpdateError {
            throw Failure("no differences detected between original and updated config")
        }
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        return try update.serializedBytes(options: options)
    }
}

/// `configtxlator version`.
struct ConfigtxlatorVersionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(commandName: "version", abstract: "Show the version.")

    func run() { print(ToolVersion.text(of: "configtxlator")) }
}

/// Files, or standard input and output where none is named.
enum InputOutput {
    static func read(_ path: String?) throws -> Data {
        guard let path else { return try FileHandle.standardInput.readToEnd() ?? Data() }
        do {
            return try content(ofFile: path)
        } catch {
            let isThere = FileManager.default.fileExists(atPath: path)
            throw Failure(
                "open \(path): \(isThere ? "it can't be read; check its permissions" : "no such file or directory")"
            )
        }
    }

    static func write(_ bytes: Data, to path: String?) throws {
        guard let path else { return try FileHandle.standardOutput.write(contentsOf: bytes) }
        try writeNew(bytes, to: path)
    }
}
