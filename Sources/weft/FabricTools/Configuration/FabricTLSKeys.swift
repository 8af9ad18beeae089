import RPC

/// What the keys of a server's TLS are called, in one place of Fabric's files.
///
/// - Source: Fabric v3.1, sample configuration.
struct FabricTLSKeys {
    let enabled: String
    let certificate: String
    let key: String
    let isClientRequired: String
    let roots: String

    /// Keys with the names that `orderer.yaml` gives them, below a section.
    static func orderer(_ section: String) -> Self {
        Self(
            enabled: "\(section).Enabled",
            certificate: "\(section).Certificate",
            key: "\(section).PrivateKey",
            isClientRequired: "\(section).ClientAuthRequired",
            roots: "\(section).ClientRootCAs"
        )
    }

    /// Keys with the names that `core.yaml` gives them, below a section.
    static func core(_ section: String) -> Self {
        Self(
            enabled: "\(section).enabled",
            certificate: "\(section).cert.file",
            key: "\(section).key.file",
            isClientRequired: "\(section).clientAuthRequired",
            roots: "\(section).clientRootCAs.files"
        )
    }

    /// Reads the keys.
    ///
    /// - Parameters:
    ///   - settings: Where they are read.
    ///   - standard: Whether clients must present a certificate when the file doesn't say.
    ///   - asksOthers: Whether clients that needn't present a certificate may; else roots have no use, and the files that
    ///     the key names need not be there.
    ///   - ownRoots: The key whose roots are taken when ``roots`` names none.
    /// - Returns: The files; `nil` without TLS.
    /// - Throws: ``ConfigurationError`` when files are missing.
    func files(
        _ settings: FabricSettings,
        isRequired standard: Bool = false,
        asksOthers: Bool = false,
        ownRoots: String? = nil
    ) throws(ConfigurationError) -> TLSFiles? {
        guard try settings.flag(self.enabled) ?? false else { return nil }
        guard let certificate = try settings.path(self.certificate), let key = try settings.path(self.key)
        else {
            throw settings.error(self.enabled, "with TLS, \(self.certificate) and \(self.key) must be there")
        }
        let isRequired = try settings.flag(self.isClientRequired) ?? standard
        var roots = isRequired || asksOthers ? try settings.paths(self.roots) : []
        if isRequired, roots.isEmpty, let ownRoots { roots = try settings.paths(ownRoots) }
        guard !isRequired || !roots.isEmpty else {
            throw settings.error(
                self.roots,
                "missing; clients must present a certificate, so name the files of the roots that they lead to"
            )
        }
        return TLSFiles(
            certificate: certificate,
            key: key,
            roots: roots,
            clients: isRequired ? .required : roots.isEmpty ? .none : .requested
        )
    }
}
