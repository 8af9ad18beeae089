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
    private let spread: SpreadEnvelopes
    private let metrics: Metrics
    private let clientRoots: ClientRoots?
    private let cluster: ClusterConnections
    private let ownKey: OwnServerKey
    private let clusterIdentity: RenewableTLSIdentity?
    /// What other orderers have to themselves.
    private let clusterListener: (transport: CoreServerTransport, tls: TLSSource<ServerTLS>)?
    let logger: Logger

    /// What logs call the node.
    package var description: String { "OrdererNode" }

    /// The port that the node listens on.
    package var boundPort: Int { self.transport.boundPort }

    /// The port for other orderers, if they have one to themselves.
    package var clusterPort: Int? { self.clusterListener?.transport.boundPort }

    /// Opens the data folder and binds the port.
    ///
    /// - Throws: ``OrdererError``, `ConfigurationError` or `TransportError`, naming the folder, block or address.
    package init(configuration: OrdererNodeConfiguration, logger: Logger) throws {
        self.metrics = configuration.metrics
        self.logger = logger
        // Other consenters are known by their certificates' keys, also where clients need no certificates.
        let serverTLS = try configuration.tls.map { tls in
            var tls = tls
            tls.asksForAnyCertificate = true
            return try TLSSource(tls)
        }
        let clientRoots = serverTLS.map { ClientRoots($0) }
        self.clientRoots = clientRoots
        // One group for everything: of several threads that wait for the network core lets one read for all of them.
        let pollers = PollerGroup()
        let cluster = ClusterConnections(settings: configuration.cluster, pollers: pollers)
        self.cluster = cluster
        self.clusterIdentity =
            configuration.cluster.followsServerIdentity ? configuration.cluster.identity : nil
        let ownKey = try OwnServerKey(configuration)
        self.ownKey = ownKey
        let settings = Self.settings(configuration, cluster, ownKey, clientRoots, logger)
        self.registrar = try ChannelRegistrar(
            folders: ChannelFolders(root: configuration.dataFolder),
            settings: settings,
            genesisBlocks: configuration.genesisBlocks
        )
        let processors = ProcessInfo.processInfo.activeProcessorCount
        let checkers = WorkerThreads(name: "broadcast", count: configuration.checkingThreads ?? processors)
        self.spread = SpreadEnvelopes(checkers: checkers, logger: logger.named("orderer.common.cluster"))
        self.service = AtomicBroadcastService(
            channels: self.registrar.channels,
            limits: configuration.limits,
            requiresClientCertificates: configuration.tls?.clientCertificates == .required,
            checksExpiration: configuration.checksExpiration,
            checkers: checkers,
            readers: WorkerThreads(name: "deliver", count: max(2, processors / 2)),
            date: { Date() },
            logger: logger.named("orderer.common.broadcast"),
            metrics: configuration.metrics
        )
        self.transport = try CoreServerTransport(
            listeningOn: configuration.listenAddress,
            tlsSource: serverTLS,
            options: configuration.transport,
            pollers: pollers
        )
        self.clusterListener = try configuration.cluster.listener.map { listener in
            try Self.listen(listener, options: configuration.transport, pollers: pollers)
        }
        self.observe(configuration.health)
    }

    /// What the node's channels have in common.
    private static func settings(
        _ configuration: OrdererNodeConfiguration,
        _ cluster: ClusterConnections,
        _ ownKey: OwnServerKey,
        _ clientRoots: ClientRoots?,
        _ logger: Logger
    ) -> OrderingChannel.Settings {
        OrderingChannel.Settings(
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
            metrics: configuration.metrics,
            network: cluster,
            bftNetwork: { BFTLinks($0) },
            serverKey: { ownKey.current },
            certificateHash: { cluster.certificateHash },
            sendBufferSize: configuration.cluster.sendBufferSize,
            tickInterval: configuration.tickInterval
        )
    }

    private static func listen(
        _ listener: ClusterListener,
        options: TransportOptions,
        pollers: PollerGroup
    ) throws -> (CoreServerTransport, TLSSource<ServerTLS>) {
        var tls = ServerTLS(identity: listener.identity, clientRootsPEM: "", clientCertificates: .none)
        tls.asksForAnyCertificate = true
        let source = try TLSSource(tls)
        let transport = try CoreServerTransport(
            listeningOn: listener.address,
            tlsSource: source,
            options: options,
            pollers: pollers
        )
        return (transport, source)
    }

    /// Orders until shutdown begins or the task is cancelled; then hands over what it leads, finishes the block at hand and
    /// closes the stores.
    package func run() async throws {
        self.registrar.start()
        let registrar = self.registrar
        let health = HealthService { registrar.failures.isEmpty }
        let clusterService = ClusterService(
            channels: registrar.channels,
            logger: self.logger.named("orderer.common.cluster"),
            metrics: self.metrics
        )
        let bftService = BFTService(
            channels: registrar.channels,
            spread: self.spread,
            logger: self.logger.named("orderer.common.cluster")
        )
        let forCluster: [any RegistrableRPCService] = [clusterService, bftService]
        var servers = [
            self.server(
                self.transport,
                [self.service, health] + (self.clusterListener == nil ? forCluster : [])
            )
        ]
        if let clusterListener {
            servers.append(self.server(clusterListener.transport, [health] + forCluster))
            self.logger.info(
                "Starting cluster listener",
                metadata: ["port": "\(clusterListener.transport.boundPort)"]
            )
        }
        self.transport.answerDirectly([CallMetrics(self.metrics).counting(self.service.directBroadcast)])
        self.logger.info("Beginning to serve requests", metadata: ["port": "\(self.boundPort)"])
        do {
            try await withTaskCancellationHandler {
                try await self.serve(servers)
            } onCancel: {
                registrar.stop()
            }
        } catch {
            await self.finish()
            throw error
        }
        await self.finish()
    }

    /// How long a node that stops gives the others to take over what it leads.
    private static let handOverTime = Duration.milliseconds(1500)

    private func server(
        _ transport: CoreServerTransport,
        _ services: [any RegistrableRPCService]
    ) -> GRPCServer<CoreServerTransport> {
        GRPCServer(transport: transport, services: services, interceptors: [CallMetrics(self.metrics)])
    }

    /// Serves others, and the connections to them, until the servers have ended.
    private func serve(_ servers: [GRPCServer<CoreServerTransport>]) async throws {
        enum Part { case server, other }
        try await withThrowingTaskGroup(of: Part.self) { group in
            group.addTask {
                await self.cluster.run()
                return .other
            }
            group.addTask {
                // Ends with an error when the task is cancelled, which ends the rest as well.
                try? await gracefulShutdown()
                guard !Task.isCancelled else { return .other }
                await self.registrar.leave(within: Self.handOverTime)
                self.registrar.stop()
                for server in servers { server.beginGracefulShutdown() }
                return .other
            }
            for server in servers {
                group.addTask {
                    try await server.serve()
                    return .server
                }
            }
            defer { group.cancelAll() }
            var open = servers.count
            while open > 0, let part = try await group.next() { open -= part == .server ? 1 : 0 }
        }
    }

    /// Has the state of the channels looked up whenever somebody asks.
    private func observe(_ health: HealthChecks) {
        let registrar = self.registrar
        let cluster = self.cluster
        self.metrics.countConnections(of: self.transport)
        self.metrics.collect { metrics in
            metrics.gauge(.clusterEgressConnections).set(Int64(cluster.count))
            for name in registrar.names {
                guard let info = try? registrar.info(name) else { continue }
                metrics.gauge(.blockchainHeight, name).set(Int64(clamping: info.height))
                metrics.gauge(.participationStatus, name).set(info.status.gauge)
                metrics.gauge(.participationConsensusRelation, name).set(info.consensusRelation.gauge)
            }
            for channel in registrar.channels.all {
                let name = channel.id.description
                let standing = channel.standing
                let newest = Int64(clamping: max(channel.feed.height, 1) - 1)
                switch try? ChannelConsenters(channel.configuration) {
                case .raft(let consenters)?:
                    metrics.gauge(.raftCommittedBlockNumber, name).set(newest)
                    metrics.gauge(.raftIsLeader, name).set(Int64(standing.isLeader ? 1 : 0))
                    metrics.gauge(.raftActiveNodes, name).set(Int64(standing.active.count))
                    metrics.gauge(.raftClusterSize, name).set(Int64(consenters.count))
                case .bft(let consenters)?:
                    metrics.gauge(.bftCommittedBlockNumber, name).set(newest)
                    metrics.gauge(.bftIsLeader, name).set(Int64(standing.isLeader ? 1 : 0))
                    metrics.gauge(.bftLeaderID, name).set(Int64(clamping: standing.leader ?? 0))
                    metrics.gauge(.bftClusterSize, name).set(Int64(consenters.count))
                case nil: continue
                }
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
        try self.clusterIdentity?.replace(with: identity)
        if self.clusterListener == nil { try self.replaceKey(with: identity) }
    }

    /// Shows other orderers a renewed certificate on new connections to the listener that they have to themselves.
    ///
    /// - Throws: `TransportError` if it can't be used.
    package func renewClusterTLS(_ identity: TLSIdentity) throws {
        guard let clusterListener else { return }
        try clusterListener.tls.update { $0.identity = identity }
        try self.replaceKey(with: identity)
    }

    /// Other orderers know this node by its key: tells of channels that have another one for it.
    private func replaceKey(with identity: TLSIdentity) throws {
        let known = self.ownKey.current
        try self.ownKey.replace(with: identity)
        guard let known, let key = self.ownKey.current, key != known else { return }
        for channel in self.registrar.channels.all {
            guard let consenters = try? ChannelConsenters(channel.configuration), consenters.hasServer(known),
                !consenters.hasServer(key)
            else { continue }
            self.logger.warning(
                "the channel's configuration has another TLS key for this consenter, so that the others refuse it",
                metadata: [
                    "channel": "\(channel.id)",
                    "remedy": "update the configuration with the new certificate, or put the old files back",
                ]
            )
        }
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
        case .onboarding: 2
        case .failed: 3
        }
    }
}

extension ChannelInfo.ConsensusRelation {
    fileprivate var gauge: Int64 {
        switch self {
        case .consenter: 1
        case .follower: 2
        }
    }
}
