import ArgumentParser
import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

/// `osnadmin`: joins an orderer to channels, lists and removes them, over its channel participation API.
///
/// Source: Fabric v3.1, command reference of osnadmin.
struct OsnadminCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "osnadmin",
        abstract: "Orderer Service Node (OSN) administration",
        subcommands: [ChannelActions.self]
    )

    struct ChannelActions: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "channel",
            abstract: "Channel actions",
            subcommands: [Join.self, List.self, Remove.self, Update.self, Fetch.self]
        )
    }

    /// The flags that have a letter; `b` is `--blockID` for `fetch`.
    static let shortNames: [Character: String] = [
        "o": "orderer-address", "c": "channelID", "b": "config-block", "e": "config-update-envelope",
        "f": "outputfile", "t": "tlsHandshakeTimeShift",
    ]

    /// The arguments with the flags that stand before the command moved behind it: Fabric's osnadmin takes them anywhere.
    static func withCommandFirst(_ arguments: [String]) -> [String] {
        let flagsWithValues = [
            "-o", "--orderer-address", "--ca-file", "--client-cert", "--client-key", "-t",
            "--tlsHandshakeTimeShift",
        ]
        var index = 0
        while index < arguments.count, arguments[index].hasPrefix("-") {
            index += flagsWithValues.contains(arguments[index]) ? 2 : 1
        }
        guard index < arguments.count else { return arguments }
        return Array(arguments[index...] + arguments[..<index])
    }
}

/// Arguments that can't be used, found before the orderer is asked.
struct OsnadminFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// The flags that all commands of `osnadmin` share.
struct OsnadminOptions: ParsableArguments {
    @Option(name: [.customShort("o"), .long], help: "Admin endpoint of the OSN")
    var ordererAddress: String

    @Option(help: "Path to file containing PEM-encoded TLS CA certificate(s) for the OSN")
    var caFile = ""

    @Option(
        help:
            "Path to file containing PEM-encoded X509 public key to use for mutual TLS communication with the OSN"
    )
    var clientCert = ""

    @Option(
        help:
            "Path to file containing PEM-encoded private key to use for mutual TLS communication with the OSN"
    )
    var clientKey = ""

    @Flag(help: "Remove the HTTP status message from the command output")
    var noStatus = false

    @OptionGroup var clock: OsnadminTimeShift

    /// Asks the orderer and prints its answer.
    ///
    /// - Parameters:
    ///   - request: What to ask.
    ///   - file: Where the body of a good answer goes in place of the terminal.
    /// - Throws: ``OsnadminFailure`` for TLS files that can't be used; `ExitCode` once a failure has been printed.
    func send(_ request: OsnadminRequest, to file: String? = nil) async throws {
        let tls: OsnadminTLS? =
            self.caFile.isEmpty
            ? nil
            : try OsnadminTLS(authorities: self.caFile, certificate: self.clientCert, key: self.clientKey)
        do {
            let answer = try await request.send(to: self.ordererAddress, tls: tls)
            print(try answer.output(withStatus: !self.noStatus, file: file))
        } catch {
            // As Fabric's: on standard output.
            print("Error: \(error)\n")
            throw ExitCode(1)
        }
    }
}

/// The flag that moves the clock for certificates, which Weft doesn't do.
struct OsnadminTimeShift: ParsableArguments {
    @Option(
        name: [.customShort("t"), .customLong("tlsHandshakeTimeShift")],
        help: "Accepted for Fabric's sake; certificates are checked against the present time"
    )
    var shift = "0"

    func validate() throws {
        guard let shift = GoDuration.parse(self.shift) else {
            throw ValidationError("time: invalid duration \"\(self.shift)\"")
        }
        guard shift != .zero else { return }
        standardError(
            "osnadmin: --tlsHandshakeTimeShift has no effect: certificates are checked against the present time"
        )
    }
}

extension OsnadminCommand.ChannelActions {
    struct Join: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract:
                "Join an Ordering Service Node (OSN) to a channel. If the channel does not yet exist, it will be created."
        )

        @OptionGroup var options: OsnadminOptions

        @Option(name: [.customShort("c"), .customLong("channelID")], help: "Channel ID")
        var channelID: String

        @Option(
            name: [.customShort("b"), .long],
            help: "Path to the file containing an up-to-date config block for the channel"
        )
        var configBlock: String

        func run() async throws {
            let bytes = try osnadminFile(self.configBlock, "config block")
            guard let block = try? Common_Block(serializedBytes: bytes), let first = block.data.data.first,
                let envelope = try? Common_Envelope(serializedBytes: first)
            else {
                throw OsnadminFailure(
                    "unmarshalling block: \(self.configBlock) holds no config block; expected the channel's genesis block, "
                        + "as configtxgen -outputBlock writes it, or a newer config block"
                )
            }
            try checkChannel(self.channelID, of: envelope, in: "config block", file: self.configBlock)
            try await self.options.send(.join(bytes))
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List channel information for an Ordering Service Node (OSN).",
            discussion:
                "If the channelID flag is set, more detailed information will be provided for that channel."
        )

        @OptionGroup var options: OsnadminOptions

        @Option(name: [.customShort("c"), .customLong("channelID")], help: "Channel ID")
        var channelID: String?

        func run() async throws { try await self.options.send(.list(self.channelID)) }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a channel from an Ordering Service Node (OSN)."
        )

        @OptionGroup var options: OsnadminOptions

        @Option(name: [.customShort("c"), .customLong("channelID")], help: "Channel ID")
        var channelID: String

        func run() async throws { try await self.options.send(.remove(self.channelID)) }
    }

    struct Update: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Update an Ordering Service Node (OSN) to a channel."
        )

        @OptionGroup var options: OsnadminOptions

        @Option(name: [.customShort("c"), .customLong("channelID")], help: "Channel ID")
        var channelID: String

        @Option(
            name: [.customShort("e"), .long],
            help: "Path to the file containing an up-to-date config update envelope for the channel"
        )
        var configUpdateEnvelope: String

        func run() async throws {
            let bytes = try osnadminFile(self.configUpdateEnvelope, "config update envelope")
            guard let envelope = try? Common_Envelope(serializedBytes: bytes) else {
                throw OsnadminFailure(
                    "unmarshalling envelope: \(self.configUpdateEnvelope) holds no config update envelope; expected a "
                        + "signed update of the channel, as weft channel sign and peer channel signconfigtx write it"
                )
            }
            try checkChannel(
                self.channelID,
                of: envelope,
                in: "config update envelope",
                file: self.configUpdateEnvelope
            )
            try await self.options.send(.update(bytes))
        }
    }

    struct Fetch: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Fetch a specified block, writing it to a file."
        )

        @OptionGroup var options: OsnadminOptions

        @Option(name: [.customShort("c"), .customLong("channelID")], help: "Channel ID")
        var channelID: String

        @Option(
            name: [.customShort("b"), .customLong("blockID")],
            help: "Block ID - <newest|oldest|config|(number)>"
        )
        var blockID: String

        @Option(name: [.customShort("f"), .customLong("outputfile")], help: "Path to a file.")
        var outputFile: String

        func run() async throws {
            guard ["newest", "oldest", "config"].contains(self.blockID) || Int(self.blockID) != nil else {
                throw OsnadminFailure("'\(self.blockID)' not equal <newest|oldest|config|(number)>")
            }
            try await self.options.send(
                .fetch(self.blockID, channel: self.channelID),
                to: self.outputFile
            )
        }
    }
}

private func osnadminFile(_ path: String, _ what: String) throws(OsnadminFailure) -> Data {
    do {
        return try readBytes(path, as: what)
    } catch {
        throw OsnadminFailure("reading \(what): \(error)")
    }
}

/// Checks that the administrator joins or changes the channel that they think they do.
private func checkChannel(
    _ channelID: String,
    of envelope: Common_Envelope,
    in what: String,
    file: String
) throws(OsnadminFailure) {
    let found: String
    do {
        found = try EnvelopeHeaders(envelope).channel.channelID
    } catch {
        throw OsnadminFailure("reading the channel of the \(what) in \(file): \(error)")
    }
    guard channelID == found else {
        throw OsnadminFailure(
            "specified --channelID \(channelID) does not match channel ID \(found) in \(what)"
        )
    }
}
