import Operations
import RPC

/// What the operations service's keys are called in `core.yaml` and in `orderer.yaml`.
///
/// - Source: Fabric v3.1, sample configuration.
struct FabricOperationsKeys {
    private let listen: String
    private let tls: FabricTLSKeys
    private let provider: String
    private let statsD: (network: String, address: String, interval: String, prefix: String)

    static let core = Self(
        listen: "operations.listenAddress",
        tls: .core("operations.tls"),
        provider: "metrics.provider",
        statsD: (
            "metrics.statsd.network", "metrics.statsd.address", "metrics.statsd.writeInterval",
            "metrics.statsd.prefix"
        )
    )

    static let orderer = Self(
        listen: "Operations.ListenAddress",
        tls: .orderer("Operations.TLS"),
        provider: "Metrics.Provider",
        statsD: (
            "Metrics.Statsd.Network", "Metrics.Statsd.Address", "Metrics.Statsd.WriteInterval",
            "Metrics.Statsd.Prefix"
        )
    )

    /// The operations service; none without an address, unless metrics are to be sent.
    ///
    /// - Throws: ``ConfigurationError`` when TLS files are missing, or metrics can't be had as wanted.
    func files(_ settings: FabricSettings) throws(ConfigurationError) -> OperationsFiles? {
        let address = try settings.text(self.listen)
        let name = try settings.text(self.provider) ?? "disabled"
        let provider: OperationsEndpoints.MetricsProvider
        switch name {
        case "prometheus": provider = .prometheus
        case "statsd": provider = .statsD(try self.sender(settings))
        case "disabled": provider = .disabled
        default: throw settings.error(self.provider, OperationsFiles.unknown(name))
        }
        if case .statsD = provider {} else if address == nil { return nil }
        return OperationsFiles(
            listen: address,
            // Metrics and the logging specification are for those with a certificate, whatever the key says.
            tls: address == nil ? nil : try self.tls.files(settings, asksOthers: true),
            metrics: provider
        )
    }

    private func sender(_ settings: FabricSettings) throws(ConfigurationError) -> StatsDSender.Settings {
        var sender = StatsDSender.Settings()
        sender.network =
            try settings.value(
                self.statsD.network,
                expected: OperationsFiles.networks,
                StatsDSender.Settings.Network.init
            ) ?? sender.network
        sender.address =
            try settings.value(self.statsD.address, expected: "host:port", configuredAddress)
            ?? sender.address
        sender.interval =
            try settings.value(
                self.statsD.interval,
                expected: OperationsFiles.intervals,
                OperationsFiles.interval
            ) ?? sender.interval
        sender.prefix = try settings.text(self.statsD.prefix) ?? sender.prefix
        return sender
    }
}
