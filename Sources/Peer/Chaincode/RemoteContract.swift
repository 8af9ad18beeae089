internal import FabricProtos
internal import Foundation
internal import Logging
internal import Operations
internal import Synchronization

/// Where a contract in a process of its own is, and how there comes to be a stream to it.
protocol ContractEndpoint: Sendable {
    /// How long it may take until the contract has registered.
    var startTimeout: Duration { get }
    /// What it means that there is no stream, before the reason.
    var failure: String { get }
    /// Whether a contract that is lost soon after it registered is left alone for a while.
    var isLaunched: Bool { get }

    /// Has `stream` carry messages until it ends, and says why it did.
    func serve(_ stream: ChaincodeStream) async -> String
}

/// A contract in a process of its own: there is a stream to it from the first call on, and again when the stream was lost.
final class RemoteContract: Contract {
    private typealias Waiter = CheckedContinuation<ChaincodeStream, any Error>

    /// What keeps a stream, for whoever wants it to end.
    private struct Service {
        let end: AsyncStream<Never>.Continuation
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private enum Link {
        case none
        case connecting([Waiter])
        case ready(ChaincodeStream)
        /// Nobody was there lately; it is tried again after a pause that grows.
        case failed(reason: String, until: ContinuousClock.Instant)
        case closed(ContractError)
    }

    private static let longestPause = Duration.seconds(5)

    /// A contract that lived longer than this may be started again at once.
    private static let shortLife = Duration.seconds(10)

    private let packageID: String
    private let endpoint: any ContractEndpoint
    private let options: ChaincodeStreamRules.Options
    private let metrics: Metrics
    private let logger: Logger
    /// Has something run beside the calls; `false` if it won't be, since the peer shuts down.
    private let start: @Sendable (@escaping @Sendable () async -> Void) -> Bool
    private let link = Mutex(Link.none)
    /// How often in a row nobody was there.
    private let failures = Mutex(0)
    /// What keeps the stream; `nil` while there is none.
    private let service = Mutex<Service?>(nil)

    init(
        packageID: String,
        endpoint: any ContractEndpoint,
        options: ChaincodeStreamRules.Options,
        metrics: Metrics = Metrics(),
        logger: Logger,
        start: @escaping @Sendable (@escaping @Sendable () async -> Void) -> Bool
    ) {
        self.packageID = packageID
        self.endpoint = endpoint
        self.options = options
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
                "could not launch chaincode \(self.packageID): \(self.endpoint.failure): \(error)"
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
                case .closed(let reason): return .failure(reason)
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
        var options = self.options
        options.startTimeout = self.endpoint.startTimeout
        let readySince = Mutex<ContinuousClock.Instant?>(nil)
        let stream = ChaincodeStream(
            packageID: self.packageID,
            options: options,
            metrics: self.metrics,
            logger: self.logger
        ) { stream in
            counts.launched(after: ContinuousClock.now - begin, succeeded: true)
            readySince.withLock { $0 = .now }
            self.note(.ready(stream))?.forEach { $0.resume(returning: stream) }
        }
        let reason = await self.serve(stream)
        stream.end()
        guard !Task.isCancelled else { return self.close() }
        if let since = readySince.withLock({ $0 }) {
            self.logger.warning("lost a contract", metadata: self.metadata(reason))
            return self.lost(reason, lived: .now - since)
        }
        counts.launched(after: ContinuousClock.now - begin, succeeded: false)
        self.logger.warning("can't reach a contract", metadata: self.metadata(reason))
        let failures = self.countFailure()
        let pause = min(.milliseconds(100 << failures), Self.longestPause)
        let waiters = self.note(.failed(reason: reason, until: .now + pause))
        waiters?.forEach { $0.resume(throwing: ContractError(reason)) }
    }

    /// Serves the stream until it ends, or the contract is removed.
    private func serve(_ stream: ChaincodeStream) async -> String {
        let (end, finish) = AsyncStream.makeStream(of: Never.self)
        self.service.withLock { $0 = Service(end: finish) }
        defer { self.service.withLock { $0.take() }?.waiters.forEach { $0.resume() } }
        // The removal sees that there is something to end, or it is seen here.
        if case .closed(let reason) = self.link.withLock({ $0 }) { return reason.description }
        return await withTaskGroup(of: String.self) { group in
            group.addTask { await self.endpoint.serve(stream) }
            group.addTask {
                for await _ in end {}
                stream.end("was removed from this peer")
                return "it was removed"
            }
            let reason = await group.next() ?? ""
            group.cancelAll()
            return reason
        }
    }

    /// How many there have been in a row.
    private func countFailure() -> Int {
        self.failures.withLock {
            $0 = min($0 + 1, 16)
            return $0
        }
    }

    /// The stream has ended after the contract had registered: the next call makes another one, but contracts that crash again
    /// and again aren't started at every call.
    private func lost(_ reason: String, lived: Duration) {
        guard self.endpoint.isLaunched, lived < Self.shortLife else {
            self.failures.withLock { $0 = 0 }
            _ = self.note(.none)
            return
        }
        let failures = self.countFailure()
        let pause = failures == 1 ? .zero : min(.milliseconds(100 << failures), Self.longestPause)
        _ = self.note(.failed(reason: "it ended soon after its start: \(reason)", until: .now + pause))
    }

    /// Ends a contract that this peer has started: another package has taken its place.
    func giveUp() {
        guard self.endpoint.isLaunched, case .ready(let stream) = self.link.withLock({ $0 }) else { return }
        stream.end("was replaced by another package")
    }

    /// Ends whatever waits for a connection: none will be made any more.
    func close() { self.close(Self.shutDown) }

    /// Ends the contract for good, and returns when its process is gone, if this peer had started one.
    func remove() async {
        self.close(ContractError("it was removed from this peer"))
        await withCheckedContinuation { (waiter: CheckedContinuation<Void, Never>) in
            let isRunning = self.service.withLock { service in
                service?.end.finish()
                service?.waiters.append(waiter)
                return service != nil
            }
            if !isRunning { waiter.resume() }
        }
    }

    private func close(_ reason: ContractError) {
        self.note(.closed(reason))?.forEach { $0.resume(throwing: reason) }
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
        ["package": "\(self.packageID)", "reason": "\(reason)"]
    }
}
