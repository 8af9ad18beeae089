internal import Foundation

/// What has happened to the metrics since the last look, in the lines of StatsD.
///
/// A counter says how much was added, and nothing when nothing was; a gauge its value; a histogram each of its values,
/// in seconds although the line says milliseconds, as Fabric sends them. Where there were more values than are kept, the
/// line says which part of them they are.
///
/// - Source: StatsD, "Metric types"; Fabric v3.1, package `common/metrics/statsd`, and the metrics reference for names.
struct StatsDReport {
    /// Bytes of one datagram, so that it fits a frame of Ethernet.
    ///
    /// - Source: StatsD, "Multi-metric packets".
    static let datagramBytes = 1432

    private let prefix: String
    /// How much each counter had counted at the last look.
    private var counts: [String: Double] = [:]

    /// - Parameter prefix: What all names begin with; a full stop is put behind it where there is none.
    init(prefix: String) {
        self.prefix = prefix.isEmpty || prefix.hasSuffix(".") ? prefix : prefix + "."
    }

    /// The lines, without their ends.
    mutating func lines(_ metrics: Metrics) -> [String] {
        var lines: [String] = []
        for family in metrics.families() {
            let path = self.prefix + Self.cleaned(family.definition.path, keeping: ".")
            for (labels, series) in family.all {
                let name = ([path] + labels.map { Self.cleaned($0) }).joined(separator: ".")
                switch series {
                case .counter(let counter):
                    let added = counter.value - (self.counts.updateValue(counter.value, forKey: name) ?? 0)
                    if added > 0 { lines.append("\(name):\(Self.number(added))|c") }
                case .gauge(let gauge):
                    guard gauge.value.isFinite else { continue }
                    // A sign would say how much to add.
                    if gauge.value < 0 { lines.append("\(name):0|g") }
                    lines.append("\(name):\(Self.number(gauge.value))|g")
                case .histogram(let histogram):
                    let (values, count) = histogram.takeSamples()
                    let rate = Double(values.count) / Double(max(1, count))
                    let sampling = values.count < count ? "|@\(Self.number(rate))" : ""
                    lines += values.filter(\.isFinite).map { "\(name):\(Self.number($0))|ms\(sampling)" }
                }
            }
        }
        return lines
    }

    /// The lines, with their ends, in datagrams of at most ``datagramBytes``; a longer line has one of its own.
    static func datagrams(_ lines: [String]) -> [String] {
        var datagrams: [String] = []
        for line in lines.map({ $0 + "\n" }) {
            if let last = datagrams.last, last.utf8.count + line.utf8.count <= Self.datagramBytes {
                datagrams[datagrams.count - 1] += line
            } else {
                datagrams.append(line)
            }
        }
        return datagrams
    }

    /// A part of a name, without what has a meaning in StatsD's lines.
    private static func cleaned(_ text: String, keeping kept: Character? = nil) -> String {
        String(text.map { $0 != kept && (".|:@#".contains($0) || $0.isWhitespace) ? "_" : $0 })
    }

    private static func number(_ value: Double) -> String { String(format: "%f", value) }
}
