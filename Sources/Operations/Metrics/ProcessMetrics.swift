internal import Foundation

/// What the operating system knows of this process, by the names that Prometheus clients give it.
///
/// - Source: Prometheus documentation, "Writing client libraries", standard collectors; proc(5).
package enum ProcessMetrics {
    private static let cpu = MetricDefinition.counter(
        "process.cpu_seconds_total",
        [],
        "CPU time used, in seconds."
    )
    private static let openFiles = MetricDefinition.gauge("process.open_fds", [], "Open file descriptors.")
    private static let maximumFiles = MetricDefinition.gauge(
        "process.max_fds",
        [],
        "How many file descriptors may be open."
    )
    private static let virtualMemory = MetricDefinition.gauge(
        "process.virtual_memory_bytes",
        [],
        "Virtual memory in bytes."
    )
    private static let residentMemory = MetricDefinition.gauge(
        "process.resident_memory_bytes",
        [],
        "Resident memory in bytes."
    )
    private static let start = MetricDefinition.gauge(
        "process.start_time_seconds",
        [],
        "When the process started, in seconds since 1970."
    )

    /// Brings the metrics up to date; for ``Metrics/collect(_:)``.
    @Sendable package static func collect(_ metrics: Metrics) {
        // After the name, which may hold anything: state is field 3 of proc(5).
        guard let stat = try? String(contentsOfFile: "/proc/self/stat", encoding: .utf8),
            let end = stat.lastIndex(of: ")")
        else { return }
        let fields = stat[stat.index(after: end)...].split(separator: " ")
        func field(_ number: Int) -> Double {
            fields.indices.contains(number - 3) ? Double(fields[number - 3]) ?? 0 : 0
        }
        let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
        metrics.floatingCounter(Self.cpu).set((field(14) + field(15)) / ticks)
        metrics.gauge(Self.virtualMemory).set(field(23))
        metrics.gauge(Self.residentMemory).set(field(24) * Double(sysconf(Int32(_SC_PAGESIZE))))
        if let boot = Self.bootTime() { metrics.gauge(Self.start).set(boot + field(22) / ticks) }
        if let open = try? FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd") {
            metrics.gauge(Self.openFiles).set(Int64(open.count))
        }
        var limit = rlimit()
        if getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            metrics.gauge(Self.maximumFiles).set(Double(limit.rlim_cur))
        }
    }

    private static func bootTime() -> Double? {
        guard let stat = try? String(contentsOfFile: "/proc/stat", encoding: .utf8),
            let line = stat.split(separator: "\n").first(where: { $0.hasPrefix("btime ") })
        else { return nil }
        return Double(line.dropFirst("btime ".count))
    }
}
