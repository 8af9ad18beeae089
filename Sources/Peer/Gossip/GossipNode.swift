internal import Channel
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Gossip
internal import Ledger
internal import Logging
internal import Operations
internal import RPC
internal import ServiceLifecycle
internal import SwiftProtobuf
internal import Synchronization

/// A peer's gossip, put together: the driver, its streams, and the news of the peer's channels.
final class GossipNode: Service, Sendable {
    /// How often the engine is given time.
    static let tickInterval: Duration = .milliseconds(100)
    /// How often it is looked which contracts the peer can run.
    static let contractsInterval: Duration = .seconds(1)

    let driver: GossipDriver
    let service: GossipService
    private let streams: GossipStreams
    private let channels: ChannelRegistry
    private let identity: RenewableIdentity
    private let makeLocal: @Sendable (SigningIdentity) throws -> LocalPeer
    private let chaincodes: @Sendable (PeerChannel) throws -> [ChannelMember.Chaincode]
    private let readers: BlockingExecutor
    private let tracker: MembershipTracker
    private let logger: Logger
    private let view: Latest<GossipView>
    private let work: AsyncStream<@Sendable () async -> Void>
    private let addWork: AsyncStream<@Sendable () async -> Void>.Continuation

    /// - Parameters:
    ///   - parts: the peer.
    ///   - port: the port that it listens on.
    ///   - chaincodes: what the peer can run on a channel; reads the ledger.
    ///   - blocks: what is done about blocks.
    ///   - privateData: what is done about private data.
    /// - Throws: an error if the peer's own identity can't be used.
    init(
        _ parts: PeerNode.Parts,
        port: Int,
        chaincodes: @escaping @Sendable (PeerChannel) throws -> [ChannelMember.Chaincode],
        blocks: any GossipBlocks,
        privateData: (any GossipPrivateData)?
    ) throws {
        let configuration = parts.configuration
        let settings = configuration.gossip
        let makeLocal = Self.localPeers(
            GossipEndpoints(settings, listenAddress: configuration.listenAddress, port: port)
        )
        let logger = parts.logger.named("gossip")
        let metrics = GossipMetrics(configuration.metrics)
        let engine = try Self.engine(parts, local: makeLocal(configuration.identity.current))
        let view = Latest(GossipView(engine))
        let (work, addWork) = AsyncStream.makeStream(of: (@Sendable () async -> Void).self)
        let dialler = Latest<GossipStreams?>(nil)
        let driver = GossipDriver(
            engine: engine,
            settings: settings,
            surroundings: GossipDriver.Surroundings(
                dial: { endpoint in
                    addWork.yield { await dialler.value?.dial(endpoint) }
                },
                blocks: blocks,
                privateData: privateData,
                publish: { found in
                    view.set(found)
                    metrics.observe(found)
                }
            ),
            metrics: metrics,
            logger: logger
        )
        self.streams = GossipStreams(
            driver: driver,
            certificates: Self.certificates(parts),
            settings: settings,
            transport: configuration.transport,
            pollers: parts.pollers,
            metrics: metrics,
            refusals: RefusalLog(logger: parts.logger.named("gossip.comm"))
        )
        dialler.set(self.streams)
        self.driver = driver
        self.service = GossipService(streams: self.streams)
        self.channels = parts.channels
        self.identity = configuration.identity
        self.makeLocal = makeLocal
        self.chaincodes = chaincodes
        self.readers = parts.readers
        self.tracker = MembershipTracker(interval: settings.membershipTrackerInterval, logger: logger)
        self.logger = logger
        self.view = view
        self.work = work
        self.addWork = addWork
    }

    /// Who this peer is, with whatever certificate it has.
    private static func localPeers(
        _ endpoints: GossipEndpoints
    ) -> @Sendable (SigningIdentity) throws -> LocalPeer {
        { signer in
            LocalPeer(
                pkiID: try PKIID(identity: signer.serialized),
                mspID: signer.mspID,
                identity: signer.serialized,
                externalEndpoint: endpoints.external,
                internalEndpoint: endpoints.own,
                sign: { try signer.sign($0) }
            )
        }
    }

    private static func engine(_ parts: PeerNode.Parts, local: LocalPeer) throws -> GossipEngine {
        GossipEngine(
            local: local,
            identities: Identities(
                ownOrganization: local.mspID,
                local: try MembershipDirectory([parts.localMSP])
            ),
            options: parts.configuration.gossip.options,
            random: SystemRandomNumberGenerator(),
            now: .zero,
            wallClock: UInt64(max(0, Date().timeIntervalSince1970 * 1_000_000_000))
        )
    }

    private static func certificates(_ parts: PeerNode.Parts) -> GossipStreams.Certificates {
        let configuration = parts.configuration
        let localRoots = (parts.localMSP.tlsRootCertificates + parts.localMSP.tlsIntermediateCertificates)
            .map { String(decoding: $0, as: UTF8.self) }
        let serverTLS = parts.serverTLS
        let channels = parts.channels
        return GossipStreams.Certificates(
            server: { serverTLS?.current.identity },
            client: { configuration.clientTLSIdentity?.current },
            rootsPEM: {
                let roots = localRoots + channels.list.flatMap(\.configuration.tlsRootsPEM)
                let own = serverTLS?.current.clientRootsPEM ?? ""
                return (Set(roots).sorted() + [own]).joined(separator: "\n")
            },
            usesTLSToOthers: configuration.usesTLSToOthers
        )
    }

    /// Whom gossip knows.
    var current: GossipView { self.view.value }

    /// Runs until the task is cancelled or shutdown begins.
    func run() async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { await self.keepTime() }
                group.addTask { await self.followContracts() }
                group.addTask { await self.tracker.run { self.current } }
                for await job in self.work { group.addTask { await job() } }
                group.cancelAll()
            }
        }
        await self.driver.close()
        // A service that ends earlier than it is told to would end the peer.
        try? await gracefulShutdown()
    }

    /// Ends all streams, so that the server can end: others are told at once.
    func beginShutdown() { self.addWork.finish() }

    // MARK: - News

    private func keepTime() async {
        var signer = self.identity.current
        var known: [ChannelID: (configuration: ChannelConfiguration, height: BlockNumber)] = [:]
        while !Task.isCancelled {
            let current = self.identity.current
            if current.serialized != signer.serialized, let local = try? self.makeLocal(current) {
                signer = current
                await self.driver.take(.renewed(local))
            }
            let channels = self.channels.list
            // A channel that is joined again begins anew.
            known = known.filter { id, _ in channels.contains { $0.id == id } }
            for channel in channels {
                // Blocks that are announced have their configuration in force.
                let height = channel.committed.height
                let header = channel.ledger.lastHeader
                let configuration = channel.configuration
                let before = known[channel.id]
                if before?.configuration !== configuration {
                    await self.driver.take(.configured(configuration))
                }
                // Before the first tick, which tells of this peer: others would take one without contracts for one that
                // can't endorse.
                if before == nil { await self.tellContracts(of: channel) }
                known[channel.id] = (configuration, before?.height ?? 0)
                guard let header, header.number + 1 == height, before?.height != height else { continue }
                known[channel.id]?.height = height
                await self.driver.take(.blocks(channel.id, .committed(header)))
            }
            await self.driver.tick()
            try? await Task.sleep(for: Self.tickInterval)
        }
    }

    private func followContracts() async {
        while !Task.isCancelled {
            try? await Task.sleep(for: Self.contractsInterval)
            for channel in self.channels.list where self.current.channels[channel.id] != nil {
                await self.tellContracts(of: channel)
            }
        }
    }

    private func tellContracts(of channel: PeerChannel) async {
        let found = try? await withTaskExecutorPreference(self.readers) { try await self.read(channel) }
        guard let found else { return }
        let contracts = found.map { chaincode in
            Gossip_Chaincode.with {
                $0.name = chaincode.name
                $0.version = chaincode.sequence
            }
        }
        await self.driver.take(.contracts(channel.id, contracts))
    }

    /// On the readers' threads.
    @concurrent
    private func read(_ channel: PeerChannel) async throws -> [ChannelMember.Chaincode] {
        try self.chaincodes(channel)
    }
}

/// Where peers are told to reach this one.
struct GossipEndpoints: Sendable {
    /// For peers of the own organization.
    let own: String
    /// For the others; empty to stay unseen.
    let external: String

    /// Port 0, which stands for any that is free, gives way to the one that was taken.
    init(_ settings: GossipSettings, listenAddress: String, port: Int) {
        func bound(_ address: String) -> String {
            address.hasSuffix(":0") ? "\(address.dropLast(1))\(port)" : address
        }
        self.own = bound(settings.endpoint.isEmpty ? listenAddress : settings.endpoint)
        self.external = bound(settings.externalEndpoint)
    }
}

/// The newest of some values.
final class Latest<Value: Sendable>: Sendable {
    private let state: Mutex<Value>

    init(_ value: Value) { self.state = Mutex(value) }

    var value: Value { self.state.withLock { $0 } }

    func set(_ value: Value) { self.state.withLock { $0 = value } }
}
