package import Channel
package import FabricProtos
internal import Foundation
internal import GRPCCore
internal import GRPCProtobuf
package import RPC
internal import ServiceLifecycle
internal import Synchronization

/// The gateway's connections to other nodes, each made when it is first used.
///
/// A peer's connection that nobody has used for a while is closed when another one is made, since peers come and go, and
/// say themselves where they are. Orderers, which the channels' configurations name, keep theirs.
///
/// - Source: Fabric v3, package `internal/pkg/gateway`, registry of endpoints.
package final class ConnectionPool: Service, Sendable {
    /// A connection: its client for streams, and its transport, which makes unary calls itself.
    private struct Client {
        var streams: GRPCClient<CoreClientTransport>
        var transport: CoreClientTransport
        var lastUse: ContinuousClock.Instant
    }

    /// A node, and the certificate authorities that its TLS certificate must come from.
    private struct Target: Hashable {
        var address: String
        var roots: String
    }

    /// What a channel's configuration says of its nodes.
    private struct Nodes {
        var configuration: ChannelConfiguration
        /// The certificate authorities of each organization's peers for TLS.
        var roots: [MSPID: String]
        var orderers: [OrdererEndpoint]
    }

    private struct State {
        var nodes: [ChannelID: Nodes] = [:]
        var clients: [Target: Client] = [:]
        var streams: [Target: OrdererStream<CoreClientTransport>] = [:]
        var turns = OrdererTurns()
    }

    /// Gossip tells within a moment that a peer is back, so that it is asked; the connection must not be far behind.
    private static var options: TransportOptions {
        var options = TransportOptions()
        options.maxReconnectDelay = .seconds(1)
        return options
    }

    private let identity: RenewableTLSIdentity?
    private let usesTLS: Bool
    private let ordererOverrides: [OrdererOverride]
    private let pollers: PollerGroup
    private let idleLimit: Duration
    private let state = Mutex(State())
    private let work: AsyncStream<@Sendable () async -> Void>
    private let addWork: AsyncStream<@Sendable () async -> Void>.Continuation

    /// Makes an empty pool.
    ///
    /// - Parameters:
    ///   - identity: This node's TLS client certificate, for nodes that require one.
    ///   - usesTLS: Whether the network speaks TLS at all.
    ///   - ordererOverrides: Other ways to orderers than the channels' configurations say.
    ///   - pollers: The threads that serve the connections.
    ///   - idleLimit: How long a peer's connection is kept unused at least.
    package init(
        identity: RenewableTLSIdentity?,
        usesTLS: Bool,
        ordererOverrides: [OrdererOverride],
        pollers: PollerGroup,
        idleLimit: Duration = .seconds(600)
    ) {
        self.idleLimit = idleLimit
        self.identity = identity
        self.usesTLS = usesTLS
        self.ordererOverrides = ordererOverrides
        self.pollers = pollers
        (self.work, self.addWork) = AsyncStream.makeStream()
    }

    /// Serves connections until the task is cancelled or shutdown begins.
    package func run() async {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await job in self.work {
                    group.addTask { await job() }
                }
                group.cancelAll()
            }
        }
    }

    /// The nodes of a channel, put together once for each configuration.
    private func nodes(on configuration: ChannelConfiguration) -> Nodes {
        let known = self.state.withLock { $0.nodes[configuration.channelID] }
        if let known, known.configuration === configuration { return known }
        let nodes = Nodes(
            configuration: configuration,
            roots: Dictionary(
                (configuration.application?.organizations ?? []).map {
                    ($0.mspID, configuration.tlsRootsPEM(of: $0.mspID))
                },
                uniquingKeysWith: { first, _ in first }
            ),
            orderers: configuration.ordererEndpoints(overrides: self.ordererOverrides)
        )
        self.state.withLock { $0.nodes[configuration.channelID] = nodes }
        return nodes
    }

    /// How many connections are kept.
    var count: Int { self.state.withLock { $0.clients.count } }

    private func client(for target: Target) throws -> Client {
        let now = ContinuousClock.now
        let (client, idle) = try self.state.withLock { state -> (Client, [Client]) in
            if let client = state.clients[target] {
                state.clients[target]?.lastUse = now
                return (client, [])
            }
            let tls = self.usesTLS ? try self.identity.source(rootsPEM: target.roots) : nil
            let transport = try CoreClientTransport(
                target: target.address,
                tlsSource: tls,
                options: Self.options,
                pollers: self.pollers
            )
            let idle = state.clients.filter {
                state.streams[$0.key] == nil && $0.value.lastUse.duration(to: now) > self.idleLimit
            }
            for target in idle.keys { state.clients[target] = nil }
            let client = Client(
                streams: GRPCClient(transport: transport),
                transport: transport,
                lastUse: now
            )
            state.clients[target] = client
            self.addWork.yield { try? await client.streams.runConnections() }
            return (client, Array(idle.values))
        }
        // Calls that still run end as if nothing were.
        for client in idle { client.streams.beginGracefulShutdown() }
        return client
    }

    private func stream(
        to target: Target,
        hasAlternatives: Bool
    ) throws -> OrdererStream<CoreClientTransport> {
        let client = try self.client(for: target)
        return self.state.withLock { state in
            if let stream = state.streams[target] { return stream }
            let stream = OrdererStream(
                address: target.address,
                client: client.streams,
                hasAlternatives: hasAlternatives
            )
            state.streams[target] = stream
            let executor = self.pollers.nextExecutor()
            self.addWork.yield { await withTaskExecutorPreference(executor) { await stream.run() } }
            return stream
        }
    }
}

extension ConnectionPool: RemotePeers {
    package func peer(
        of organization: MSPID,
        at address: String,
        on configuration: ChannelConfiguration
    ) -> EndorsingPeer {
        let roots = self.nodes(on: configuration).roots[organization] ?? ""
        return EndorsingPeer(
            mspID: organization,
            address: address,
            isLocal: false,
            processor: RemoteEndorser(address: address) { [weak self] in
                guard let self else {
                    throw RPCError(code: .unavailable, message: "this peer is shutting down")
                }
                return try self.client(for: Target(address: address, roots: roots)).transport
            }
        )
    }
}

extension ConnectionPool: OrderingService {
    package func submit(
        _ envelope: Common_Envelope,
        to configuration: ChannelConfiguration
    ) async throws {
        let orderers = self.nodes(on: configuration).orderers
        guard !orderers.isEmpty else {
            throw GatewayFailure(
                .unavailable,
                "no orderer is known on channel \(configuration.channelID): "
                    + "each ordering organization's endpoints must be set in the channel's configuration"
            )
        }
        // While the orderers elect a leader all of them say that they are unavailable: that takes a moment.
        let patience = ContinuousClock.now + Self.electionPatience
        let isBFT = configuration.orderer?.consensusType == "BFT"
        let consenters = configuration.orderer?.consenters.count ?? 0
        while true {
            do {
                return isBFT
                    ? try await self.submit(envelope, toAll: orderers, consenters: consenters)
                    : try await self.submit(envelope, toOneOf: orderers)
            } catch let failure as NoOrderer {
                guard failure.isWorthWaiting, ContinuousClock.now < patience else { throw failure.failure }
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    /// How long the gateway tries again while orderers answer that they are unavailable.
    private static var electionPatience: Duration { .seconds(5) }

    /// No orderer has taken an envelope.
    private struct NoOrderer: Error {
        var failure: GatewayFailure
        /// Some orderer answered, but starts, has no leader at present or can't serve; or one of several is not there.
        var isWorthWaiting: Bool
    }

    private func submit(_ envelope: Common_Envelope, toOneOf orderers: [OrdererEndpoint]) async throws {
        var details: [GatewayFailure.Detail] = []
        var isWorthWaiting = false
        for orderer in self.state.withLock({ $0.turns.order(orderers, at: .now) }) {
            let target = Target(address: orderer.address, roots: orderer.tlsRootsPEM)
            let detail: (String) -> GatewayFailure.Detail = {
                GatewayFailure.Detail(
                    address: orderer.address,
                    mspID: orderer.organization?.description ?? "",
                    message: $0
                )
            }
            do {
                let response = try await self.stream(to: target, hasAlternatives: orderers.count > 1)
                    .submit(envelope)
                self.state.withLock { $0.turns.answered(orderer.address) }
                if response.status == .success { return }
                let message =
                    "received unsuccessful response from orderer: status=\(response.status), "
                    + "info=\(response.info)"
                guard !(400..<500).contains(response.status.rawValue) else {
                    throw GatewayFailure(
                        .aborted,
                        "failed to submit transaction to the orderer, see attached details for more info",
                        details: [detail(message)]
                    )
                }
                isWorthWaiting = isWorthWaiting || response.status == .serviceUnavailable
                details.append(detail(message))
            } catch let error as RPCError {
                isWorthWaiting = isWorthWaiting || orderers.count > 1
                self.state.withLock { $0.turns.failed(orderer.address, at: .now) }
                details.append(detail("\(error.message)"))
            }
        }
        throw NoOrderer(
            failure: GatewayFailure(
                .unavailable,
                "no orderers could successfully process transaction",
                details: details
            ),
            isWorthWaiting: isWorthWaiting
        )
    }
}

extension ConnectionPool {
    /// Hands an envelope to all orderers of a BFT channel, so that none of them can keep it from being ordered.
    ///
    /// Returns as soon as enough of them have it; the others get it all the same.
    private func submit(
        _ envelope: Common_Envelope,
        toAll orderers: [OrdererEndpoint],
        consenters: Int
    ) async throws {
        let vote = await withTaskGroup(of: (OrdererEndpoint, BroadcastVote.Answer).self) { group in
            for orderer in orderers {
                group.addTask { (orderer, await self.answer(of: orderer, to: envelope)) }
            }
            defer { group.cancelAll() }
            var vote = BroadcastVote(orderers: orderers.count, consenters: consenters)
            for await (orderer, answer) in group {
                let outcome = vote.count(answer) { message in
                    GatewayFailure.Detail(
                        address: orderer.address,
                        mspID: orderer.organization?.description ?? "",
                        message: message
                    )
                }
                switch outcome {
                case .taken: return BroadcastVote?.none
                case .failed: return vote
                case .undecided: continue
                }
            }
            return vote
        }
        guard let vote else { return }
        try Task.checkCancellation()
        throw NoOrderer(failure: vote.failure, isWorthWaiting: vote.isWorthWaiting)
    }

    private func answer(
        of orderer: OrdererEndpoint,
        to envelope: Common_Envelope
    ) async -> BroadcastVote.Answer {
        let target = Target(address: orderer.address, roots: orderer.tlsRootsPEM)
        do {
            return .response(try await self.stream(to: target, hasAlternatives: true).submit(envelope))
        } catch let error as RPCError {
            return .unreachable(error.message)
        } catch {
            return .unreachable("\(error)")
        }
    }
}

/// Another peer's endorser, over the network.
private struct RemoteEndorser: ProposalProcessor {
    let address: String
    let transport: @Sendable () throws -> CoreClientTransport

    func process(_ proposal: UnpackedProposal) async throws -> Protos_ProposalResponse {
        try await self.transport().unary(
            proposal.signedProposal,
            Protos_Endorser.Method.ProcessProposal.descriptor,
            serializer: ProtobufSerializer<Protos_SignedProposal>(),
            deserializer: ProtobufDeserializer<Protos_ProposalResponse>()
        )
    }
}
