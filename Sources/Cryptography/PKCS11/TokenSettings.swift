package import FoundationEssentials

/// Where a hardware token is, and how to find keys in it.
///
/// - Source: Fabric v3.1, section `BCCSP.PKCS11` of `core.yaml` and `orderer.yaml`.
package struct TokenSettings: Sendable, Hashable {
    /// The file of the PKCS #11 library that speaks to the token.
    package var library: String
    package var label: String
    package var pin: String
    /// What keys that are not in ``keyIDs`` are found by, instead of their subject key identifier.
    package var alternativeID = ""
    /// What single keys are found by: lower-case hex of the subject key identifier, and the token's `CKA_ID`.
    package var keyIDs: [String: String] = [:]
    /// Whether keys made here can never be changed.
    package var isImmutable = false

    package init(library: String, label: String, pin: String) {
        self.library = library
        self.label = label
        self.pin = pin
    }

    /// The `CKA_ID` of the key with `subjectKeyIdentifier`.
    package func keyID(for subjectKeyIdentifier: Data) -> Data {
        if let id = self.keyIDs[hexadecimal(subjectKeyIdentifier)] { return Data(id.utf8) }
        return self.alternativeID.isEmpty ? subjectKeyIdentifier : Data(self.alternativeID.utf8)
    }
}
