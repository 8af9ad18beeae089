package import Cryptography
internal import FoundationEssentials

/// Where a process finds the private key of its enrollment certificate.
///
/// - Source: Fabric v3.1, section `BCCSP` of `core.yaml` and `orderer.yaml`.
package enum KeyProvider: Sendable {
    /// Files: those in a folder, or, without one, those in `keystore` of the MSP folder.
    case files(keystore: String? = nil)
    /// A hardware token, and nothing else: there is no falling back to files.
    case token(Token)
}

/// The section `BCCSP`, by which Fabric's programs choose between key files and a hardware token.
package struct ProviderSettings: Sendable, Hashable {
    /// `SW` or `PKCS11`.
    package var provider = "SW"
    /// The folder with key files; `keystore` in the MSP folder if empty.
    package var keystore = ""
    /// What the token is; read only if ``provider`` is `PKCS11`.
    package var token: TokenSettings?

    package init() {}

    /// Opens what the section names.
    ///
    /// Waits for the device.
    ///
    /// - Throws: ``AuthorityError`` if the section is incomplete, or the token cannot be reached.
    package func open() throws(AuthorityError) -> KeyProvider {
        switch self.provider.uppercased() {
        case "SW", "":
            return .files(keystore: self.keystore.isEmpty ? nil : self.keystore)
        case "PKCS11":
            guard let token, !token.library.isEmpty, !token.label.isEmpty, !token.pin.isEmpty else {
                throw AuthorityError(.missing, "BCCSP.PKCS11 needs Library, Label and Pin")
            }
            return .token(try reportingFailures("open the token") { try Token(token) })
        default:
            throw AuthorityError(
                .invalidRequest,
                "BCCSP.Default is \"\(self.provider)\"; use SW (key files) or PKCS11 (a token)"
            )
        }
    }
}
