package import Channel
internal import Cryptography
internal import FabricProtos
package import Foundation
package import GRPCCore
internal import Ledger
package import Logging
package import Operations
internal import ServiceLifecycle
internal import SwiftProtobuf

/// Pulls a channel's blocks from its orderers and has them committed, for as long as the peer runs.
///
/// One orderer at a time. When it fails, has nothing, or sends a block that is refused, the next one is asked,
/// after a pause that grows as long as no block comes. The endpoints are taken from the configuration in
/// force each time; a configuration without the orderer in use, or with other TLS roots for it, ends the stream
/// at once. So orderers that join, leave or move are followed.
///
/// On a BFT channel the other orderers are heard as well: see ``ClusterDelivery``.
///
/// - Source: Fabric v3, package `internal/pkg/peer/blocksprovider`.
package struct BlockDelivery<Transport: ClientTransport>: Sendable {
    /// How to reach orderers, and how long to wait between attempts.
    package struct Options: Sendable {
        package var overrides: [OrdererOverride]
        /// The pause after the first failure; each further one doubles it.
        package var firstPause: Duration
        /// The longest pause.
        package var longestPause: Duration
        /// How long no block may come before the orderer's process is asked whether it is there.
        package var firstProcessCheck: Duration
        /// How long no block may come before another orderer is asked whether it has newer ones.
        package var firstStallCheck: Duration
        /// What is done on BFT channels.
        package var cluster: ClusterDeliveryOptions

        package init(
            overrides: [OrdererOverride] = [],
            firstPause: Duration = .milliseconds(100),
            longestPause: Duration = .seconds(10),
            firstProcessCheck: Duration = .milliseconds(500),
            firstStallCheck: Duration = .seconds(1),
            cluster: ClusterDeliveryOptions = ClusterDeliveryOptions()
        ) {
            self.overrides = overrides
            self.firstPause = firstPause
            self.longestPause = longestPause
            self.firstProcessCheck = firstProcessCheck
            self.firstStallCheck = firstStallCheck
            self.cluster = cluster
        }
    }

    let channel: PeerChannel
    private let pipeline: CommitPipeline
    let intake: BlockIntake
    private let signer: RenewableIdentity
    private let certificateHash: @Sendable () -> Data
    let options: Options
    let connect: @Sendable (OrdererEndpoint) throws -> Transport
    private let disk: BlockingExecutor
    let metrics: Metrics
    let logger: Logger

    /// - Parameters:
    ///   - channel: the channel whose blocks are pulled.
    ///   - pipeline: commits them.
    ///   - intake: what other peers give besides, and whether this peer takes blocks from orderers.
    ///   - signer: the peer, in whose name blocks are asked for.
    ///   - certificateHash: SHA-256 of the DER of the peer's TLS client certificate; empty without mutual TLS.
    ///   - options: how to reach orderers, and how long to wait.
    ///   - disk: a thread on which the ledger is opened again after a failure of the disk.
    ///   - metrics: where changes of the orderer are counted.
    ///   - logger: where failures are noted.
    ///   - connect: makes a transport to an orderer.
    package init(
        channel: PeerChannel,
        pipeline: CommitPipeline,
        intake: BlockIntake = BlockIntake(),
        signer: RenewableIdentity,
        certificateHash: @escaping @Sendable () -> Data,
        options: Options = Options(),
        disk: BlockingExecutor,
        metrics: Metrics = Metrics(),
        logger: Logger,
        connect: @escaping @Sendable (OrdererEndpoint) throws -> Transport
    ) {
        self.channel = channel
        self.pipeline = pipeline
        self.intake = intake
        self.signer = signer
        self.certificateHash = certificateHash
        self.options = options
        self.disk = disk
        self.metrics = metrics
        self.connect = connect
        var logger = logger
        logger[metadataKey: "channel"] = "\(channel.id)"
        self.logger = logger
    }

    /// Runs until the task is cancelled, shutdown begins, or the channel can't go on.
    ///
    /// A halted channel is no reason for the peer to stop: the others go on, and this one tells its state
    /// through ``PeerChannel/status``. One whose disk fails goes on by itself once the disk takes blocks again.
    package func run() async {
        await cancelWhenGracefulShutdown {
            do {
                try await self.pull()
            } catch is CancellationError {
                return
            } catch {
                self.channel.halt("\(error)")
                self.logger.critical("the channel has stopped", metadata: ["reason": "\(error)"])
            }
        }
    }

    /// Takes blocks; after a failure of the disk, opens the ledger again until that works.
    ///
    /// - Throws: `CancellationError`, or ``ChannelHalted`` for what no retry can mend.
    private func pull() async throws {
        while true {
            do {
                try await self.takeBlocks()
            } catch let halt as ChannelHalted where halt.isDiskFailure {
                try await self.waitForDisk(halt)
            }
        }
    }

    private func waitForDisk(_ failure: ChannelHalted) async throws {
        var reason = "\(failure.cause)"
        var attempts = 0
        while true {
            attempts += 1
            let pause = self.pause(after: attempts)
            self.channel.suspend(reason)
            self.logger.error(
                "the ledger can't be written; it will be opened again",
                metadata: ["reason": "\(reason)", "delay": "\(pause)"]
            )
            try await Task.sleep(for: pause)
            do {
                try await withTaskExecutorPreference(self.disk) { try self.channel.resume() }
                self.logger.info(
                    "the ledger is open again",
                    metadata: ["height": "\(self.channel.ledger.height)"]
                )
                return
            } catch {
                reason = "\(error)"
            }
        }
    }

    /// Takes blocks from orderers, as long as that is this peer's task, and from other peers.
    ///
    /// - Throws: `CancellationError`, or ``ChannelHalted``.
    private func takeBlocks() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.commitGiven() }
            group.addTask {
                while true {
                    try await self.intake.waitUntil(leads: true)
                    try await self.pullBlocksWhileLeading()
                }
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Commits what other peers give, whenever no orderer sends blocks.
    private func commitGiven() async throws {
        let ledger = self.channel.ledger
        while true {
            do {
                try await self.intake.commitGiven(height: { ledger.height }) {
                    try await self.pipeline.run($0)
                }
            } catch let refused as RefusedPeerBlock {
                self.logger.error("refused a block", metadata: ["reason": "\(refused)"])
            }
        }
    }

    private func pullBlocksWhileLeading() async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.pullBlocks() }
            group.addTask {
                try await self.intake.waitUntil(leads: false)
                self.logger.info("another peer of the organization takes blocks from the orderers now")
            }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Asks one orderer after the other.
    ///
    /// - Throws: `CancellationError`, or ``ChannelHalted``.
    private func pullBlocks() async throws {
        var failures = 0
        var stalls = 0
        var turn = Int.random(in: 0..<1_000)
        while true {
            try Task.checkCancellation()
            if self.options.cluster.isWanted(on: self.channel.configuration) {
                try await ClusterDelivery(self).run()
                continue
            }
            let height = self.channel.ledger.height
            let endpoints = self.channel.configuration.ordererEndpoints(overrides: self.options.overrides)
            do {
                guard !endpoints.isEmpty else { throw DeliveryError.noEndpoints(self.channel.id) }
                try await self.pull(
                    from: endpoints[turn % endpoints.count],
                    patience: endpoints.count > 1 ? Self.patience(stalls: stalls) : nil
                )
            } catch let halt as ChannelHalted {
                throw halt
            } catch let stalled as OrdererStalled {
                failures = 0
                stalls = self.channel.ledger.height > height ? 1 : stalls + 1
                self.logger.warning("changing the orderer", metadata: ["reason": "\(stalled)"])
            } catch let refused as RefusedPeerBlock {
                self.logger.error("refused a block", metadata: ["reason": "\(refused)"])
            } catch let change as OrdererReplaced {
                failures = 0
                self.logger.info("changing the orderer", metadata: ["reason": "\(change)"])
            } catch {
                try Task.checkCancellation()
                failures = self.channel.ledger.height > height ? 0 : failures + 1
                self.report(
                    error,
                    orderer: endpoints.isEmpty ? nil : endpoints[turn % endpoints.count],
                    failures
                )
            }
            turn += 1
            try await Task.sleep(for: self.pause(after: failures))
        }
    }

    /// Takes blocks from one orderer until it fails or the stream ends, which is a failure too, or until the
    /// channel's configuration no longer has it.
    ///
    /// - Parameters:
    ///   - endpoint: The orderer.
    ///   - patience: How long its process may say nothing when asked; `nil` doesn't ask.
    /// - Throws: Why the orderer is left, ``ChannelHalted`` or `CancellationError`.
    private func pull(from endpoint: OrdererEndpoint, patience: Duration?) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.stream(from: endpoint, patience: patience) }
            group.addTask {
                for await configuration in self.channel.configurations() {
                    guard !self.options.cluster.isWanted(on: configuration) else { return }
                    let endpoints = configuration.ordererEndpoints(overrides: self.options.overrides)
                    guard endpoints.contains(endpoint) else { throw OrdererReplaced(endpoint, configuration) }
                }
            }
            group.addTask { try await self.watchForStall(at: endpoint) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Takes blocks from one orderer until it fails or the stream ends, which is a failure too.
    ///
    /// - Parameters:
    ///   - endpoint: The orderer.
    ///   - patience: How long its process may say nothing when asked; `nil` doesn't ask.
    ///   - received: Told each block as it comes, before it is checked.
    /// - Throws: Why the orderer is left, ``ChannelHalted`` or `CancellationError`.
    func stream(
        from endpoint: OrdererEndpoint,
        patience: Duration?,
        received: @Sendable @escaping (BlockNumber) -> Void = { _ in }
    ) async throws {
        let seek = Orderer_SeekInfo(from: .block(self.channel.ledger.height), to: .block(.max))
        try await self.deliver(seek, from: endpoint, patience: patience) { messages in
            let ledger = self.channel.ledger
            let blocks = messages.map { message in
                let block = try DeliveryError.block(in: message, of: endpoint)
                received(block.header.number)
                self.intake.ordererIsReachable(true)
                return block
            }
            try await self.intake.commit(blocks, height: { ledger.height }) {
                try await self.pipeline.run($0)
            }
        }
    }

    /// Takes headers with signatures from one orderer, from block `start` on, until it fails or the stream ends.
    func headers(
        of endpoint: OrdererEndpoint,
        from start: BlockNumber,
        _ take: @Sendable @escaping (Common_Block) async throws -> Void
    ) async throws {
        let seek = Orderer_SeekInfo(from: .block(start), to: .block(.max), contentType: .headerWithSig)
        try await self.deliver(seek, from: endpoint, patience: nil) { messages in
            for try await message in messages {
                try await take(try DeliveryError.block(in: message, of: endpoint))
            }
        }
    }

    private func deliver(
        _ seek: Orderer_SeekInfo,
        from endpoint: OrdererEndpoint,
        patience: Duration?,
        _ take:
            @Sendable @escaping (RPCAsyncSequence<Orderer_DeliverResponse, any Error>) async throws -> Void
    ) async throws {
        let transport = try self.connect(endpoint)
        try await withGRPCClient(transport: transport) { client in
            let request = try await self.request(seek)
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try await Orderer_AtomicBroadcast.Client(wrapping: client).deliver(
                        request: StreamingClientRequest { try await $0.write(request) }
                    ) { response in
                        try await take(response.messages)
                    }
                    throw DeliveryError.ended(endpoint)
                }
                if let patience {
                    group.addTask { try await self.watchProcess(of: endpoint, client, patience) }
                }
                defer { group.cancelAll() }
                try await group.next()
            }
        }
    }

    /// Asks for blocks, in the name of this peer.
    func request(_ seek: Orderer_SeekInfo) async throws -> Common_Envelope {
        let signer = self.signer.current
        return try await withTaskExecutorPreference(signer.executor) {
            try Common_Envelope.signed(
                .deliverSeekInfo,
                channel: self.channel.id.description,
                data: seek.serializedData(),
                signer: signer,
                nonce: secureRandomBytes(24),
                timestamp: Date(),
                tlsCertificateHash: self.certificateHash()
            )
        }
    }

    private func pause(after failures: Int) -> Duration {
        guard failures > 0 else { return .zero }
        let doublings = min(failures - 1, 20)
        let pause = min(self.options.firstPause * (1 << doublings), self.options.longestPause)
        // Peers that lost the same orderer must not all come back at once.
        return pause * Double.random(in: 0.75...1.0)
    }

    /// Notes why no more blocks come from an orderer.
    func report(_ error: any Error, orderer: OrdererEndpoint?, _ failures: Int) {
        if failures >= 3, failures.isMultiple(of: 3) { self.intake.ordererIsReachable(false) }
        let isRefusal = error is RefusedBlock
        if isRefusal {
            self.channel.status = .refusing("\(error)")
        } else if failures > 3 {
            self.channel.status = .waiting("\(error)")
        }
        self.logger.log(
            level: isRefusal ? .error : .warning,
            isRefusal ? "refused a block" : "lost the orderer",
            metadata: ["orderer": "\(orderer?.address ?? "none")", "reason": "\(error)"]
        )
    }
}

/// The configuration in force no longer names the orderer that blocks come from, or not in the same words.
private struct OrdererReplaced: Error, CustomStringConvertible {
    let description: String

    init(_ endpoint: OrdererEndpoint, _ configuration: ChannelConfiguration) {
        self.description =
            "configuration \(configuration.sequence) no longer has orderer \(endpoint), or has other TLS roots for it"
    }
}

/// Why no blocks come from an orderer.
package struct DeliveryError: Error, Sendable, CustomStringConvertible {
    package var description: String

    static func noEndpoints(_ channel: ChannelID) -> Self {
        Self(
            description: "the configuration of channel \(channel) names no orderer endpoint; "
                + "add one to an orderer organization, or an override to the peer's configuration"
        )
    }

    static func noBlocks(_ channel: ChannelID) -> Self {
        Self(description: "the ledger of channel \(channel) has no blocks; join the channel again")
    }

    /// The block in a message of an orderer, or the error for which there is none.
    fileprivate static func block(
        in message: Orderer_DeliverResponse,
        of endpoint: OrdererEndpoint
    ) throws -> Common_Block {
        switch message.type {
        case .block(let block): return block
        case .status(let status): throw Self.refused(endpoint, status)
        case nil: throw Self.refused(endpoint, .unknown)
        }
    }

    static func refused(_ endpoint: OrdererEndpoint, _ status: Common_Status) -> Self {
        let reason =
            switch status {
            case .forbidden:
                "this peer may not read the channel there (is it a member, with a certificate that has not expired?)"
            case .notFound: "it doesn't have the channel, or not yet that block"
            case .badRequest: "it refuses the request (clocks, or the TLS certificate of this peer)"
            case .serviceUnavailable: "it has no leader or can't serve at present"
            default: "it gives no reason"
            }
        return Self(description: "orderer \(endpoint) answered \(status): \(reason)")
    }

    static func ended(_ endpoint: OrdererEndpoint) -> Self {
        Self(description: "orderer \(endpoint) ended the stream")
    }
}
