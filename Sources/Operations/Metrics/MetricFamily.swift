internal import Synchronization

/// All series of one metric.
final class MetricFamily: Sendable {
    enum Series {
        case counter(CounterSeries)
        case gauge(GaugeSeries)
        case histogram(HistogramSeries)
    }

    /// How many series there may be; what comes after shares one whose labels are all `other`, so that labels that
    /// come from a client can't fill the memory.
    static let limit = 5000

    let definition: MetricDefinition
    private let series = Mutex<[[String]: Series]>([:])

    private let keepsSamples: Bool

    /// - Parameters:
    ///   - definition: The metric.
    ///   - keepsSamples: Whether histograms keep the values themselves for ``HistogramSeries/takeSamples()``.
    init(_ definition: MetricDefinition, keepsSamples: Bool = false) {
        self.definition = definition
        self.keepsSamples = keepsSamples
    }

    func counter(_ labels: [String]) -> CounterSeries {
        if case .counter(let counter) = self.find(labels, { .counter(CounterSeries()) }) { return counter }
        // Somebody gave two kinds one name: count where nobody looks rather than stop.
        return CounterSeries()
    }

    func gauge(_ labels: [String]) -> GaugeSeries {
        if case .gauge(let gauge) = self.find(labels, { .gauge(GaugeSeries()) }) { return gauge }
        return GaugeSeries()
    }

    func histogram(_ labels: [String]) -> HistogramSeries {
        guard case .histogram(let bounds) = self.definition.kind else { return HistogramSeries(bounds: []) }
        let make = { Series.histogram(HistogramSeries(bounds: bounds, keepsSamples: self.keepsSamples)) }
        if case .histogram(let histogram) = self.find(labels, make) { return histogram }
        return HistogramSeries(bounds: bounds)
    }

    /// Forgets the series whose labels are not among `labels`.
    func keep(_ labels: Set<[String]>) {
        self.series.withLock { series in series = series.filter { labels.contains($0.key) } }
    }

    private func find(_ labels: [String], _ make: () -> Series) -> Series {
        self.series.withLock { series in
            if let known = series[labels] { return known }
            let key = series.count < Self.limit ? labels : labels.map { _ in "other" }
            if let known = series[key] { return known }
            let new = make()
            series[key] = new
            return new
        }
    }

    /// All series with their labels, in order.
    var all: [(labels: [String], series: Series)] {
        self.series.withLock { series in
            series.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { ($0.key, $0.value) }
        }
    }

    // MARK: - Exposition

    /// The lines of this metric; none while it has no series.
    ///
    /// - Source: Prometheus documentation, "Exposition formats", text format 0.0.4.
    func exposition() -> String {
        let all = self.all
        guard !all.isEmpty else { return "" }
        let name = self.definition.name
        let kind =
            switch self.definition.kind {
            case .counter: "counter"
            case .gauge: "gauge"
            case .histogram: "histogram"
            }
        let help = self.definition.help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        var text = "# HELP \(name) \(help)\n# TYPE \(name) \(kind)\n"
        for (labels, series) in all {
            switch series {
            case .counter(let counter): text += self.line("", labels, counter.value)
            case .gauge(let gauge): text += self.line("", labels, gauge.value)
            case .histogram(let histogram):
                let snapshot = histogram.snapshot
                for (bound, count) in snapshot.cumulative {
                    text += self.line("_bucket", labels, Double(count), bound: Self.number(bound))
                }
                text += self.line("_bucket", labels, Double(snapshot.count), bound: "+Inf")
                text += self.line("_sum", labels, snapshot.sum)
                text += self.line("_count", labels, Double(snapshot.count))
            }
        }
        return text
    }

    private func line(_ suffix: String, _ labels: [String], _ value: Double, bound: String? = nil) -> String {
        var pairs = zip(self.definition.labels, labels).map { "\($0)=\"\(Self.escaped($1))\"" }
        if let bound { pairs.append("le=\"\(bound)\"") }
        let list = pairs.isEmpty ? "" : "{\(pairs.joined(separator: ","))}"
        return "\(self.definition.name)\(suffix)\(list) \(Self.number(value))\n"
    }

    private static func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }

    private static func number(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Inf" : "+Inf" }
        if let whole = Int64(exactly: value) { return "\(whole)" }
        return "\(value)"
    }
}
