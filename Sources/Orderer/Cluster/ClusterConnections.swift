internal import Cryptography
internal import Foundation
internal import GRPCCore
internal import Logging
package import RPC
internal import Synchronization

/// How an ordering node reaches other orderers.
package struct ClusterSettings: Sendable {
    /// What the node shows other orderers; `nil` without TLS, with which there are no clusters.
    package var identity: RenewableTLSIdentity?
    /// Whether ``identity`` is renewed together with what the node shows clients.
    package var followsServerIdentity = true
    /// Where other orderers connect; where clients do, when there is none.
    package var listener: ClusterListener?
    /// Authorities, PEM, that other orderers' certificates may lead to besides those of the channel.
    package var rootsPEM = ""
    /// Messages that may wait for one other consenter of one channel; further ones are dropped.
    package var sendBufferSize = 100
    package var transport: TransportOptions = {
        var options = TransportOptions()
        options.connectTimeout = .seconds(3)
        options.initialReconnectDelay = .milliseconds(100)
        options.maxReconnectDelay = .seconds(1)
        return options
    }()

    package init(identity: RenewableTLSIdentity? = nil) {
        self.identity = identity
    }
}

/// A listener that other orderers have to themselves.
///
/// By the key of its certificate the node then finds itself among a channel's consenters.
package struct ClusterListener: Sendable {
    /// `host:port`; port 0 takes any that is free.
    package var address: String
    package var identity: TLSIdentity

    package init(address: String, identity: TLSIdentity) {
        self.address = address
        self.identity = identity
    }
}

/// A node's connections to other orderers: each is made when it is first used, shared by all channels, and closed when
/// no channel uses it any more.
///
/// The other end must show a certificate with the key that the channel's configuration names, besides one that is
/// valid for its host.
///
/// Source: Fabric v3.1, package `orderer/common/cluster`.
final class ClusterConnections: Sendable {
    typealias Client = GRPCClient<CoreClientTransport>

    /// A node, and how its certificate is judged.
    private struct Target: Hashable {
        var endpoint: String
        var rootsPEM: String
        /// `nil` for an orderer that is only asked for blocks, which carry their own proof.
        var key: PublicKey?
    }

    private struct Connection {
        var client: Client
        var users: Int
    }

    private let settings: ClusterSettings
    private let pollers: PollerGroup
    private let connections = Mutex<[Target: Connection]>([:])
    /// Whom it concerns if a node that was asked whether it is there says nothing.
    private let questions = Mutex<[Target: [@Sendable () -> Void]]>([:])
    private let work: AsyncStream<@Sendable () async -> Void>
    private let addWork: AsyncStream<@Sendable () async -> Void>.Continuation

    init(settings: ClusterSettings, pollers: PollerGroup = PollerGroup()) {
        self.settings = settings
        self.pollers = pollers
        (self.work, self.addWork) = AsyncStream.makeStream()
    }

    /// Serves the connections until the task is cancelled.
    func run() async {
        await withDiscardingTaskGroup { group in
            for await job in self.work { group.addTask { await job() } }
            group.cancelAll()
        }
    }

    /// Keeps `stream` open until it is closed.
    func open(_ stream: any ClusterStream, rootsPEM: String) {
        let target = self.target(stream.member, rootsPEM)
        self.addWork.yield {
            do {
                try await self.withClient(target) { client in
                    // Where core's answers come in, instead of Swift's threads: a change of threads less for each message.
                    await withTaskExecutorPreference(self.pollers.nextExecutor()) {
                        await stream.run(on: client)
                    }
                }
            } catch {
                // Certificates that can't be used: those of a checked configuration can.
                stream.close()
            }
        }
    }

    /// Asks a consenter's process whether it is there, on the connection that its streams are on; what several channels
    /// ask at a time is asked once.
    func ask(
        _ member: ClusterMember,
        rootsPEM: String,
        patience: Duration,
        silent: @escaping @Sendable () -> Void
    ) {
        let target = self.target(member, rootsPEM)
        let isFirst = self.questions.withLock { questions in
            questions[target, default: []].append(silent)
            return questions[target]?.count == 1
        }
        guard isFirst else { return }
        self.addWork.yield {
            // Certificates that can't be used: nobody can be asked.
            let isThere =
                (try? await self.withClient(target) { await HealthService.answers($0, within: patience) })
                ?? true
            let concerned = self.questions.withLock { $0.removeValue(forKey: target) ?? [] }
            guard !isThere else { return }
            for silent in concerned { silent() }
        }
    }

    private func target(_ member: ClusterMember, _ rootsPEM: String) -> Target {
        Target(endpoint: member.endpoint, rootsPEM: self.roots(rootsPEM), key: member.serverKey)
    }

    /// Calls `body` with a client of an orderer that is asked for blocks; cancelled with the task.
    func withClient<Value: Sendable>(
        of endpoint: String,
        rootsPEM: String,
        _ body: @Sendable (Client) async throws -> Value
    ) async throws -> Value {
        try await self.withClient(
            Target(endpoint: endpoint, rootsPEM: self.roots(rootsPEM), key: nil),
            body
        )
    }

    /// How many nodes there are connections to.
    var count: Int { self.connections.withLock { $0.count } }

    /// Runs `job` in the node's own task group.
    func perform(_ job: @escaping @Sendable () async -> Void) { self.addWork.yield(job) }

    /// SHA-256 of the certificate that the node shows, by which requests are bound to their connection; empty without.
    var certificateHash: Data {
        guard let identity = self.settings.identity?.current,
            let certificate = try? Certificate(pem: Data(identity.certificateChainPEM.utf8))
        else { return Data() }
        return Digest.sha256(certificate.der)
    }

    private func roots(_ pem: String) -> String {
        [pem, self.settings.rootsPEM].filter { !$0.isEmpty }.joined(separator: "\n")
    }

    private func withClient<Value: Sendable>(
        _ target: Target,
        _ body: @Sendable (Client) async throws -> Value
    ) async throws -> Value {
        let client = try self.use(target)
        defer { self.leave(target) }
        return try await body(client)
    }

    private func use(_ target: Target) throws -> Client {
        let (client, isNew) = try self.connections.withLock { connections in
            if let known = connections[target] {
                connections[target]?.users += 1
                return (known.client, false)
            }
            let client = try self.makeClient(target)
            connections[target] = Connection(client: client, users: 1)
            return (client, true)
        }
        if isNew { self.addWork.yield { try? await client.runConnections() } }
        return client
    }

    private func leave(_ target: Target) {
        let unused = self.connections.withLock { connections -> Client? in
            connections[target]?.users -= 1
            guard let connection = connections[target], connection.users <= 0 else { return nil }
            connections[target] = nil
            return connection.client
        }
        unused?.beginGracefulShutdown()
    }

    private func makeClient(_ target: Target) throws -> Client {
        let tls = try self.settings.identity.map { identity in
            guard let key = target.key else { return try identity.source(rootsPEM: target.rootsPEM) }
            return try identity.source(
                rootsPEM: target.rootsPEM,
                server: key.der.base64EncodedString()
            ) { pem in (try? Certificate(pem: Data(pem.utf8)))?.publicKey == key }
        }
        return GRPCClient(
            transport: try CoreClientTransport(
                target: target.endpoint,
                tlsSource: tls,
                options: self.settings.transport,
                pollers: self.pollers
            )
        )
    }
}
