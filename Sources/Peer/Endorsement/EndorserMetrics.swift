internal import Operations
internal import Synchronization

/// What an endorser counts.
///
/// - Source: Fabric v3.1, package `core/endorser`.
struct EndorserMetrics {
    private let metrics: Metrics
    private let proposals: CounterSeries
    private let successful: CounterSeries
    private let refusals: CounterSeries

    init(_ metrics: Metrics) {
        self.metrics = metrics
        self.proposals = metrics.counter(.proposalsReceived)
        self.successful = metrics.counter(.successfulProposals)
        self.refusals = metrics.counter(.proposalValidationFailures)
    }

    func received() -> Proposal {
        self.proposals.increment()
        return Proposal(owner: self)
    }

    /// One proposal on its way.
    final class Proposal: Sendable {
        private struct State {
            /// Where it goes, once it has passed the first checks.
            var target: (channel: String, chaincode: String)?
        }

        private let owner: EndorserMetrics
        private let start = ContinuousClock.now
        private let state = Mutex(State())

        init(owner: EndorserMetrics) { self.owner = owner }

        /// It may be simulated.
        func accepted(channel: String, chaincode: String) {
            self.state.withLock { $0.target = (channel, chaincode) }
        }

        func simulationFailed() {
            guard let (channel, chaincode) = self.state.withLock({ $0.target }) else { return }
            self.owner.metrics.counter(.proposalSimulationFailures, channel, chaincode).increment()
        }

        /// It was refused before it was simulated, or could not be answered.
        func refused() {
            self.owner.refusals.increment()
        }

        /// - Parameter status: That of the answer; what is below 400 is endorsed.
        func answered(_ status: Int32) {
            guard let (channel, chaincode) = self.state.withLock({ $0.target }) else { return self.refused() }
            let succeeded = status < 400
            self.owner.metrics.histogram(.proposalDuration, channel, chaincode, "\(succeeded)")
                .record(ContinuousClock.now - self.start)
            guard !succeeded else { return self.owner.successful.increment() }
            let isOwn = status < 500
            self.owner.metrics.counter(.endorsementFailures, channel, chaincode, "\(isOwn)").increment()
        }
    }
}
