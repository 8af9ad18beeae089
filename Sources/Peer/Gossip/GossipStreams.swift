internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Gossip
internal import Operations
internal import RPC
internal import Synchronization

/// The streams between peers: those that others open, and those that this peer opens to others.
///
/// Each begins with one message of either side that says who it is, bound to the TLS certificates of the connection.
///
/// - Source: Fabric v3.1, package `gossip/comm`.
struct GossipStreams: Sendable {
    /// What the peer shows others, and whom it trusts; asked for anew for each connection.
    struct Certificates: Sendable {
        /// What the peer shows when it is connected to; `nil` without TLS.
        var server: @Sendable () -> TLSIdentity?
        /// What it shows when it connects; `nil` without TLS.
        var client: @Sendable () -> TLSIdentity?
        /// What the certificates of other peers must lead to.
        var rootsPEM: @Sendable () -> String
        var usesTLSToOthers: Bool
    }

    /// Streams that may be open without their other side having said who it is; more are refused.
    static let strangerLimit = 200

    let driver: GossipDriver
    let certificates: Certificates
    let settings: GossipSettings
    let transport: TransportOptions
    let pollers: PollerGroup
    let metrics: GossipMetrics
    let refusals: RefusalLog

    // MARK: - Connecting

    /// Connects to a peer, and serves the stream until it ends.
    func dial(_ endpoint: String) async {
        let link = GossipLink(
            endpoint: endpoint,
            remoteAddress: endpoint,
            capacity: self.settings.sendBufferSize
        )
        do {
            try await self.connect(link, endpoint)
            // Where nobody was who can be used, that is no news any more.
            await self.driver.unreachable(endpoint, reason: "the stream ended")
        } catch {
            let reason = (error as? RPCError)?.message ?? "\(error)"
            await self.driver.unreachable(endpoint, reason: reason)
        }
    }

    private func connect(_ link: GossipLink, _ endpoint: String) async throws {
        let shown = ShownCertificate()
        let own = self.certificates.client()
        var options = self.transport
        options.connectTimeout = self.settings.dialTimeout
        // With a call for each attempt there is nothing to go on with after a failure.
        options.initialReconnectDelay = self.settings.dialTimeout
        let transport = try CoreClientTransport(
            target: endpoint,
            tlsSource: self.certificates.usesTLSToOthers
                ? TLSSource(
                    ClientTLS(
                        rootsPEM: self.certificates.rootsPEM(),
                        identity: own,
                        acceptsServer: { pem in
                            shown.set(pem)
                            return true
                        }
                    )
                ) : nil,
            options: options,
            pollers: self.pollers
        )
        try await withGRPCClient(transport: transport) { client in
            let stub = Gossip_Gossip.Client(wrapping: client)
            var ping = CallOptions.defaults
            ping.timeout = self.settings.dialTimeout + self.settings.connectionTimeout
            _ = try await stub.ping(Gossip_Empty(), options: ping)
            let introduction = try await self.driver.introduction(
                tlsHash: self.certificates.usesTLSToOthers ? own.map(Self.hash) ?? Data() : Data()
            )
            let tlsHash = self.certificates.usesTLSToOthers ? shown.hash : nil
            try await self.withTimeLimit(link) {
                try await stub.gossipStream(
                    request: StreamingClientRequest { writer in
                        try await self.write(introduction, link, to: writer)
                    }
                ) { response in
                    try await self.serve(response.messages, link, tlsHash: tlsHash)
                }
            }
        }
    }

    // MARK: - Being connected to

    /// Serves a stream that another peer has opened.
    func accept(
        _ request: StreamingServerRequest<Gossip_Envelope>,
        _ context: ServerContext
    ) throws -> StreamingServerResponse<Gossip_Envelope> {
        let link = GossipLink(
            endpoint: nil,
            remoteAddress: context.remotePeer,
            capacity: self.settings.sendBufferSize
        )
        let own = self.certificates.server()
        var tlsHash: Data?
        if own != nil {
            guard let certificate = context.transportSpecific as? PeerCertificate else {
                self.refusals.note(link.remoteAddress, "no TLS certificate")
                throw RPCError(code: .unknown, message: "no TLS certificate")
            }
            tlsHash = Digest.sha256(certificate.der)
        }
        guard let place = self.refusals.admit(Self.strangerLimit) else {
            self.refusals.note(link.remoteAddress, "too many streams have not said who they are")
            throw RPCError(code: .resourceExhausted, message: "too many streams have not said who they are")
        }
        return StreamingServerResponse { [tlsHash] writer in
            do {
                let introduction = try await self.driver.introduction(tlsHash: own.map(Self.hash) ?? Data())
                try await self.withTimeLimit(link) {
                    try await withThrowingTaskGroup(of: Void.self) { group in
                        group.addTask { try await self.write(introduction, link, to: writer) }
                        defer { group.cancelAll() }
                        try await self.serve(request.messages, link, tlsHash: tlsHash, place: place)
                    }
                }
            } catch {
                guard !(error is CancellationError), (error as? RPCError)?.code != .cancelled else {
                    throw error
                }
                self.refusals.note(link.remoteAddress, "\(error)")
                throw (error as? RPCError) ?? RPCError(code: .unknown, message: "\(error)")
            }
            return [:]
        }
    }

    // MARK: - Both

    private func write(
        _ introduction: Gossip_Envelope,
        _ link: GossipLink,
        to writer: RPCWriter<Gossip_Envelope>
    ) async throws {
        try await writer.write(introduction)
        for await envelope in link.outgoing {
            try await writer.write(envelope)
            link.sent(envelope)
            self.metrics.sent.increment()
        }
    }

    /// Takes what comes in until the stream ends or the link is closed.
    private func serve(
        _ messages: RPCAsyncSequence<Gossip_Envelope, any Error>,
        _ link: GossipLink,
        tlsHash: Data?,
        place: RefusalLog.Place? = nil
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await self.read(messages, link, tlsHash: tlsHash, place: place) }
            group.addTask { for await _ in link.closing {} }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    private func read(
        _ messages: RPCAsyncSequence<Gossip_Envelope, any Error>,
        _ link: GossipLink,
        tlsHash: Data?,
        place: RefusalLog.Place?
    ) async throws {
        var messages = messages.makeAsyncIterator()
        guard let introduction = try await messages.next() else {
            throw GossipRefusal("the stream ended before the other side said who it is")
        }
        let peer = try await self.driver.establish(introduction, tlsHash: tlsHash, link: link)
        place?.leave()
        link.establish()
        guard let peer else { return link.close("nothing more is wanted") }
        do {
            while let envelope = try await messages.next() {
                await self.driver.received(envelope, through: link, from: peer)
            }
            await self.driver.ended(link, of: peer, reason: "the other side has ended the stream")
        } catch {
            await self.driver.ended(link, of: peer, reason: (error as? RPCError)?.message ?? "\(error)")
        }
        link.close("the stream has ended")
    }

    /// Ends a stream whose other side doesn't say in time who it is.
    private func withTimeLimit(_ link: GossipLink, _ body: @Sendable @escaping () async throws -> Void)
        async throws
    {
        let limit = self.settings.connectionTimeout
        try await withThrowingTaskGroup(of: Bool.self) { group in
            group.addTask {
                try await body()
                return true
            }
            group.addTask {
                try await Task.sleep(for: limit)
                guard link.isEstablished else {
                    throw GossipRefusal("the other side has not said who it is for \(limit)")
                }
                return false
            }
            defer { group.cancelAll() }
            while let isOver = try await group.next(), !isOver {}
        }
    }

    /// SHA-256 of the leaf certificate.
    private static func hash(_ identity: TLSIdentity) -> Data {
        ShownCertificate.hash(pem: identity.certificateChainPEM) ?? Data()
    }
}

/// The certificate that a server has shown.
private final class ShownCertificate: Sendable {
    private let pem = Mutex<String?>(nil)

    func set(_ pem: String) { self.pem.withLock { $0 = pem } }

    /// SHA-256 of it; empty if there is none.
    var hash: Data { self.pem.withLock { $0 }.flatMap(Self.hash) ?? Data() }

    static func hash(pem: String) -> Data? {
        (try? Certificate(pem: Data(pem.utf8))).map { Digest.sha256($0.der) }
    }
}

/// The service that other peers connect to.
struct GossipService: Gossip_Gossip.StreamingServiceProtocol {
    let streams: GossipStreams

    func gossipStream(
        request: StreamingServerRequest<Gossip_Envelope>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<Gossip_Envelope> {
        try self.streams.accept(request, context)
    }

    func ping(
        request: StreamingServerRequest<Gossip_Empty>,
        context: ServerContext
    ) async throws -> StreamingServerResponse<Gossip_Empty> {
        StreamingServerResponse { writer in
            try await writer.write(Gossip_Empty())
            return [:]
        }
    }
}
