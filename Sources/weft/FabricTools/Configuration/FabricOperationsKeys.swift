import Operations
import RPC

/// What the operations service's keys are called in `core.yaml` and in `orderer.yaml`.
///
/// - Source: Fabric v3.1, sample configuration.
struct FabricOperationsKeys {
    private let listen: String
    private let enabled: String
    private let certificate: String
    private let key: String
    private let isClientRequired: String
    private let roots: String
    private let provider: String
    private let statsD: (network: String, address: String, interval: String, prefix: String)

    static let core = Self(
        listen: "operations.listenAddress",
        enabled: "operations.tls.enabled",
        certificate: "operations.tls.cert.file",
        key: "operations.tls.key.file",
        isClientRequired: "operations.tls.clientAuthRequired",
        roots: "operations.tls.clientRootCAs.files",
        provider: "metrics.provider",
        statsD: (
            "metrics.statsd.network", "metrics.statsd.address", "metrics.statsd.writeInterval",
            "metrics.statsd.prefix"
        )
    )

    static let orderer = Self(
        listen: "Operations.ListenAddress",
        enabled: "Operations.TLS.Enabled",
        certificate: "Operations.TLS.Certificate",
        key: "Operations.TLS.PrivateKey",
        isClientRequired: "Operations.TLS.ClientAuthRequired",
        roots: "Operations.TLS.ClientRootCAs",
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
            tls: address == nil ? nil : try self.tls(settings),
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

    private func tls(_ settings: FabricSettings) throws(ConfigurationError) -> TLSFiles? {
        guard try settings.flag(self.enabled) ?? false else { return nil }
        guard let certificate = try settings.path(self.certificate), let key = try settings.path(self.key)
        else {
            throw settings.error(self.enabled, "with TLS, \(self.certificate) and \(self.key) must be there")
        }
        let isRequired = try settings.flag(self.isClientRequired) ?? false
        let roots = try settings.paths(self.roots)
        guard !isRequired || !roots.isEmpty else {
            throw settings.error(
                self.roots,
                "missing; clients must present a certificate, so name the files of the roots that they lead to"
            )
        }
        // Metrics and the logging specification are for those with a certificate, whatever the key says.
        return TLSFiles(
            certificate: certificate,
            key: key,
            roots: roots,
            clients: isRequired ? .required : roots.isEmpty ? .none : .requested
        )
    }
}
