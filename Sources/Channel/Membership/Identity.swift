package import Cryptography
package import FoundationEssentials

/// What tells two identities apart, whatever PEM text carried them.
///
/// - Source: Fabric v3.1, `msp` package, `IdentityIdentifier`.
package struct IdentityIdentifier: Hashable, Sendable, CustomStringConvertible {
    package let mspID: MSPID
    /// Lower-case hex of the digest of the sanitised certificate's DER.
    package let id: String

    package var description: String { "\(self.mspID)/\(self.id)" }
}

/// One organizational unit of an identity, and who vouches for it.
package struct OrganizationalUnit: Sendable {
    package let name: String
    /// The digest of the DER of the certificates from the issuer up to the root, concatenated.
    package let certifiersIdentifier: Data
}

/// A member of an organization, or one who claims to be: a certificate that an MSP has read.
///
/// Reading an identity does not make it valid; ask ``MSP/validate(_:)``. Two identities are equal if their
/// ``identifier`` is.
package final class Identity: Sendable, Hashable, CustomStringConvertible {
    package let mspID: MSPID
    /// The `SerializedIdentity` as it was received.
    package let serialized: Data
    /// The certificate as it was received.
    package let received: Certificate
    /// The certificate with its signature brought to low S.
    package let certificate: Certificate
    package let identifier: IdentityIdentifier
    /// All organizational units of the subject, in order; none if no chain leads to the MSP's roots.
    package let organizationalUnits: [OrganizationalUnit]

    /// The hash function for signatures, or `nil` if the MSP's configuration names none that exists.
    let signatureHash: HashFunction?
    /// Why the identity is not valid under the MSP that read it; `nil` if it is.
    let fault: IdentityError?
    /// The MSP that read it.
    let origin: MSPOrigin

    init(
        mspID: MSPID,
        serialized: Data,
        received: Certificate,
        certificate: Certificate,
        identifier: IdentityIdentifier,
        organizationalUnits: [OrganizationalUnit],
        signatureHash: HashFunction?,
        fault: IdentityError?,
        origin: MSPOrigin
    ) {
        self.mspID = mspID
        self.serialized = serialized
        self.received = received
        self.certificate = certificate
        self.identifier = identifier
        self.organizationalUnits = organizationalUnits
        self.signatureHash = signatureHash
        self.fault = fault
        self.origin = origin
    }

    package static func == (left: Identity, right: Identity) -> Bool {
        left === right || left.identifier == right.identifier
    }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.identifier) }

    package var description: String { "\(self.mspID) \(self.certificate.subject)" }

    /// Checks that this identity's key signed `message`; says nothing about the identity's validity.
    ///
    /// - Parameters:
    ///   - signature: low-S DER for ECDSA, 64 bytes for Ed25519.
    ///   - message: what was signed, as transmitted.
    /// - Throws: ``IdentityError`` with code `badSignature` and the reason.
    package func verify(_ signature: Data, of message: Data) throws(IdentityError) {
        guard let hash = self.signatureHash else {
            throw IdentityError(
                .badSignature,
                "\(self.mspID) is configured with an unknown signature hash family; use SHA2 or SHA3"
            )
        }
        let verdict = self.certificate.publicKey.verify(signature, of: message, hash: hash)
        if case .invalid(let fault) = verdict { throw IdentityError(.badSignature, "\(self): \(fault)") }
    }

    /// Whether the certificate has expired at `time`.
    ///
    /// Expiry is not part of validity: only the filters at the doors of a node look at it.
    package func isExpired(at time: Date) -> Bool { self.certificate.isExpired(at: time) }
}

/// Tells instances of ``MSP`` apart, also after one is gone.
final class MSPOrigin: Sendable {}
