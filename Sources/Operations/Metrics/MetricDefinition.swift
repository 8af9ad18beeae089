/// What a metric is called, what it tells, and by which labels it is divided.
package struct MetricDefinition: Sendable, Equatable {
    package enum Kind: Sendable, Equatable {
        case counter, gauge
        /// Upper bounds of the buckets, ascending, without infinity.
        case histogram([Double])
    }

    /// The name for StatsD, such as `ledger.blockchain_height`.
    package let path: String
    /// The name for Prometheus: the same with underscores for full stops, and for whatever else Prometheus refuses.
    package let name: String
    package var kind: Kind
    package var help: String
    package var labels: [String]

    package init(_ path: String, _ kind: Kind, labels: [String], help: String) {
        self.path = path
        self.name = Self.prometheusName(path)
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    static func counter(_ path: String, _ labels: [String], _ help: String) -> Self {
        Self(path, .counter, labels: labels, help: help)
    }

    static func gauge(_ path: String, _ labels: [String], _ help: String) -> Self {
        Self(path, .gauge, labels: labels, help: help)
    }

    /// A histogram of seconds.
    static func seconds(
        _ path: String,
        _ labels: [String],
        _ help: String,
        buckets: [Double] = Self.defaultBuckets
    ) -> Self {
        Self(path, .histogram(buckets), labels: labels, help: help)
    }

    /// Bounds in seconds that Prometheus clients use unless told otherwise.
    package static let defaultBuckets = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10]
    /// Bounds in seconds of what a ledger does with a block.
    ///
    /// - Source: Fabric v3.1, package `core/ledger/kvledger`.
    package static let ledgerBuckets = [0.005, 0.01, 0.015, 0.05, 0.1, 1, 10]

    private static func prometheusName(_ path: String) -> String {
        let text = path.map {
            $0.isASCII && ($0.isLetter || $0.isNumber || $0 == "_" || $0 == ":") ? $0 : "_"
        }
        return (text.first?.isNumber ?? true ? "_" : "") + String(text)
    }
}
