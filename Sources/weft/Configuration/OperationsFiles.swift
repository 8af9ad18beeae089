import Operations
import RPC

/// Where a node shows its operator how it fares, and to whom.
///
/// ```yaml
/// operations:
///   listen: 127.0.0.1:9443
///   tls: { certificate: tls/server.crt, key: tls/server.key, roots: [tls/ca.crt], clients: requested }
///   metrics: prometheus          # or disabled
/// ```
///
/// The keys of `tls` are those of the node's own; with `clients: requested`, `/healthz` and `/version` are for everybody.
struct OperationsFiles: Equatable {
    /// The address as `host:port`.
    var listen: String
    /// Plaintext when left out.
    var tls: TLSFiles?
    var metrics: OperationsEndpoints.MetricsProvider

    init(listen: String, tls: TLSFiles?, metrics: OperationsEndpoints.MetricsProvider = .prometheus) {
        self.listen = listen
        self.tls = tls
        self.metrics = metrics
    }

    init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["listen", "tls", "metrics"])
        self.listen = try section.value("listen", expected: "host:port", configuredAddress)
        self.tls = try section.optionalSection("tls").map { section throws(ConfigurationError) in
            try TLSFiles(section)
        }
        let provider = try section.optionalValue("metrics", expected: "prometheus or disabled") { $0 }
        self.metrics = .prometheus
        guard let provider else { return }
        guard let known = Self.provider(provider) else {
            throw section.error("metrics", Self.problem(provider))
        }
        self.metrics = known
    }

    /// What Fabric's key `metrics.provider` may say.
    static func provider(_ name: String) -> OperationsEndpoints.MetricsProvider? {
        OperationsEndpoints.MetricsProvider(rawValue: name)
    }

    /// Why a provider of metrics can't be used.
    static func problem(_ provider: String) -> String {
        provider == "statsd"
            ? "Weft doesn't send metrics to StatsD; choose prometheus and have /metrics scraped, or disabled"
            : "\"\(provider)\" is not valid; expected prometheus or disabled"
    }
}
