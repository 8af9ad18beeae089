package import FabricProtos
internal import Foundation
package import Logging
package import Operations
internal import SwiftProtobuf
internal import Synchronization

/// One stream to one contract: carries any number of transactions at once.
///
/// Keeps ``ChaincodeStreamRules`` and does what they say. The same for both ways of connecting; who connects, hands in
/// what arrives and sends what ``outbound`` yields.
package final class ChaincodeStream: Sendable {
    private struct State {
        var rules: ChaincodeStreamRules
        var running: [ChaincodeStreamRules.Transaction: TransactionEvents] = [:]
        var endReason: String?
        var whenReady: (@Sendable (ChaincodeStream) -> Void)?
    }

    /// What goes to the contract, in order; ends with the stream.
    package let outbound: AsyncStream<Protos_ChaincodeMessage>
    private let send: AsyncStream<Protos_ChaincodeMessage>.Continuation
    private let closed: AsyncStream<Never>
    private let close: AsyncStream<Never>.Continuation
    private let options: ChaincodeStreamRules.Options
    private let begin = ContinuousClock.now
    private let metrics: ChaincodeMetrics
    private let logger: Logger
    private let state: Mutex<State>

    /// - Parameters:
    ///   - packageID: the package that the contract must say it runs.
    ///   - options: bounds and timeouts.
    ///   - metrics: where requests and timeouts are counted.
    ///   - logger: where it is noted what a contract does wrong.
    ///   - whenReady: called once the contract has registered; it must not use the stream before it returns.
    package init(
        packageID: String,
        options: ChaincodeStreamRules.Options,
        metrics: Metrics = Metrics(),
        logger: Logger,
        whenReady: (@Sendable (ChaincodeStream) -> Void)? = nil
    ) {
        self.options = options
        self.metrics = ChaincodeMetrics(metrics, packageID: packageID)
        self.logger = logger
        (self.closed, self.close) = AsyncStream.makeStream()
        (self.outbound, self.send) = AsyncStream.makeStream(
            bufferingPolicy: .bufferingOldest(options.transactions + options.waitingMessages)
        )
        self.state = Mutex(
            State(rules: ChaincodeStreamRules(packageID: packageID, options: options), whenReady: whenReady)
        )
    }

    /// Whether transactions can begin.
    var isReady: Bool { self.state.withLock { $0.rules.isReady } }

    /// Why the stream was closed by this side, if it was.
    var endReason: String? { self.state.withLock { $0.endReason } }

    // MARK: For the connection

    package func received(_ message: Protos_ChaincodeMessage) {
        self.step { rules, _ in rules.received(message) }
    }

    /// Closes the stream; whatever runs on it fails.
    package func end(_ reason: String? = nil) {
        self.state.withLock { state in
            if state.endReason == nil { state.endReason = reason }
        }
        self.step { rules, _ in rules.lost() }
        self.finish()
    }

    private func finish() {
        self.send.finish()
        self.close.finish()
    }

    /// Returns when the stream was closed, or the task is cancelled; for one task only.
    func waitUntilClosed() async {
        for await _ in self.closed {}
    }

    /// Ends what takes too long: registering, and transactions; runs until the task is cancelled.
    package func watchDeadlines() async {
        let shortest = min(self.options.executeTimeout, self.options.startTimeout)
        let interval = min(max(shortest / 4, .milliseconds(10)), .milliseconds(500))
        while (try? await Task.sleep(for: interval)) != nil {
            self.step { rules, now in rules.passed(now) }
        }
    }

    private func step(
        _ body: (inout ChaincodeStreamRules, Duration) throws(ContractError) -> [ChaincodeStreamRules.Command]
    ) throws(ContractError) {
        try self.state.withLock { state throws(ContractError) in
            for command in try body(&state.rules, ContinuousClock.now - self.begin) {
                self.perform(command, &state)
            }
        }
    }

    private func step(
        _ body: (inout ChaincodeStreamRules, Duration) -> [ChaincodeStreamRules.Command]
    ) {
        self.state.withLock { state in
            for command in body(&state.rules, ContinuousClock.now - self.begin) {
                self.perform(command, &state)
            }
        }
    }

    private func perform(_ command: ChaincodeStreamRules.Command, _ state: inout State) {
        switch command {
        case .send(let message):
            guard case .dropped = self.send.yield(message) else { return }
            state.endReason = "the contract doesn't read what it is sent"
            for command in state.rules.lost() { self.perform(command, &state) }
            self.finish()
        case .answer(let request, let transaction): state.running[transaction]?.put(.request(request))
        case .finish(let transaction, let outcome): state.running[transaction]?.put(.end(outcome))
        case .ready: state.whenReady.take()?(self)
        case .note(let text): self.logger.warning("contract", metadata: ["problem": "\(text)"])
        case .close(let reason):
            state.endReason = reason
            self.finish()
        }
    }

    // MARK: Transactions

    /// Has the contract execute one transaction, and answers what it asks for meanwhile.
    ///
    /// - Throws: ``TransactionFailure`` if the contract ended with ERROR; ``ContractError`` if it took too long, or the
    ///   stream was lost.
    package func execute(_ stub: ContractStub) async throws -> Protos_Response {
        let message = try self.message(stub)
        let transaction = ChaincodeStreamRules.Transaction(channel: message.channelID, id: message.txid)
        let events = TransactionEvents()
        try self.state.withLock { state throws(ContractError) in
            for command in try state.rules.begin(message, at: ContinuousClock.now - self.begin) {
                self.perform(command, &state)
            }
            state.running[transaction] = events
        }
        defer {
            self.state.withLock { state in
                state.running[transaction] = nil
                state.rules.abandon(transaction)
            }
        }
        let requests = StreamRequests(stub, self.options)
        while true {
            switch await events.next() {
            case .request(let request):
                let answer = await self.metrics.counting(request) { await requests.answer(request) }
                self.step { rules, _ in rules.answered(transaction, with: answer) }
            case .end(let outcome): return try self.response(outcome, stub)
            }
        }
    }

    private func message(_ stub: ContractStub) throws -> Protos_ChaincodeMessage {
        let input = Protos_ChaincodeInput.with {
            $0.args = stub.arguments
            $0.decorations = stub.decorations
            $0.isInit = stub.isInit
        }
        let payload = try input.serializedData()
        return .with {
            $0.type = stub.isInit ? .init_ : .transaction
            $0.payload = payload
            $0.txid = stub.transactionID
            $0.channelID = stub.channelID
            $0.proposal = stub.signedProposal
        }
    }

    private func response(
        _ outcome: ChaincodeStreamRules.Outcome,
        _ stub: ContractStub
    ) throws -> Protos_Response {
        switch outcome {
        case .completed(let message):
            let response: Protos_Response
            do {
                response = try Protos_Response(serializedBytes: message.payload)
            } catch {
                throw ContractError(
                    "failed to unmarshal response for transaction \(stub.transactionID): \(error)"
                )
            }
            if message.hasChaincodeEvent { stub.record(message.chaincodeEvent) }
            return response
        case .failed(let text): throw TransactionFailure(text)
        case .timedOut:
            self.metrics.executionTimedOut()
            throw ContractError("error sending: timeout expired while executing transaction")
        case .streamLost:
            let reason = self.endReason.map { " (\($0))" } ?? ""
            throw ContractError("error sending\(reason): chaincode stream terminated")
        case .cancelled: throw CancellationError()
        }
    }
}

/// What happens to one transaction that a contract executes, for the task that waits for it.
private final class TransactionEvents: Sendable {
    enum Event: Sendable {
        case request(Protos_ChaincodeMessage)
        case end(ChaincodeStreamRules.Outcome)
    }

    /// At most a request and the end are in the queue: the rules let no second request through.
    private struct State {
        var queue: [Event] = []
        var waiter: CheckedContinuation<Event, Never>?
    }

    private let state = Mutex(State())

    func put(_ event: Event) {
        let waiter = self.state.withLock { state -> CheckedContinuation<Event, Never>? in
            if let waiter = state.waiter.take() { return waiter }
            state.queue.append(event)
            return nil
        }
        waiter?.resume(returning: event)
    }

    /// The next event; the end, if the task is cancelled.
    func next() async -> Event {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let event = self.state.withLock { state -> Event? in
                    guard state.queue.isEmpty else { return state.queue.removeFirst() }
                    state.waiter = continuation
                    return nil
                }
                if let event { continuation.resume(returning: event) }
            }
        } onCancel: {
            self.put(.end(.cancelled))
        }
    }
}
