import ArgumentParser
import FabricProtos
import Foundation
import SwiftProtobuf

/// `discover`: asks a peer's discovery service which peers a channel has, how it is configured, and who endorses what.
///
/// - Source: Fabric v3.1, command reference of the service discovery command line; its output was compared.
struct DiscoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discover",
        abstract: "Command line client for fabric discovery service",
        subcommands: [Peers.self, Config.self, Endorsers.self, SaveConfig.self]
    )

    /// Flags that may be given several times.
    static let cumulative: Set<String> = ["chaincode", "collection", "noPrivateReads"]

    /// Flags with a value that may stand before the command.
    private static let flagsWithValues: Set<String> = [
        "--configFile", "--peerTLSCA", "--tlsCert", "--tlsKey", "--userKey", "--userCert", "--MSP",
        "--server",
        "--channel", "--chaincode", "--collection", "--noPrivateReads",
    ]

    /// The arguments with the flags that stand before the command moved behind it: Fabric's discover takes them anywhere.
    static func withCommandFirst(_ arguments: [String]) -> [String] {
        var index = 0
        while index < arguments.count, arguments[index].hasPrefix("-") {
            index += Self.flagsWithValues.contains(arguments[index]) ? 2 : 1
        }
        guard index < arguments.count else { return arguments }
        return [arguments[index]] + arguments[..<index] + arguments[(index + 1)...]
    }
}

extension DiscoverCommand {
    /// Where the peer is, and what channel the question is about.
    struct Place: ParsableArguments {
        @Option(help: "Sets the endpoint of the server to connect")
        var server = ""

        @Option(help: "Sets the channel the query is intended to")
        var channel = ""

        func checkServer() throws(Failure) {
            guard !self.server.isEmpty else { throw Failure("no server specified") }
        }

        func checkChannel() throws(Failure) {
            guard !self.channel.isEmpty else { throw Failure("no channel specified") }
        }
    }

    /// Runs a command; what goes wrong is said as Fabric's tool says it, without a name before it.
    private static func saying(_ body: () async throws -> String) async throws {
        do {
            print(try await body())
        } catch {
            standardError("\(error)")
            throw ExitCode(1)
        }
    }

    struct Peers: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Discover peers")

        @OptionGroup var place: Place
        @OptionGroup var options: DiscoverOptions

        func run() async throws {
            try await DiscoverCommand.saying {
                try self.place.checkServer()
                let isLocal = self.place.channel.isEmpty
                let query = Discovery_Query.with {
                    $0.channel = self.place.channel
                    if isLocal { $0.localPeers = .init() } else { $0.peerQuery = .init() }
                }
                let result = try await self.options.profile().ask(self.place.server, query)
                if case .error(let error) = result.result { throw Failure(error.content) }
                return try result.members.goJSON(withChannelState: !isLocal).tabbed()
            }
        }
    }

    struct Config: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Discover channel config")

        @OptionGroup var place: Place
        @OptionGroup var options: DiscoverOptions

        func run() async throws {
            try await DiscoverCommand.saying {
                try self.place.checkServer()
                try self.place.checkChannel()
                let query = Discovery_Query.with {
                    $0.channel = self.place.channel
                    $0.configQuery = .init()
                }
                let result = try await self.options.profile().ask(self.place.server, query)
                if case .error(let error) = result.result { throw Failure(error.content) }
                return result.configResult.goJSON.tabbed()
            }
        }
    }

    struct Endorsers: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Discover chaincode endorsers")

        @OptionGroup var place: Place
        @OptionGroup var options: DiscoverOptions

        @Option(help: "Specifies the chaincode name(s)")
        var chaincode: [String] = []

        @Option(
            help: ArgumentHelp(
                "Specifies the collection name(s) as a mapping from chaincode to a comma separated list of collections",
                valueName: "CC:C1,C2"
            )
        )
        var collection: [String] = []

        @Option(
            name: .customLong("noPrivateReads"),
            help: "Specifies chaincodes that are not expected to be have private data read"
        )
        var noPrivateReads: [String] = []

        func validate() throws {
            for text in self.collection where !text.contains(where: { $0 == ":" || $0 == "=" }) {
                throw ValidationError("expected KEY=VALUE got '\(text)', try --help")
            }
        }

        func run() async throws {
            try await DiscoverCommand.saying {
                try self.place.checkChannel()
                try self.place.checkServer()
                let calls = try self.calls()
                guard !calls.isEmpty else {
                    throw Failure("failed creating request: invocation chain should not be empty")
                }
                let query = Discovery_Query.with {
                    $0.channel = self.place.channel
                    $0.ccQuery.interests = [.with { $0.chaincodes = calls }]
                }
                let result = try await self.options.profile().ask(self.place.server, query)
                if case .error(let error) = result.result {
                    throw Failure("server returned: \(error.content)")
                }
                return try JSONValue.array(result.ccQueryRes.content.map { try $0.goJSON() }).tabbed()
            }
        }

        private func calls() throws(Failure) -> [Protos_ChaincodeCall] {
            for name in self.noPrivateReads where !self.chaincode.contains(name) {
                throw Failure(
                    "chaincode \(name) is specified as not containing private data reads but should be explicitly "
                        + "defined via a chaincode flag"
                )
            }
            var collections: [String: [String]] = [:]
            for text in self.collection {
                let name = String(text.prefix { $0 != ":" && $0 != "=" })
                guard self.chaincode.contains(name) else {
                    throw Failure(
                        "a collection specified chaincode \(name) but it wasn't specified with a chaincode flag"
                    )
                }
                collections[name] = text.dropFirst(name.count + 1)
                    .split(separator: ",", omittingEmptySubsequences: false).map(String.init)
            }
            return self.chaincode.map { name in
                .with {
                    $0.name = name
                    $0.collectionNames = collections[name] ?? []
                    $0.noPrivateReads = self.noPrivateReads.contains(name)
                }
            }
        }
    }

    struct SaveConfig: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "saveConfig",
            abstract: "Save the config passed by flags into the file specified by --configFile"
        )

        @OptionGroup var options: DiscoverOptions

        func run() async throws {
            guard !self.options.configFile.isEmpty else {
                standardError("--configFile must be used to specify the configuration file")
                return
            }
            do {
                try DiscoverProfile(self.options).save(to: self.options.configFile)
            } catch {
                standardError("Failed persisting configuration: \(error)")
                throw ExitCode(1)
            }
        }
    }
}

/// The flags that all commands of `discover` share.
struct DiscoverOptions: ParsableArguments {
    @Option(
        name: .customLong("configFile"),
        help: "Specifies the config file to load the configuration from"
    )
    var configFile = ""

    @Option(
        name: .customLong("peerTLSCA"),
        help: "Sets the TLS CA certificate file path that verifies the TLS peer's certificate"
    )
    var peerTLSCA = ""

    @Option(
        name: .customLong("tlsCert"),
        help:
            "(Optional) Sets the client TLS certificate file path that is used when the peer enforces client authentication"
    )
    var tlsCert = ""

    @Option(
        name: .customLong("tlsKey"),
        help:
            "(Optional) Sets the client TLS key file path that is used when the peer enforces client authentication"
    )
    var tlsKey = ""

    @Option(
        name: .customLong("userKey"),
        help: "Sets the user's key file path that is used to sign messages sent to the peer"
    )
    var userKey = ""

    @Option(
        name: .customLong("userCert"),
        help:
            "Sets the user's certificate file path that is used to authenticate the messages sent to the peer"
    )
    var userCert = ""

    @Option(
        name: .customLong("MSP"),
        help: "Sets the MSP ID of the user, which represents the CA(s) that issued its user certificate"
    )
    var mspID = ""

    func validate() throws {
        for file in [self.peerTLSCA, self.tlsCert, self.tlsKey, self.userKey, self.userCert]
        where !file.isEmpty && !FileManager.default.fileExists(atPath: file) {
            throw ValidationError("open \(file): no such file or directory, try --help")
        }
    }

    /// What the configuration file says, or else the flags.
    ///
    /// - Throws: ``Failure``.
    func profile() throws -> DiscoverProfile {
        guard !self.configFile.isEmpty else { return DiscoverProfile(self) }
        do {
            return try DiscoverProfile(file: self.configFile)
        } catch {
            throw Failure("Failed loading config \(error)")
        }
    }
}
