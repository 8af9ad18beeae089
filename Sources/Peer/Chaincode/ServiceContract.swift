internal import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Logging
internal import Operations
internal import RPC
internal import Synchronization

/// A contract that runs as a service of its own: the peer connects to it when it is called first, and again after the
/// connection was lost.
///
/// - Source: Fabric v3.1 documentation, "Running chaincode as an external service".
final class ServiceContract: Contract {
    private typealias Waiter = CheckedContinuation<ChaincodeStream, any Error>

    private enum Link {
        case none
        case connecting([Waiter])
        case ready(ChaincodeStream)
        /// Nobody was there lately; it is tried again after a pause that grows.
        case failed(reason: String, until: ContinuousClock.Instant)
        case closed
    }

    private static let longestPause = Duration.seconds(5)

    private let packageID: String
    private let service: ServiceAddress
    private let options: ChaincodeStreamRules.Options
    private let pollers: PollerGroup
    private let metrics: Metrics
    private let logger: Logger
    /// Has something run beside the calls; `false` if it won't be, since the peer shuts down.
    private let start: @Sendable (@escaping @Sendable () async -> Void) -> Bool
    private let link = Mutex(Link.none)
    /// How often in a row nobody was there.
    private let failures = Mutex(0)

    init(
        packageID: String,
        service: ServiceAddress,
        options: ChaincodeStreamRules.Options,
        pollers: PollerGroup,
        metrics: Metrics = Metrics(),
        logger: Logger,
        start: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Bool
    ) {
        self.packageID = packageID
        self.service = service
        self.options = options
        self.pollers = pollers
        self.metrics = metrics
        self.logger = logger
        self.start = start
    }

    func invoke(_ stub: ContractStub) async throws -> Protos_Response {
        let stream: ChaincodeStream
        do {
            stream = try await self.stream()
        } catch {
            throw ContractError(
                "could not launch chaincode \(self.packageID): connection to it failed: \(error)"
            )
        }
        return try await stream.execute(stub)
    }

    // MARK: Connecting

    /// The stream, once the contract has registered.
    private func stream() async throws -> ChaincodeStream {
        try await withCheckedThrowingContinuation { (waiter: Waiter) in
            let result = self.link.withLock { link -> Result<ChaincodeStream, any Error>? in
                switch link {
                case .ready(let stream): return .success(stream)
                case .connecting(let waiters):
                    link = .connecting(waiters + [waiter])
                    return nil
                case .failed(let reason, let until) where until > .now:
                    return .failure(ContractError(reason))
                case .closed: return .failure(Self.shutDown)
                case .none, .failed:
                    guard self.start({ await self.connect() }) else { return .failure(Self.shutDown) }
                    link = .connecting([waiter])
                    return nil
                }
            }
            if let result { waiter.resume(with: result) }
        }
    }

    /// Connects, and keeps the stream until it ends.
    private func connect() async {
        let begin = ContinuousClock.now
        let counts = ChaincodeMetrics(self.metrics, packageID: self.packageID)
        let stream = ChaincodeStream(
            packageID: self.packageID,
            options: self.options,
            metrics: self.metrics,
            logger: self.logger
        ) { stream in
            counts.launched(after: ContinuousClock.now - begin, succeeded: true)
            self.note(.ready(stream))?.forEach { $0.resume(returning: stream) }
        }
        let reason = await self.serve(stream)
        stream.end()
        guard !Task.isCancelled else { return self.close() }
        let wasReady = self.link.withLock { if case .ready = $0 { true } else { false } }
        guard !wasReady else {
            self.failures.withLock { $0 = 0 }
            self.logger.warning("lost a contract", metadata: self.metadata(reason))
            _ = self.note(.none)
            return
        }
        counts.launched(after: ContinuousClock.now - begin, succeeded: false)
        let failures = self.failures.withLock {
            $0 = min($0 + 1, 16)
            return $0
        }
        let pause = min(.milliseconds(100 << failures), Self.longestPause)
        self.logger.warning("can't reach a contract", metadata: self.metadata(reason))
        let waiters = self.note(.failed(reason: reason, until: .now + pause))
        waiters?.forEach { $0.resume(throwing: ContractError(reason)) }
    }

    /// Ends whatever waits for a connection: none will be made any more.
    func close() {
        self.note(.closed)?.forEach { $0.resume(throwing: Self.shutDown) }
    }

    private static let shutDown = ContractError("this peer is shutting down")

    /// Returns those who waited for the change.
    private func note(_ new: Link) -> [Waiter]? {
        self.link.withLock { link in
            if case .closed = link { return nil }
            defer { link = new }
            guard case .connecting(let waiters) = link else { return nil }
            return waiters
        }
    }

    private func metadata(_ reason: String) -> Logger.Metadata {
        ["package": "\(self.packageID)", "address": "\(self.service.address)", "reason": "\(reason)"]
    }

    /// Serves the stream until it ends, and says why it did.
    private func serve(_ stream: ChaincodeStream) async -> String {
        var options = TransportOptions()
        options.connectTimeout = self.service.dialTimeout
        // Servers made with gRPC's defaults, as Python's shim, drop clients that ask more often than every 5 minutes.
        options.keepaliveInterval = .seconds(330)
        do {
            let client = GRPCClient(
                transport: try CoreClientTransport(
                    target: self.service.address,
                    tls: self.service.tls,
                    options: options,
                    pollers: self.pollers
                )
            )
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await client.runConnections() }
                group.addTask { try await Self.exchange(client, stream) }
                group.addTask { await stream.watchDeadlines() }
                group.addTask { await stream.waitUntilClosed() }
                defer { group.cancelAll() }
                try await group.next()
            }
            if let reason = stream.endReason { return "the contract at \(self.service.address) \(reason)" }
            return "the contract at \(self.service.address) ended the stream"
        } catch let error as RPCError {
            return """
                \(self.service.address): \(error.message); see that the contract runs there, with the name \
                \(self.packageID), and with TLS if the package says so
                """
        } catch {
            return "\(self.service.address): \(error)"
        }
    }

    private static func exchange(
        _ client: GRPCClient<CoreClientTransport>,
        _ stream: ChaincodeStream
    ) async throws {
        let request = StreamingClientRequest<Protos_ChaincodeMessage> { writer in
            for await message in stream.outbound { try await writer.write(message) }
        }
        try await Protos_Chaincode.Client(wrapping: client).connect(request: request) { response in
            for try await message in response.messages { stream.received(message) }
        }
    }
}
