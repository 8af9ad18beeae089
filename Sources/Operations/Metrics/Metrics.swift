package import CoreMetrics
internal import Synchronization

/// The metrics of one process.
///
/// Those that Weft has are asked for by their definition; libraries may use it as a `MetricsFactory`. Nothing is
/// global: whoever counts is given this.
///
/// ```swift
/// metrics.counter(.broadcastProcessedCount, "emissions", "ENDORSER_TRANSACTION", "SUCCESS").increment()
/// ```
///
/// A look-up takes a lock for some ten nanoseconds; hold on to a series whose labels don't change.
package final class Metrics: MetricsFactory, Sendable {
    /// Adds what is found out only when somebody asks.
    package typealias Collector = @Sendable (Metrics) -> Void

    private struct State {
        var families: [String: MetricFamily] = [:]
        var collectors: [Collector] = []
    }

    private let state = Mutex(State())
    private let keepsSamples: Bool

    /// - Parameter keepsSamples: Whether histograms keep the values themselves, for ``StatsDSender``.
    package init(keepsSamples: Bool = false) { self.keepsSamples = keepsSamples }

    /// A counter.
    ///
    /// - Parameters:
    ///   - definition: What is counted.
    ///   - labels: A value for each label of the definition, in its order.
    /// - Returns: The one series with these labels.
    package func counter(_ definition: MetricDefinition, _ labels: String...) -> CounterSeries {
        self.family(definition).counter(labels)
    }

    package func gauge(_ definition: MetricDefinition, _ labels: String...) -> GaugeSeries {
        self.family(definition).gauge(labels)
    }

    /// Shows these gauges of a metric and no others: what had other labels goes away.
    ///
    /// - Parameters:
    ///   - definition: What is measured.
    ///   - values: The labels of each gauge, in the definition's order, and its value.
    package func setGauges(_ definition: MetricDefinition, to values: [(labels: [String], value: Double)]) {
        let family = self.family(definition)
        for (labels, value) in values { family.gauge(labels).set(value) }
        family.keep(Set(values.map(\.labels)))
    }

    /// A count that somebody else keeps and that isn't whole, such as seconds of CPU time.
    func floatingCounter(_ definition: MetricDefinition) -> GaugeSeries { self.family(definition).gauge([]) }

    package func histogram(_ definition: MetricDefinition, _ labels: String...) -> HistogramSeries {
        self.family(definition).histogram(labels)
    }

    /// Has `collector` run whenever the metrics are looked at.
    package func collect(_ collector: @escaping Collector) {
        self.state.withLock { $0.collectors.append(collector) }
    }

    /// All metrics in Prometheus's text format, version 0.0.4.
    package func exposition() -> String { self.families().map { $0.exposition() }.joined() }

    /// All metrics, brought up to date, in order of their names.
    func families() -> [MetricFamily] {
        for collector in self.state.withLock({ $0.collectors }) { collector(self) }
        return self.state.withLock {
            $0.families.values.sorted { $0.definition.name < $1.definition.name }
        }
    }

    private func family(_ definition: MetricDefinition) -> MetricFamily {
        self.state.withLock { state in
            if let family = state.families[definition.name] { return family }
            let family = MetricFamily(definition, keepsSamples: self.keepsSamples)
            state.families[definition.name] = family
            return family
        }
    }

    // MARK: - MetricsFactory

    private func family(
        _ label: String,
        _ dimensions: [(String, String)],
        _ kind: MetricDefinition.Kind
    ) -> MetricFamily {
        self.family(
            MetricDefinition(
                label,
                kind,
                labels: dimensions.map(\.0).sorted(),
                help: "\(label), as a library names it."
            )
        )
    }

    package func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
        self.family(label, dimensions, .counter).counter(dimensions.inOrder)
    }

    package func makeFloatingPointCounter(
        label: String,
        dimensions: [(String, String)]
    ) -> any FloatingPointCounterHandler {
        self.family(label, dimensions, .gauge).gauge(dimensions.inOrder)
    }

    package func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
        self.family(label, dimensions, .gauge).gauge(dimensions.inOrder)
    }

    package func makeRecorder(
        label: String,
        dimensions: [(String, String)],
        aggregate: Bool
    ) -> any RecorderHandler {
        self.family(label, dimensions, .histogram(MetricDefinition.defaultBuckets)).histogram(
            dimensions.inOrder
        )
    }

    package func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
        self.family(label, dimensions, .histogram(MetricDefinition.defaultBuckets)).histogram(
            dimensions.inOrder
        )
    }

    package func destroyCounter(_ handler: any CounterHandler) {}
    package func destroyFloatingPointCounter(_ handler: any FloatingPointCounterHandler) {}
    package func destroyMeter(_ handler: any MeterHandler) {}
    package func destroyRecorder(_ handler: any RecorderHandler) {}
    package func destroyTimer(_ handler: any TimerHandler) {}
}

extension [(String, String)] {
    /// The values in the order of their names.
    fileprivate var inOrder: [String] { self.sorted { $0.0 < $1.0 }.map(\.1) }
}
