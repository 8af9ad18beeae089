internal import Channel
internal import FabricProtos
internal import GRPCCore
internal import Ledger
internal import Logging
internal import Operations
internal import Synchronization

/// Takes the blocks of a BFT channel from one orderer while all the others show headers, and changes the orderer when
/// ``BFTDelivery`` says so.
///
/// Lives as long as the channel is of type BFT: afterwards blocks are taken from one orderer at a time.
final class ClusterDelivery<Transport: ClientTransport>: Sendable {
    private typealias Decisions = BFTDelivery<OrdererEndpoint>
    /// Ends when a stream is to be closed.
    private typealias Closing = AsyncStream<Never>

    private struct State {
        var decisions: Decisions
        /// Of the streams that are open, by number.
        var open: [UInt64: Closing.Continuation] = [:]
        var failure: (any Error)?
    }

    private enum Work: Sendable {
        case blocks(Decisions.Stream, Closing)
        case headers(Decisions.Stream, Closing)
        case wake(after: Duration)
    }

    private let delivery: BlockDelivery<Transport>
    private let begin = ContinuousClock.now
    private let state: Mutex<State>
    private let work: AsyncStream<Work>
    private let addWork: AsyncStream<Work>.Continuation

    /// - Throws: `DeliveryError` if the channel's ledger is empty.
    init(_ delivery: BlockDelivery<Transport>) throws {
        self.delivery = delivery
        (self.work, self.addWork) = AsyncStream.makeStream()
        let channel = delivery.channel
        guard let header = channel.ledger.lastHeader else { throw DeliveryError.noBlocks(channel.id) }
        self.state = Mutex(
            State(
                decisions: Decisions(
                    sources: Self.sources(channel.configuration, delivery.options),
                    header: header,
                    configuration: channel.configuration,
                    timeouts: delivery.options.cluster.timeouts,
                    at: .zero
                )
            )
        )
    }

    private static func sources(
        _ configuration: ChannelConfiguration,
        _ options: BlockDelivery<Transport>.Options
    ) -> [OrdererEndpoint] {
        Set(configuration.ordererEndpoints(overrides: options.overrides)).shuffled()
    }

    /// Runs until the channel is of another type, or can't go on.
    ///
    /// - Throws: `CancellationError`, or ``ChannelHalted``.
    func run() async throws {
        let (streams, addStream) = AsyncStream.makeStream(of: (Decisions.Stream, Closing).self)
        await withDiscardingTaskGroup { group in
            group.addTask { await self.followCommits() }
            group.addTask { await self.followConfigurations() }
            // One after the other: the next one begins where the ledger ends when the last one is through.
            group.addTask {
                for await (stream, closing) in streams { await self.takeBlocks(stream, closing) }
            }
            self.step { $0.wake(at: $1) }
            for await work in self.work {
                switch work {
                case .blocks(let stream, let closing): addStream.yield((stream, closing))
                case .headers(let stream, let closing):
                    group.addTask { await self.takeHeaders(stream, closing) }
                case .wake(let delay):
                    group.addTask {
                        guard (try? await Task.sleep(for: delay)) != nil else { return }
                        self.step { $0.wake(at: $1) }
                    }
                }
            }
            group.cancelAll()
        }
        if let failure = self.state.withLock({ $0.failure }) { throw failure }
        try Task.checkCancellation()
    }

    private func end(_ failure: (any Error)? = nil) {
        if let failure { self.state.withLock { $0.failure = failure } }
        self.addWork.finish()
    }

    // MARK: - What happens, and what follows

    private func step(_ body: (inout Decisions, Duration) -> [Decisions.Command]) {
        self.state.withLock { state in
            for command in body(&state.decisions, ContinuousClock.now - self.begin) {
                switch command {
                case .open(let stream):
                    let (closing, continuation) = Closing.makeStream()
                    state.open[stream.number] = continuation
                    self.addWork.yield(
                        stream.content == .blocks ? .blocks(stream, closing) : .headers(stream, closing)
                    )
                case .close(let number): state.open.removeValue(forKey: number)?.finish()
                case .wake(let delay): self.addWork.yield(.wake(after: delay))
                case .report(let report): self.note(report)
                }
            }
        }
    }

    private func note(_ report: Decisions.Report) {
        let channel = self.delivery.channel.id.description
        switch report {
        case .withheld(let number, let source, let other, let time):
            self.delivery.metrics.counter(.deliveryWithheldBlocks, channel, source.address).increment()
            self.delivery.logger.warning(
                "an orderer withholds blocks: changing the orderer",
                metadata: [
                    "orderer": "\(source)", "block": "\(number)", "shownBy": "\(other)", "for": "\(time)",
                ]
            )
        case .lied(let source, let reason):
            self.delivery.metrics.counter(.deliveryRefusedHeaders, channel, source.address).increment()
            self.delivery.logger.warning(
                "refused a header",
                metadata: ["orderer": "\(source)", "reason": "\(reason)"]
            )
        }
    }

    private func followCommits() async {
        let channel = self.delivery.channel
        var next = channel.committed.height
        while !Task.isCancelled {
            // Nobody waits for blocks any more when the channel is closed; the stream of blocks says why.
            guard (try? await channel.committed.waitForBlock(next)) != nil else { return }
            let number = channel.committed.height - 1
            guard let block = channel.committed.recentBlock(number)?.block else { continue }
            let configuration = channel.configuration
            self.step { $0.accepted(block.header, configuration: configuration, at: $1) }
            next = number + 1
        }
    }

    private func followConfigurations() async {
        let options = self.delivery.options
        for await configuration in self.delivery.channel.configurations() {
            guard options.cluster.isWanted(on: configuration) else { return self.end() }
            let sources = Self.sources(configuration, options)
            if sources.isEmpty {
                let failure = DeliveryError.noEndpoints(self.delivery.channel.id)
                self.delivery.report(failure, orderer: nil, .max)
            }
            self.step { $0.configure(sources, at: $1) }
        }
    }

    // MARK: - Streams

    private func takeBlocks(_ stream: Decisions.Stream, _ closing: Closing) async {
        let patience = self.state.withLock { state -> Duration? in
            guard state.decisions.hasAlternatives else { return nil }
            return BlockDelivery<Transport>.patience(stalls: state.decisions.failures)
        }
        do {
            try await Self.run(until: closing) {
                try await self.delivery.stream(from: stream.source, patience: patience) { number in
                    self.step { $0.received(number, on: stream.number, at: $1) }
                }
            }
        } catch let halt as ChannelHalted {
            return self.end(halt)
        } catch {
            guard !Task.isCancelled else { return }
            self.delivery.metrics.counter(
                .deliverySourceFailures,
                self.delivery.channel.id.description,
                stream.source.address
            ).increment()
            let failures = self.state.withLock { $0.decisions.failures }
            self.delivery.report(error, orderer: stream.source, failures + 1)
        }
        self.ended(stream)
    }

    private func takeHeaders(_ stream: Decisions.Stream, _ closing: Closing) async {
        let committed = self.delivery.channel.committed
        do {
            try await Self.run(until: closing) {
                try await self.delivery.headers(of: stream.source, from: stream.start) { block in
                    self.step { $0.shown(block, on: stream, at: $1) }
                    if self.state.withLock({ $0.decisions.isFarAhead(stream) }) {
                        try await committed.waitForBlock(block.header.number &+ 1 &- Decisions.window)
                    }
                }
            }
        } catch {
            guard !Task.isCancelled else { return }
            self.delivery.logger.debug(
                "no headers from an orderer",
                metadata: ["orderer": "\(stream.source)", "reason": "\(error)"]
            )
        }
        self.ended(stream)
    }

    private func ended(_ stream: Decisions.Stream) {
        self.state.withLock { _ = $0.open.removeValue(forKey: stream.number) }
        self.step { $0.ended(stream, at: $1) }
    }

    /// Runs `body` until it ends or the stream is to be closed.
    private static func run(
        until closing: Closing,
        _ body: @Sendable @escaping () async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await body() }
            group.addTask { for await _ in closing {} }
            defer { group.cancelAll() }
            try await group.next()
        }
    }
}
