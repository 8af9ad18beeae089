internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import KeyValueStore
internal import Ledger
package import Logging
internal import RPC
internal import ServiceLifecycle

/// An ordering node: the composition of its channels, its service and its server.
///
/// Everything that it needs comes in through ``init(configuration:logger:)``, which opens the data folder and binds
/// the port, so that a wrong setting is known at once. ``run()`` serves until shutdown begins.
package struct OrdererNode: Service, CustomStringConvertible {
    private let channels: OrderingChannels
    private let threads: [ChannelThread]
    private let transport: CoreServerTransport
    private let service: AtomicBroadcastService
    private let logger: Logger

    /// What logs call the node.
    package var description: String { "OrdererNode" }

    /// The port that the node listens on.
    package var boundPort: Int { self.transport.boundPort }

    /// Opens the data folder and binds the port.
    ///
    /// - Throws: ``OrdererError``, `ConfigurationError` or `TransportError`, naming the folder, block or address.
    package init(configuration: OrdererNodeConfiguration, logger: Logger) throws {
        self.logger = logger
        self.channels = OrderingChannels()
        let settings = OrderingChannel.Settings(
            signer: configuration.identity,
            limits: configuration.limits,
            cutting: configuration.cutting,
            acknowledgesWhenDurable: configuration.acknowledgesWhenDurable,
            checksExpiration: configuration.checksExpiration,
            clock: Self.clock(),
            date: { Date() },
            nonce: { (try? secureRandomBytes(24)) ?? Data() },
            logger: logger
        )
        let folder = ChannelFolders(root: configuration.dataFolder)
        self.threads = try folder.channels(beginning: configuration.genesisBlocks).map { channel in
            ChannelThread(
                channel: OrderingChannel(configuration: channel.configuration, settings: settings),
                genesis: channel.genesis,
                openStores: { try folder.openStores(channel.configuration.channelID) }
            )
        }
        for thread in self.threads {
            try thread.check()
            self.channels.add(thread.channel)
        }
        let processors = ProcessInfo.processInfo.activeProcessorCount
        self.service = AtomicBroadcastService(
            channels: self.channels,
            limits: configuration.limits,
            requiresClientCertificates: configuration.tls?.clientCertificates == .required,
            checksExpiration: configuration.checksExpiration,
            checkers: WorkerThreads(name: "broadcast", count: configuration.checkingThreads ?? processors),
            readers: WorkerThreads(name: "deliver", count: max(2, processors / 2)),
            date: { Date() },
            logger: logger
        )
        self.transport = try CoreServerTransport(
            listeningOn: configuration.listenAddress,
            tls: configuration.tls,
            options: configuration.transport
        )
    }

    /// Orders until shutdown begins or the task is cancelled; then finishes the block at hand and closes the stores.
    package func run() async throws {
        let ends = self.threads.map { $0.start() }
        let channels = self.channels
        let health = HealthService { channels.all.allSatisfy { $0.health == .serving } }
        let server = GRPCServer(transport: self.transport, services: [self.service, health])
        self.logger.info("Beginning to serve requests", metadata: ["port": "\(self.boundPort)"])
        do {
            try await withTaskCancellationHandler {
                try await withGracefulShutdownHandler {
                    try await server.serve()
                } onGracefulShutdown: {
                    self.stop()
                    server.beginGracefulShutdown()
                }
            } onCancel: {
                self.stop()
            }
        } catch {
            await self.finish(ends)
            throw error
        }
        await self.finish(ends)
    }

    private func stop() {
        for channel in self.channels.all { channel.stop() }
    }

    private func finish(_ ends: [AsyncStream<Never>]) async {
        self.stop()
        for end in ends { for await _ in end {} }
        self.logger.info("stopped")
    }

    private static func clock() -> @Sendable () -> Duration {
        let start = ContinuousClock.now
        return { ContinuousClock.now - start }
    }
}

extension ChannelThread {
    /// Begins to work on a thread of its own.
    ///
    /// - Returns: A stream that ends when the thread does.
    func start() -> AsyncStream<Never> {
        let (stream, continuation) = AsyncStream<Never>.makeStream()
        let thread = Thread {
            self.run()
            continuation.finish()
        }
        thread.name = "chain-\(self.channel.id)"
        thread.start()
        return stream
    }
}
