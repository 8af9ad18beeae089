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

    static let core = Self(
        listen: "operations.listenAddress",
        enabled: "operations.tls.enabled",
        certificate: "operations.tls.cert.file",
        key: "operations.tls.key.file",
        isClientRequired: "operations.tls.clientAuthRequired",
        roots: "operations.tls.clientRootCAs.files",
        provider: "metrics.provider"
    )

    static let orderer = Self(
        listen: "Operations.ListenAddress",
        enabled: "Operations.TLS.Enabled",
        certificate: "Operations.TLS.Certificate",
        key: "Operations.TLS.PrivateKey",
        isClientRequired: "Operations.TLS.ClientAuthRequired",
        roots: "Operations.TLS.ClientRootCAs",
        provider: "Metrics.Provider"
    )

    /// The operations service; none without an address.
    ///
    /// - Throws: ``ConfigurationError`` when TLS files are missing, or metrics can't be shown as wanted.
    func files(_ settings: FabricSettings) throws(ConfigurationError) -> OperationsFiles? {
        guard let address = try settings.text(self.listen), !address.isEmpty else { return nil }
        let name = try settings.text(self.provider) ?? "disabled"
        guard let provider = OperationsFiles.provider(name) else {
            throw settings.error(self.provider, OperationsFiles.problem(name))
        }
        return OperationsFiles(listen: address, tls: try self.tls(settings), metrics: provider)
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
