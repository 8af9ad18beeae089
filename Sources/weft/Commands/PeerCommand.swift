import ArgumentParser
import CertificateAuthority
import Channel
import Foundation
import Logging
import Peer
import RPC

/// `weft peer`: run a peer.
struct PeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peer",
        abstract: "Run a peer.",
        subcommands: [Start.self]
    )

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run a peer until it gets SIGTERM or SIGINT."
        )

        @Option(help: ArgumentHelp("Configuration file (YAML).", valueName: "file"))
        var config = "peer.yaml"

        @OptionGroup var output: OutputOptions

        /// Reads, builds, runs: the composition root.
        func run() async throws {
            let logger = self.output.logger("weft.peer", level: .info)
            let configuration = try PeerConfiguration(file: self.config)
            let member = try configuration.identity.load(logger)
            let node = try PeerNode(
                configuration: PeerNodeConfiguration(
                    listenAddress: configuration.listen,
                    externalEndpoint: configuration.advertise,
                    tls: configuration.tls.map { try $0.server() },
                    clientTLSIdentity: configuration.tls.map { try $0.load().identity },
                    usesTLSToOthers: configuration.tls != nil,
                    identity: member.signer,
                    localMSP: member.config,
                    dataFolder: configuration.data,
                    genesisBlocks: try configuration.channels.map(readGenesisBlock),
                    ordererOverrides: configuration.orderers.sorted { $0.key < $1.key }.map {
                        OrdererOverride(from: $0.key, to: $0.value)
                    },
                    concurrency: configuration.limits
                ),
                logger: logger
            )
            try await runNode([node], logger: logger)
        }
    }
}

extension IdentityFiles {
    /// Reads and checks the MSP folder, and logs what the operator should know about it.
    func load(_ logger: Logger) throws -> LocalMember {
        let member = try LocalMember(MSPFolder(self.folder), mspID: MSPID(self.mspID), now: Date())
        for warning in member.warnings { logger.warning("identity", metadata: ["problem": "\(warning)"]) }
        return member
    }
}
