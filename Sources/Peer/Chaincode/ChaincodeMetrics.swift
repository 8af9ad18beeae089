internal import FabricProtos
internal import Operations

/// What is counted of contracts in processes of their own; the label `chaincode` is the package's identifier.
///
/// - Source: Fabric v3.1, package `core/chaincode`.
struct ChaincodeMetrics: Sendable {
    private let metrics: Metrics
    private let packageID: String

    init(_ metrics: Metrics, packageID: String) {
        self.metrics = metrics
        self.packageID = packageID
    }

    /// A connection was made and the contract has registered, or not.
    func launched(after duration: Duration, succeeded: Bool) {
        self.metrics.histogram(.launchDuration, self.packageID, "\(succeeded)").record(duration)
        guard !succeeded else { return }
        self.metrics.counter(.launchFailures, self.packageID).increment()
    }

    func executionTimedOut() {
        self.metrics.counter(.executeTimeouts, self.packageID).increment()
    }

    /// Counts a request of a contract while it is answered.
    func counting(
        _ request: Protos_ChaincodeMessage,
        _ answer: () async -> Protos_ChaincodeMessage
    ) async -> Protos_ChaincodeMessage {
        let (type, channel) = (request.type.name, request.channelID)
        self.metrics.counter(.shimRequestsReceived, type, channel, self.packageID).increment()
        let begin = ContinuousClock.now
        let answer = await answer()
        let succeeded = "\(answer.type != .error)"
        self.metrics.histogram(.shimRequestDuration, type, channel, self.packageID, succeeded)
            .record(ContinuousClock.now - begin)
        self.metrics.counter(.shimRequestsCompleted, type, channel, self.packageID, succeeded).increment()
        return answer
    }
}
