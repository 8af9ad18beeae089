import ArgumentParser
import CertificateAuthority
import Channel
import FabricProtos
import Foundation
import Logging
import Operations
import Orderer
import RPC
import ServiceLifecycle
import SwiftProtobuf
import UnixSignals

/// `weft orderer`: run an ordering node.
struct OrdererCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "orderer",
        abstract: "Run an ordering node.",
        subcommands: [Start.self]
    )

    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Run an ordering node until it gets SIGTERM or SIGINT."
        )

        @Option(help: ArgumentHelp("Configuration file (YAML).", valueName: "file"))
        var config = "orderer.yaml"

        @OptionGroup var output: OutputOptions

        /// Reads, builds, runs: the composition root.
        func run() async throws {
            let configuration = try OrdererConfiguration(file: self.config)
            let logging = try configuration.logging.logging(
                environment: ProcessInfo.processInfo.environment,
                level: self.output.logLevel
            )
            try await configuration.run(NodeOperations(logging: logging, files: configuration.operations))
        }
    }
}

extension OrdererConfiguration {
    /// Runs the ordering node until it gets SIGTERM or SIGINT.
    ///
    /// - Parameter operations: What the node logs to and counts with.
    /// - Throws: an error that names the file, the folder, the certificate or the address that can't be used.
    func run(_ operations: NodeOperations) async throws {
        let logger = operations.logging.logger("orderer.common.server")
        var settings = OrdererNodeConfiguration(
            listenAddress: self.listen,
            tls: try self.tls.map { try $0.server() },
            identity: try self.identity.load(logger).signer,
            dataFolder: self.data
        )
        settings.genesisBlocks = try self.channels.map(readGenesisBlock)
        settings.checksExpiration = self.checksExpiration
        settings.limits.deliverTimeWindow = self.timeWindow ?? settings.limits.deliverTimeWindow
        // An orderer ends streams that are merely open sooner than a peer does.
        let shutdown = settings.transport.gracefulShutdownTimeout
        settings.transport = self.transport
        settings.transport.gracefulShutdownTimeout = shutdown
        try self.cluster?.apply(to: &settings.cluster)
        settings.tickInterval = self.tickInterval
        settings.metrics = operations.metrics
        settings.health = operations.health
        let node = try OrdererNode(configuration: settings, logger: logger)
        let beside = try operations.services(data: self.data)
        let administration = try self.admin.map { try node.administrationServer($0.endpoint()) }
        let watch = CertificateWatch(
            files: self.certificates,
            identity: settings.identity,
            renewTLS: { try node.renewTLS($0.server, rootsPEM: $0.rootsPEM) },
            endpoints: [
                RenewableEndpoint(beside.server, self.operations?.tls),
                RenewableEndpoint(administration, self.admin?.tls),
                RenewableEndpoint(settings.cluster.identity, self.cluster?.tls),
                self.cluster?.listenerTLS.map { tls in
                    RenewableEndpoint(name: "listener for other orderers", tls: tls) {
                        try node.renewClusterTLS($0.identity)
                    }
                },
            ].compactMap(\.self),
            channels: { node.configurations },
            metrics: operations.metrics,
            logger: logger
        )
        var services: [any Service] = beside.all + [node, watch] as [any Service]
        if let administration { services.append(administration) }
        try await runNode(services, logger: logger)
    }
}

/// Runs the parts of a node and stops them in reverse order on SIGTERM or SIGINT.
func runNode(_ services: [any Service], logger: Logger) async throws {
    try await ServiceGroup(
        configuration: ServiceGroupConfiguration(
            services: ([HeapTrimming()] + services).map {
                .init(service: $0, failureTerminationBehavior: .gracefullyShutdownGroup)
            },
            gracefulShutdownSignals: [.sigterm, .sigint],
            logger: logger
        )
    ).run()
}

/// Reads the genesis block of a channel from a file.
func readGenesisBlock(_ path: String) throws -> Common_Block {
    let bytes = try readBytes(path, as: "the genesis block of a channel")
    do {
        let block = try Common_Block(serializedBytes: bytes)
        _ = try block.configEnvelope()
        return block
    } catch {
        throw Failure("\(path) does not hold a channel's genesis block: \(error)", code: .configuration)
    }
}

extension TLSFiles {
    /// TLS of a server.
    func server() throws -> ServerTLS {
        let (identity, roots) = try self.load()
        return ServerTLS(identity: identity, clientRootsPEM: roots, clientCertificates: self.clients)
    }
}
