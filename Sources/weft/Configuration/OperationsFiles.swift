import Channel
import Operations
import RPC

/// Where a node shows its operator how it fares, and to whom.
///
/// ```yaml
/// operations:
///   listen: 127.0.0.1:9443
///   tls: { certificate: tls/server.crt, key: tls/server.key, roots: [tls/ca.crt], clients: requested }
///   metrics: prometheus          # or disabled, or statsd
///   statsd:
///     network: udp               # or tcp
///     address: 127.0.0.1:8125
///     interval: 30s
///     prefix: utility            # what all names begin with
/// ```
///
/// The keys of `tls` are those of the node's own; with `clients: requested`, `/healthz` and `/version` are for everybody.
/// Metrics go to StatsD also from a node without `listen`.
struct OperationsFiles: Equatable {
    /// The address as `host:port`; nothing is served when left out.
    var listen: String?
    /// Plaintext when left out.
    var tls: TLSFiles?
    var metrics: OperationsEndpoints.MetricsProvider

    init(listen: String?, tls: TLSFiles?, metrics: OperationsEndpoints.MetricsProvider = .prometheus) {
        self.listen = listen
        self.tls = tls
        self.metrics = metrics
    }

    init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["listen", "tls", "metrics", "statsd"])
        self.tls = try section.optionalSection("tls").map { section throws(ConfigurationError) in
            try TLSFiles(section)
        }
        self.listen = try section.optionalValue("listen", expected: "host:port", configuredAddress)
        let provider = try section.optionalValue("metrics", expected: Self.providers) { $0 }
        switch provider ?? "prometheus" {
        case "prometheus": self.metrics = .prometheus
        case "disabled": self.metrics = .disabled
        case "statsd": self.metrics = .statsD(try Self.statsD(section))
        case let other: throw section.error("metrics", Self.unknown(other))
        }
        if case .statsD = self.metrics { return }
        // Whoever asks for operations and leaves the address out has forgotten it.
        self.listen = try section.value("listen", expected: "host:port", configuredAddress)
    }

    private static func statsD(_ section: ConfigurationSection) throws(ConfigurationError)
        -> StatsDSender.Settings
    {
        var settings = StatsDSender.Settings()
        guard let section = try section.optionalSection("statsd") else { return settings }
        try section.allow(keys: ["network", "address", "interval", "prefix"])
        settings.network =
            try section.optionalValue("network", expected: Self.networks, StatsDSender.Settings.Network.init)
            ?? settings.network
        settings.address =
            try section.optionalValue("address", expected: "host:port", configuredAddress) ?? settings.address
        settings.interval =
            try section.optionalValue("interval", expected: Self.intervals, Self.interval)
            ?? settings.interval
        settings.prefix = try section.optionalValue("prefix", expected: "a text") { $0 } ?? settings.prefix
        return settings
    }

    // MARK: - What the keys may say, also Fabric's

    static let providers = "prometheus, statsd or disabled"
    static let networks = "udp or tcp"
    static let intervals = "a duration above 0, such as 30s"

    static func interval(_ text: String) -> Duration? {
        GoDuration.parse(text).flatMap { $0 > .zero ? $0 : nil }
    }

    /// Why a provider of metrics can't be used.
    static func unknown(_ provider: String) -> String {
        "\"\(provider)\" is not valid; expected \(Self.providers)"
    }
}
