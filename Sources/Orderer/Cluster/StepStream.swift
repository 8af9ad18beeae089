internal import Consensus
internal import FabricProtos
internal import GRPCCore
internal import Synchronization

/// A stream to another consenter, of whatever protocol.
protocol ClusterStream: Sendable {
    var member: ClusterMember { get }

    /// Ends the stream for good.
    func close()

    /// Keeps the stream open until it is closed or the task is cancelled.
    func run<Transport: ClientTransport>(on client: GRPCClient<Transport>) async
}

/// What consenters send each other on streams.
protocol StepMessage: Sendable {
    /// About how many bytes it takes.
    var size: Int { get }

    /// Sends messages until there are no more or the call ends.
    static func exchange<Transport: ClientTransport>(
        _ client: GRPCClient<Transport>,
        _ write: @escaping @Sendable (RPCWriter<Self>) async throws -> Void
    ) async throws
}

/// A stream of messages of one channel to one other consenter, connected again whenever it is lost.
///
/// What is sent while there is no connection, or more than ``capacity`` or ``byteCapacity`` at a time, is dropped and the
/// sender told: consensus engines repeat what matters, and for envelopes the client is told.
///
/// Source: Fabric v3.1, `orderer.Cluster`.
final class StepStream<Request: StepMessage>: ClusterStream {
    private struct State {
        var requests: AsyncStream<Request>.Continuation?
        var isClosed = false
        /// Bytes of messages that are not on their way yet.
        var bytes = 0
    }

    /// The pause after the first failure; each further one doubles it.
    private let firstPause = Duration.milliseconds(50)
    private let longestPause = Duration.seconds(1)

    let member: ClusterMember
    private let capacity: Int
    /// Bytes that may wait, besides one message of any size.
    private let byteCapacity: Int
    private let metrics: LinkMetrics.Stream?
    /// Called whenever the stream has failed; what was sent may be lost.
    private let failed: @Sendable (any Error) -> Void
    private let state = Mutex(State())

    init(
        to member: ClusterMember,
        capacity: Int,
        byteCapacity: Int = 64 << 20,
        metrics: LinkMetrics.Stream? = nil,
        failed: @escaping @Sendable (any Error) -> Void
    ) {
        self.member = member
        self.capacity = max(1, capacity)
        self.byteCapacity = byteCapacity
        self.metrics = metrics
        self.failed = failed
    }

    /// Sends a message.
    ///
    /// - Returns: `false` if it is dropped.
    func send(_ request: Request) -> Bool {
        let size = request.size
        let isQueued = self.state.withLock { state in
            guard state.bytes == 0 || state.bytes + size <= self.byteCapacity,
                case .enqueued = state.requests?.yield(request)
            else { return false }
            state.bytes += size
            self.metrics?.queued()
            return true
        }
        if !isQueued { self.metrics?.lost() }
        return isQueued
    }

    func close() {
        self.state.withLock { state in
            state.isClosed = true
            state.requests?.finish()
            state.requests = nil
        }
    }

    func run<Transport: ClientTransport>(on client: GRPCClient<Transport>) async {
        var pause = self.firstPause
        self.metrics?.began()
        defer { self.metrics?.ended() }
        while !Task.isCancelled, let requests = self.open() {
            let start = ContinuousClock.now
            do {
                self.metrics?.opened()
                defer { self.metrics?.closed() }
                try await Request.exchange(client) { writer in
                    for await request in requests {
                        let start = ContinuousClock.now
                        try await writer.write(request)
                        self.sent(request.size)
                        self.metrics?.sent(after: ContinuousClock.now - start)
                    }
                }
                throw RPCError(code: .unavailable, message: "the other node ended the stream")
            } catch {
                let isClosed = self.state.withLock { state in
                    state.requests = nil
                    return state.isClosed
                }
                guard !isClosed, !Task.isCancelled else { return }
                self.failed(error)
            }
            if ContinuousClock.now - start > self.longestPause { pause = self.firstPause }
            try? await Task.sleep(for: pause * Double.random(in: 0.75...1))
            pause = min(pause * 2, self.longestPause)
        }
    }

    /// Makes a queue for the next connection; `nil` once the stream is closed.
    private func open() -> AsyncStream<Request>? {
        self.state.withLock { state in
            guard !state.isClosed else { return nil }
            let (requests, continuation) = AsyncStream.makeStream(
                of: Request.self,
                bufferingPolicy: .bufferingOldest(self.capacity)
            )
            state.requests = continuation
            state.bytes = 0
            return requests
        }
    }

    private func sent(_ size: Int) {
        self.state.withLock { $0.bytes = max(0, $0.bytes - size) }
    }
}

extension Orderer_StepRequest: StepMessage {
    var size: Int {
        switch self.payload {
        case .consensusRequest(let request): request.payload.count + request.metadata.count
        case .submitRequest(let request): request.payload.payload.count + request.payload.signature.count
        case nil: 0
        }
    }

    static func exchange<Transport: ClientTransport>(
        _ client: GRPCClient<Transport>,
        _ write: @escaping @Sendable (RPCWriter<Self>) async throws -> Void
    ) async throws {
        try await Orderer_Cluster.Client(wrapping: client).step(
            request: StreamingClientRequest(producer: write)
        ) { response in
            // Fabric's nodes answer nothing; what ends the stream ends this loop.
            for try await _ in response.messages {}
        }
    }
}
