internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Gossip
internal import Ledger
package import Logging
package import Operations
internal import RPC
internal import ServiceLifecycle
internal import Synchronization

/// A peer: keeps the ledgers of its channels, endorses, and answers clients.
///
/// This is where a peer is put together; the parts get everything through their initializers.
package struct PeerNode: Service {
    /// What the services of a peer are made from.
    struct Parts: Sendable {
        let configuration: PeerNodeConfiguration
        let channels: ChannelRegistry
        let access: AccessGate
        let localMSP: MSP
        /// Threads for reads that may touch the disk.
        let readers: BlockingExecutor
        let pollers: PollerGroup
        /// What the peer shows those who connect; `nil` where it serves plaintext.
        let serverTLS: TLSSource<ServerTLS>?
        /// Who may connect to the peer; `nil` where it serves plaintext.
        let clientRoots: ClientRoots?
        /// What the endorser has signed and the commit need not verify.
        let ownEndorsements: OwnEndorsements
        /// Where blocks of orderers and of other peers come together.
        let intakes: BlockIntakes
        /// The way of private data to and from other peers.
        let privateData: PrivateDataLink
        /// Whether calls are taken.
        let isServing: Flag
        let logger: Logger
    }

    let parts: Parts
    private let server: CoreServerTransport

    /// The port that the peer listens on; what the system chose, if the address said 0.
    package var boundPort: Int { self.server.boundPort }

    /// What the peer's operations service tells besides what every node's does.
    package var operationsRoutes: [HTTPRoute] {
        [
            PrivateDataRoute(
                channels: self.parts.channels,
                identity: self.parts.configuration.identity,
                link: self.parts.privateData,
                readers: self.parts.readers
            ).route
        ]
    }

    /// The channels that the peer has joined.
    package var channels: ChannelRegistry { self.parts.channels }

    /// Opens the ledgers, joins the channels that are still to be joined, and binds the port.
    ///
    /// A channel that can't be opened is reported and left out; the others work without it.
    ///
    /// - Throws: an error that names the folder, the channel, the certificate or the address that can't be used.
    package init(configuration: PeerNodeConfiguration, logger: Logger) throws {
        let folder = try LedgerFolder(configuration.dataFolder)
        let channels = ChannelRegistry(openLedger: folder.open)
        for id in try folder.channels() { try channels.openStored(id) }
        for failure in channels.unopened {
            logger.error("the peer starts without a channel", metadata: ["reason": "\(failure)"])
        }
        for block in configuration.genesisBlocks {
            let id = try ChannelConfiguration(configBlock: block).channelID
            if channels[id] == nil, channels.failure(of: id) == nil { try channels.join(block) }
        }
        let localMSP = try MSP(configuration.localMSP, version: .v3_0)
        let serverTLS = try configuration.tls.map { tls in
            var tls = tls
            // Other peers say by their certificate who they are, also where clients need none.
            tls.asksForAnyCertificate = true
            return try TLSSource(tls)
        }
        let clientRoots = serverTLS.map { ClientRoots($0) }
        for channel in channels.list { clientRoots?.trust(channel.configuration) }
        let pollers = PollerGroup()
        let isServing = Flag()
        self.parts = Parts(
            configuration: configuration,
            channels: channels,
            access: AccessGate(
                localMSP: localMSP,
                configuration: { channels[$0]?.configuration },
                record: AccessLog(logger: logger.named("aclmgmt")).record
            ),
            localMSP: localMSP,
            readers: BlockingExecutor(name: "weft-read", threads: configuration.readerThreads),
            pollers: pollers,
            serverTLS: serverTLS,
            clientRoots: clientRoots,
            ownEndorsements: OwnEndorsements(),
            intakes: BlockIntakes(
                leads: configuration.gossip.options.orgLeader
                    && !configuration.gossip.options.useLeaderElection
            ),
            privateData: PrivateDataLink(),
            isServing: isServing,
            logger: logger
        )
        self.server = try CoreServerTransport(
            listeningOn: configuration.listenAddress,
            tlsSource: serverTLS,
            options: configuration.transport,
            pollers: pollers
        )
    }

    /// Runs until the task is cancelled or shutdown begins.
    ///
    /// On shutdown the server stops first: calls that wait for a block are told, running ones may finish. Then
    /// block delivery ends, between two blocks. The ledgers close when everything that uses them is gone.
    package func run() async throws {
        let services = try PeerServices(self.parts, port: self.boundPort)
        let calls = CallMetrics(self.parts.configuration.metrics)
        self.server.answerDirectly(services.direct.map { calls.counting($0) })
        self.observe()
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: services.background.map { .init(service: $0) }
                    + [
                        .init(service: ChannelDeliveries(self.parts)),
                        .init(
                            service: UnopenedChannels(
                                channels: self.channels,
                                disk: self.parts.readers,
                                logger: self.parts.logger.named("ledgermgmt")
                            )
                        ),
                        .init(
                            service: PeerServer(
                                server: GRPCServer(
                                    transport: self.server,
                                    services: services.exposed,
                                    interceptors: [calls]
                                ),
                                gossip: services.gossip,
                                parts: self.parts
                            ),
                            failureTerminationBehavior: .gracefullyShutdownGroup
                        ),
                    ],
                logger: self.parts.logger
            )
        )
        self.parts.logger.info(
            "peer is ready",
            metadata: [
                "address": "\(self.parts.configuration.listenAddress)",
                "port": "\(self.boundPort)",
                "channels": "\(self.channels.list.map(\.id.description).joined(separator: ", "))",
            ]
        )
        try await group.run()
    }

    /// Has the heights and the state of the channels looked up whenever somebody asks.
    private func observe() {
        let channels = self.parts.channels
        self.parts.configuration.metrics.countConnections(of: self.server)
        self.parts.configuration.metrics.collect { metrics in
            for channel in channels.list {
                metrics.gauge(.blockchainHeight, channel.id.description).set(
                    Int64(clamping: channel.ledger.height)
                )
            }
        }
        self.parts.configuration.health.register("channels") {
            let failures =
                channels.unopened.map(\.description)
                + channels.list.filter { !$0.status.isHealthy }.map { "channel \($0.id) is \($0.status)" }
            guard failures.isEmpty else { throw Unhealthy(failures.joined(separator: "; ")) }
        }
    }
}

/// Serves calls until shutdown begins.
private struct PeerServer: Service {
    let server: GRPCServer<CoreServerTransport>
    let gossip: GossipNode
    let parts: PeerNode.Parts

    func run() async throws {
        self.parts.isServing.set(true)
        try await withGracefulShutdownHandler {
            try await self.server.serve()
        } onGracefulShutdown: {
            self.parts.isServing.set(false)
            self.gossip.beginShutdown()
            for channel in self.parts.channels.list { channel.committed.close("the peer is shutting down") }
            self.server.beginGracefulShutdown()
        }
    }
}

/// A yes or no that several threads share.
final class Flag: Sendable {
    private let value = Atomic(false)

    func set(_ value: Bool) { self.value.store(value, ordering: .releasing) }

    var isSet: Bool { self.value.load(ordering: .acquiring) }
}

/// Writes access decisions to the log: refused ones so that an operator sees them, granted ones for debugging.
struct AccessLog: Sendable {
    let logger: Logger

    func record(_ record: AccessRecord) {
        guard let refusal = record.refusal else {
            self.logger.debug("granted access", metadata: self.metadata(record))
            return
        }
        self.logger.notice(
            "refused access",
            metadata: self.metadata(record).merging(["reason": "\(refusal)"]) { $1 }
        )
    }

    private func metadata(_ record: AccessRecord) -> Logger.Metadata {
        [
            "resource": "\(record.request.resource)",
            "channel": "\(record.request.channel?.description ?? "")",
            "subject": "\(record.request.subject)",
        ]
    }
}
