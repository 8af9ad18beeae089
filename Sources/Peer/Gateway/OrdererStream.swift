internal import DequeModule
package import FabricProtos
package import GRPCCore
internal import Synchronization

/// One Broadcast stream to one orderer, shared by everybody who submits through this peer.
///
/// Orderers answer in order, so the first unanswered envelope belongs to the next response. When the stream
/// ends, unanswered envelopes are sent once more on a new one: ordering the very same bytes twice does no harm,
/// since a transaction's identifier is valid only once.
///
/// - Source: Fabric v3, `orderer.AtomicBroadcast`.
package final class OrdererStream<Transport: ClientTransport>: Sendable {
    /// How long the first unanswered envelope may wait before the stream counts as dead.
    package static var responseTimeout: Duration { .seconds(30) }
    /// How many unanswered envelopes are held; more are refused.
    package static var capacity: Int { 10_000 }
    /// How many envelopes go to the transport at a time, which then may send them together.
    private static var envelopesPerWrite: Int { 32 }

    private struct State {
        /// Unanswered envelopes in the order of submission; the first `sent` of them are on the stream.
        var queue: Deque<Submission> = []
        var sent = 0
        var lastAnswer: ContinuousClock.Instant?
        var writer: CheckedContinuation<Void, Never>?
        /// Set when the waiting task was cancelled before it began to wait.
        var isWoken = false
        var isStopped = false
    }

    /// The orderer's address, as messages name it.
    package let address: String
    private let client: GRPCClient<Transport>
    /// How long the orderer may answer nothing while it has something to answer.
    private let patience: Duration
    /// How often an envelope is sent before its submission fails.
    private let attempts: Int
    private let state = Mutex(State())

    /// - Parameters:
    ///   - address: The orderer's address, as messages name it.
    ///   - client: A client of the orderer.
    ///   - hasAlternatives: Whether there are other orderers: one that falls silent is then given up soon, and after a
    ///     failure the next one is asked.
    package init(address: String, client: GRPCClient<Transport>, hasAlternatives: Bool = false) {
        self.address = address
        self.client = client
        self.patience = hasAlternatives ? .seconds(1) : Self.responseTimeout
        self.attempts = hasAlternatives ? 1 : 2
    }

    /// Has `envelope` ordered and returns the orderer's answer.
    ///
    /// - Throws: `RPCError` (UNAVAILABLE) if the orderer can't be reached or doesn't answer in time,
    ///   `CancellationError` if the caller is cancelled, after which the outcome is unknown.
    package func submit(_ envelope: Common_Envelope) async throws -> Orderer_BroadcastResponse {
        let submission = Submission(envelope)
        return try await withTaskCancellationHandler {
            try await withCheckedThrowingContinuation { continuation in
                submission.attach(continuation)
                self.enqueue(submission)
            }
        } onCancel: {
            submission.finish(.failure(CancellationError()))
        }
    }

    /// Keeps a stream open while there is something to send; returns when the task is cancelled.
    package func run() async {
        await withTaskCancellationHandler {
            while await self.waitForWork() {
                let failure = await self.runStream()
                self.prepareRetry(after: failure)
            }
        } onCancel: {
            self.stop()
        }
        self.stop()
    }

    // MARK: Queue

    private func enqueue(_ submission: Submission) {
        let (refusal, writer) = self.state.withLock { state -> (String?, CheckedContinuation<Void, Never>?) in
            guard !state.isStopped else { return ("this peer is shutting down", nil) }
            guard state.queue.count < Self.capacity else {
                return ("\(Self.capacity) transactions wait for orderer \(self.address) already", nil)
            }
            state.queue.append(submission)
            defer { state.writer = nil }
            return (nil, state.writer)
        }
        writer?.resume()
        if let refusal {
            submission.finish(.failure(RPCError(code: .unavailable, message: refusal)))
        }
    }

    /// Suspends until an envelope waits to be sent; `false` once stopped or when the task is cancelled.
    private func waitForWork() async -> Bool {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isReady = self.state.withLock { state in
                    guard !state.isStopped, !state.isWoken, state.sent >= state.queue.count else {
                        state.isWoken = false
                        return true
                    }
                    state.writer = continuation
                    return false
                }
                if isReady { continuation.resume() }
            }
        } onCancel: {
            let writer = self.state.withLock { state in
                defer { state.writer = nil }
                state.isWoken = state.writer == nil
                return state.writer
            }
            writer?.resume()
        }
        return !Task.isCancelled && self.state.withLock { !$0.isStopped }
    }

    /// What is to be sent now, in order; empty if nothing is.
    private func takeUnsent() -> [Common_Envelope] {
        self.state.withLock { state in
            guard !state.isStopped else { return [] }
            let unsent = state.queue[state.sent...].prefix(Self.envelopesPerWrite)
            let now = ContinuousClock.now
            for submission in unsent { submission.lastSent = now }
            state.sent += unsent.count
            return unsent.map(\.envelope)
        }
    }

    private func answer(with response: Orderer_BroadcastResponse) {
        let submission = self.state.withLock { state -> Submission? in
            guard state.sent > 0 else { return nil }
            state.lastAnswer = .now
            state.sent -= 1
            return state.queue.popFirst()
        }
        submission?.finish(.success(response))
    }

    private func stop() {
        let (rest, writer) = self.state.withLock { state in
            defer {
                state.queue = []
                state.sent = 0
                state.writer = nil
            }
            state.isStopped = true
            return (state.queue, state.writer)
        }
        writer?.resume()
        for submission in rest {
            submission.finish(.failure(RPCError(code: .unavailable, message: "this peer is shutting down")))
        }
    }

    /// After a stream ended: what was sent too often fails, the rest waits for the next stream.
    private func prepareRetry(after failure: RPCError) {
        let failed = self.state.withLock { state in
            var failed: [Submission] = []
            for index in 0..<state.sent {
                state.queue[index].attempts += 1
            }
            state.sent = 0
            while let first = state.queue.first, first.attempts >= self.attempts || first.isFinished {
                failed.append(first)
                state.queue.removeFirst()
            }
            return failed
        }
        for submission in failed {
            submission.finish(.failure(failure))
        }
    }

    // MARK: Stream

    /// Runs one stream until it ends, and says why it did.
    private func runStream() async -> RPCError {
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await self.exchange() }
                group.addTask { try await self.watchForSilence() }
                defer { group.cancelAll() }
                try await group.next()
            }
            return RPCError(code: .unavailable, message: "orderer \(self.address) ended the stream")
        } catch let error as RPCError {
            return error
        } catch {
            return RPCError(code: .unavailable, message: "orderer \(self.address): \(error)")
        }
    }

    private func exchange() async throws {
        let orderer = Orderer_AtomicBroadcast.Client(wrapping: self.client)
        let request = StreamingClientRequest<Common_Envelope> { writer in
            while await self.waitForWork() {
                while case let envelopes = self.takeUnsent(), !envelopes.isEmpty {
                    try await writer.write(contentsOf: envelopes)
                }
            }
        }
        try await orderer.broadcast(request: request) { response in
            for try await message in response.messages {
                self.answer(with: message)
            }
        }
    }

    private func watchForSilence() async throws {
        while true {
            try await Task.sleep(for: min(self.patience / 6, .seconds(1)))
            let silence = self.state.withLock { state -> Duration? in
                guard state.sent > 0, let first = state.queue.first else { return nil }
                return max(first.lastSent, state.lastAnswer ?? first.lastSent).duration(to: .now)
            }
            if let silence, silence > self.patience {
                throw RPCError(
                    code: .unavailable,
                    message: "orderer \(self.address) did not answer for \(self.patience)"
                )
            }
        }
    }
}

/// One envelope that waits for an orderer's answer; finished exactly once.
private final class Submission: @unchecked Sendable {
    // Why `@unchecked`: `attempts` and `lastSent` are only touched under the stream's lock, the rest has its own.
    let envelope: Common_Envelope
    var attempts = 0
    var lastSent: ContinuousClock.Instant = .now

    private enum Outcome {
        case waiting(CheckedContinuation<Orderer_BroadcastResponse, any Error>?)
        case finished(Result<Orderer_BroadcastResponse, any Error>)
    }
    private let outcome = Mutex(Outcome.waiting(nil))

    init(_ envelope: Common_Envelope) {
        self.envelope = envelope
    }

    var isFinished: Bool {
        self.outcome.withLock { if case .finished = $0 { true } else { false } }
    }

    func attach(_ continuation: CheckedContinuation<Orderer_BroadcastResponse, any Error>) {
        let early = self.outcome.withLock { outcome -> Result<Orderer_BroadcastResponse, any Error>? in
            if case .finished(let result) = outcome { return result }
            outcome = .waiting(continuation)
            return nil
        }
        if let early { continuation.resume(with: early) }
    }

    func finish(_ result: Result<Orderer_BroadcastResponse, any Error>) {
        let continuation = self.outcome.withLock {
            outcome -> CheckedContinuation<Orderer_BroadcastResponse, any Error>? in
            guard case .waiting(let continuation) = outcome else { return nil }
            outcome = .finished(result)
            return continuation
        }
        continuation?.resume(with: result)
    }
}
