package import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import KeyValueStore
internal import Ledger
package import Logging
internal import Operations
package import RPC
internal import ServiceLifecycle

/// An ordering node: the composition of its channels, its service and its server.
///
/// Everything that it needs comes in through ``init(configuration:logger:)``, which opens the data folder and binds
/// the port, so that a wrong setting is known at once. ``run()`` serves until shutdown begins.
package struct OrdererNode: Service, CustomStringConvertible {
    /// The node's channels, for whoever administers it.
    package let registrar: ChannelRegistrar
    private let transport: CoreServerTransport
    private let service: AtomicBroadcastService
    private let metrics: Metrics
    private let clientRoots: ClientRoots?
    let logger: Logger

    /// What logs call the node.
    package var description: String { "OrdererNode" }

    /// The port that the node listens on.
    package var boundPort: Int { self.transport.boundPort }

    /// Opens the data folder and binds the port.
    ///
    /// - Throws: ``OrdererError``, `ConfigurationError` or `TransportError`, naming the folder, block or address.
    package init(configuration: OrdererNodeConfiguration, logger: Logger) throws {
        self.metrics = configuration.metrics
        self.logger = logger
        let serverTLS = try configuration.tls.map { try TLSSource($0) }
        let clientRoots = serverTLS.map { ClientRoots($0) }
        self.clientRoots = clientRoots
        let settings = OrderingChannel.Settings(
            signer: configuration.identity,
            limits: configuration.limits,
            cutting: configuration.cutting,
            acknowledgesWhenDurable: configuration.acknowledgesWhenDurable,
            checksExpiration: configuration.checksExpiration,
            clock: Self.clock(),
            date: { Date() },
            nonce: { (try? secureRandomBytes(24)) ?? Data() },
            logger: logger.named("orderer.consensus.etcdraft"),
            adopted: { configuration in
                // The MSPs were checked with their configuration: their certificates are PEM.
                try? clientRoots?.set(configuration.tlsRootsPEM, of: configuration.channelID.description)
            },
            removed: { channel in try? clientRoots?.set([], of: channel.description) },
            metrics: configuration.metrics
        )
        self.registrar = try ChannelRegistrar(
            folders: ChannelFolders(root: configuration.dataFolder),
            settings: settings,
            genesisBlocks: configuration.genesisBlocks,
            serverKey: configuration.tls.map { tls in
                try Certificate(pem: Data(tls.identity.certificateChainPEM.utf8)).publicKey
            }
        )
        let processors = ProcessInfo.processInfo.activeProcessorCount
        self.service = AtomicBroadcastService(
            channels: self.registrar.channels,
            limits: configuration.limits,
            requiresClientCertificates: configuration.tls?.clientCertificates == .required,
            checksExpiration: configuration.checksExpiration,
            checkers: WorkerThreads(name: "broadcast", count: configuration.checkingThreads ?? processors),
            readers: WorkerThreads(name: "deliver", count: max(2, processors / 2)),
            date: { Date() },
            logger: logger.named("orderer.common.broadcast"),
            metrics: configuration.metrics
        )
        self.transport = try CoreServerTransport(
            listeningOn: configuration.listenAddress,
            tlsSource: serverTLS,
            options: configuration.transport
        )
        self.observe(configuration.health)
    }

    /// Orders until shutdown begins or the task is cancelled; then finishes the block at hand and closes the stores.
    package func run() async throws {
        self.registrar.start()
        let registrar = self.registrar
        let health = HealthService { registrar.failures.isEmpty }
        let server = GRPCServer(
            transport: self.transport,
            services: [self.service, health],
            interceptors: [CallMetrics(self.metrics)]
        )
        self.logger.info("Beginning to serve requests", metadata: ["port": "\(self.boundPort)"])
        do {
            try await withTaskCancellationHandler {
                try await withGracefulShutdownHandler {
                    try await server.serve()
                } onGracefulShutdown: {
                    registrar.stop()
                    server.beginGracefulShutdown()
                }
            } onCancel: {
                registrar.stop()
            }
        } catch {
            await self.finish()
            throw error
        }
        await self.finish()
    }

    /// Has the state of the channels looked up whenever somebody asks.
    private func observe(_ health: HealthChecks) {
        let registrar = self.registrar
        self.metrics.collect { metrics in
            for name in registrar.names {
                guard let info = try? registrar.info(name) else { continue }
                metrics.gauge(.blockchainHeight, name).set(Int64(clamping: info.height))
                metrics.gauge(.raftCommittedBlockNumber, name).set(Int64(clamping: max(info.height, 1) - 1))
                metrics.gauge(.participationStatus, name).set(info.status.gauge)
                metrics.gauge(.participationConsensusRelation, name).set(info.consensusRelation.gauge)
            }
            for channel in registrar.channels.all {
                let name = channel.id.description
                let isLeader: Int64 = channel.health == .serving ? 1 : 0
                metrics.gauge(.raftIsLeader, name).set(isLeader)
                guard let consenters = try? RaftConsenters(channel.configuration) else { continue }
                metrics.gauge(.raftClusterSize, name).set(Int64(consenters.count))
            }
        }
        health.register("channels") {
            let failures = registrar.failures
            guard failures.isEmpty else { throw Unhealthy(failures.joined(separator: "; ")) }
        }
    }

    /// The configurations in force on the node's channels.
    package var configurations: [ChannelConfiguration] { self.registrar.channels.all.map(\.configuration) }

    /// Shows new connections a renewed certificate; those that are open keep theirs.
    ///
    /// - Parameters:
    ///   - identity: what the node shows clients.
    ///   - rootsPEM: what clients' certificates must lead to, besides the authorities of the channels.
    /// - Throws: `TransportError` if one of them can't be used.
    package func renewTLS(_ identity: TLSIdentity, rootsPEM: String) throws {
        try self.clientRoots?.renew(identity, ownRoots: rootsPEM)
    }

    private func finish() async {
        self.registrar.stop()
        await self.registrar.finish()
        self.logger.info("stopped")
    }

    private static func clock() -> @Sendable () -> Duration {
        let start = ContinuousClock.now
        return { ContinuousClock.now - start }
    }
}

extension ChannelInfo.Status {
    /// The value in metrics.
    ///
    /// - Source: Fabric v3.1, package `orderer/common/types`.
    fileprivate var gauge: Int64 {
        switch self {
        case .inactive: 0
        case .active: 1
        case .failed: 3
        }
    }
}

extension ChannelInfo.ConsensusRelation {
    fileprivate var gauge: Int64 {
        switch self {
        case .consenter: 1
        }
    }
}
