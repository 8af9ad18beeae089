internal import Consensus
internal import FabricProtos
internal import GRPCCore
internal import Synchronization

/// A stream of messages of one channel to one other consenter, connected again whenever it is lost.
///
/// What is sent while there is no connection, or more than ``capacity`` at a time, is dropped and the sender told: Raft
/// repeats what matters, and for envelopes the client is told.
///
/// Source: Fabric v3.1, `orderer.Cluster`.
final class StepStream: Sendable {
    private struct State {
        var requests: AsyncStream<Orderer_StepRequest>.Continuation?
        var isClosed = false
    }

    /// The pause after the first failure; each further one doubles it.
    private static let firstPause = Duration.milliseconds(50)
    private static let longestPause = Duration.seconds(1)

    let member: ClusterMember
    private let capacity: Int
    /// Called whenever the stream has failed; what was sent may be lost.
    private let failed: @Sendable (any Error) -> Void
    private let state = Mutex(State())

    init(to member: ClusterMember, capacity: Int, failed: @escaping @Sendable (any Error) -> Void) {
        self.member = member
        self.capacity = max(1, capacity)
        self.failed = failed
    }

    /// Sends a message.
    ///
    /// - Returns: `false` if it is dropped.
    func send(_ request: Orderer_StepRequest) -> Bool {
        let requests = self.state.withLock { $0.requests }
        guard case .enqueued = requests?.yield(request) else { return false }
        return true
    }

    /// Ends the stream for good.
    func close() {
        self.state.withLock { state in
            state.isClosed = true
            state.requests?.finish()
            state.requests = nil
        }
    }

    /// Keeps the stream open until it is closed or the task is cancelled.
    func run<Transport: ClientTransport>(on client: GRPCClient<Transport>) async {
        var pause = Self.firstPause
        while !Task.isCancelled, let requests = self.open() {
            let start = ContinuousClock.now
            do {
                try await Self.exchange(requests, client)
                throw RPCError(code: .unavailable, message: "the other node ended the stream")
            } catch {
                let isClosed = self.state.withLock { state in
                    state.requests = nil
                    return state.isClosed
                }
                guard !isClosed, !Task.isCancelled else { return }
                self.failed(error)
            }
            if ContinuousClock.now - start > Self.longestPause { pause = Self.firstPause }
            try? await Task.sleep(for: pause * Double.random(in: 0.75...1))
            pause = min(pause * 2, Self.longestPause)
        }
    }

    /// Makes a queue for the next connection; `nil` once the stream is closed.
    private func open() -> AsyncStream<Orderer_StepRequest>? {
        self.state.withLock { state in
            guard !state.isClosed else { return nil }
            let (requests, continuation) = AsyncStream.makeStream(
                of: Orderer_StepRequest.self,
                bufferingPolicy: .bufferingOldest(self.capacity)
            )
            state.requests = continuation
            return requests
        }
    }

    private static func exchange<Transport: ClientTransport>(
        _ requests: AsyncStream<Orderer_StepRequest>,
        _ client: GRPCClient<Transport>
    ) async throws {
        try await Orderer_Cluster.Client(wrapping: client).step(
            request: StreamingClientRequest { writer in
                for await request in requests { try await writer.write(request) }
            }
        ) { response in
            // Fabric's nodes answer nothing; what ends the stream ends this loop.
            for try await _ in response.messages {}
        }
    }
}
