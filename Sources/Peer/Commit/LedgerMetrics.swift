internal import Channel
internal import FabricProtos
internal import Ledger
internal import Operations

/// What a peer counts about the ledger of one channel.
///
/// - Source: Fabric v3.1, packages `core/ledger/kvledger` and `common/ledger/blkstorage`.
struct LedgerMetrics {
    private let metrics: Metrics
    private let channel: String
    private let processing: HistogramSeries
    private let blockAndPrivateData: HistogramSeries
    private let log: HistogramSeries
    private let state: HistogramSeries

    init(_ metrics: Metrics, channel: ChannelID) {
        let channel = channel.description
        self.metrics = metrics
        self.channel = channel
        self.processing = metrics.histogram(.blockProcessingTime, channel)
        self.blockAndPrivateData = metrics.histogram(.blockAndPrivateDataCommitTime, channel)
        self.log = metrics.histogram(.blockstorageCommitTime, channel)
        self.state = metrics.histogram(.stateCommitTime, channel)
    }

    /// Which transactions are counted together.
    private struct Kind: Hashable {
        var type: String
        var chaincode: String
        var code: Protos_TxValidationCode
    }

    /// Counts a block that has been committed.
    func committed(_ block: CommittedBlock, _ transactions: [PreparedTransaction], took: Duration) {
        self.processing.record(took)
        self.log.record(block.durations.log)
        self.blockAndPrivateData.record(block.durations.log + block.durations.privateData)
        self.state.record(block.durations.state)
        var counts: [Kind: Int64] = [:]
        for (transaction, code) in zip(transactions, block.codes) {
            let (type, chaincode) = Self.labels(transaction)
            counts[Kind(type: type, chaincode: chaincode, code: code), default: 0] += 1
        }
        for (kind, count) in counts {
            self.metrics.counter(
                .transactionCount,
                self.channel,
                kind.type,
                kind.chaincode,
                kind.code.name
            ).increment(by: count)
        }
    }

    private static func labels(_ transaction: PreparedTransaction) -> (type: String, chaincode: String) {
        guard case .success(let decoded) = transaction.decoded else { return ("unknown", "unknown") }
        let type = Int(decoded.headers.channel.type)
        let name = Common_HeaderType(rawValue: type)?.name ?? "unknown"
        guard case .success(.endorser(let endorser)) = decoded.body else { return (name, "unknown") }
        return (name, "\(endorser.chaincode):\(endorser.chaincodeVersion)")
    }
}
