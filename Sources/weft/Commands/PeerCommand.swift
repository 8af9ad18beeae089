import ArgumentParser
import CertificateAuthority
import Channel
import Foundation
import Logging
import Operations
import Peer
import RPC
import ServiceLifecycle

/// `weft peer`: run a peer.
struct PeerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "peer",
        abstract: "Run a peer.",
        subcommands: [Start.self, Unjoin.self]
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
            let configuration = try PeerConfiguration(file: self.config)
            let logging = try configuration.logging.logging(
                environment: ProcessInfo.processInfo.environment,
                level: self.output.logLevel
            )
            try await configuration.run(NodeOperations(logging: logging, files: configuration.operations))
        }
    }
}

extension PeerConfiguration {
    /// Runs the peer until it gets SIGTERM or SIGINT.
    ///
    /// - Parameters:
    ///   - operations: What the peer logs to and counts with.
    ///   - whenReady: Called once the peer listens.
    /// - Throws: an error that names the file, the folder, the certificate or the address that can't be used.
    func run(_ operations: NodeOperations, whenReady: () -> Void = {}) async throws {
        let logger = operations.logging.logger("peer")
        let member = try self.identity.load(logger)
        var settings = PeerNodeConfiguration(
            listenAddress: self.listen,
            externalEndpoint: self.advertise,
            tls: try self.tls.map { try $0.server() },
            clientTLSIdentity: try self.tls.map { try $0.client() },
            usesTLSToOthers: self.tls != nil,
            identity: member.signer,
            localMSP: member.config,
            dataFolder: self.data,
            genesisBlocks: try self.channels.map(readGenesisBlock),
            ordererOverrides: try self.orderers.sorted { $0.key < $1.key }.map { from, to in
                OrdererOverride(
                    from: from,
                    to: to,
                    tlsRootsPEM: try self.ordererRoots[from].map {
                        try readText($0, as: "an orderer's TLS roots")
                    }
                )
            },
            concurrency: self.limits
        )
        settings.transport = self.transport
        settings.gossip = self.gossip
        settings.discovery = self.discovery
        settings.clusterDelivery = self.delivery
        settings.contracts = self.contracts
        settings.launching = self.launching
        settings.launching.environment = ProcessInfo.processInfo.environment
        settings.metrics = operations.metrics
        settings.health = operations.health
        let node = try PeerNode(configuration: settings, logger: logger)
        let beside = try operations.services(data: self.data, routes: node.operationsRoutes)
        let watch = CertificateWatch(
            files: self.certificates,
            identity: settings.identity,
            renewTLS: { try node.renewTLS(server: $0.server, client: $0.client, rootsPEM: $0.rootsPEM) },
            endpoints: [RenewableEndpoint(beside.server, self.operations?.tls)].compactMap(\.self),
            channels: { node.configurations },
            metrics: operations.metrics,
            logger: logger
        )
        whenReady()
        try await runNode(beside.all + [node, watch] as [any Service], logger: logger)
    }
}

extension IdentityFiles {
    /// Reads and checks the MSP folder, and logs what the operator should know about it.
    func load(_ logger: Logger) throws -> CertificateAuthority.LocalMember {
        let member = try CertificateAuthority.LocalMember(
            MSPFolder(self.folder),
            mspID: MSPID(self.mspID),
            keys: self.provider.open(),
            now: Date()
        )
        for warning in member.warnings { logger.warning("identity", metadata: ["problem": "\(warning)"]) }
        return member
    }
}
