package import Cryptography
internal import FabricProtos
package import FoundationEssentials
internal import SwiftProtobuf

/// An identity whose private key this process holds, or can use in a hardware token.
package struct SigningIdentity: Sendable, CustomStringConvertible {
    package let mspID: MSPID
    /// The `SerializedIdentity` with the certificate in canonical PEM.
    package let serialized: Data
    package let certificate: Certificate
    private let key: any SigningKey
    private let hash: HashFunction

    /// Joins a certificate and its private key.
    ///
    /// - Parameters:
    ///   - mspID: the organization's MSP.
    ///   - certificate: the member's certificate.
    ///   - key: the private key to it.
    ///   - hash: what the organization's MSP signs with; SHA-256 in nearly every network.
    /// - Throws: ``IdentityError`` if the key is another's, or the certificate cannot be serialized.
    package init(
        mspID: MSPID,
        certificate: Certificate,
        key: any SigningKey,
        hash: HashFunction = .sha256
    ) throws(IdentityError) {
        guard certificate.publicKey == key.publicKey else {
            throw IdentityError(
                .malformed,
                "the private key does not belong to the certificate \(certificate); check keystore and signcerts"
            )
        }
        var serialized = Msp_SerializedIdentity()
        serialized.mspid = mspID.description
        serialized.idBytes = certificate.pem
        do {
            self.serialized = try serialized.serializedData()
        } catch {
            throw IdentityError(.malformed, "cannot serialize \(certificate): \(error)")
        }
        self.mspID = mspID
        self.certificate = certificate
        self.key = key
        self.hash = hash
    }

    package var description: String { "\(self.mspID) \(self.certificate.subject)" }

    /// Threads to sign on, if signing waits for a token; `nil` if it may happen anywhere.
    ///
    /// Code on Swift's cooperative threads signs inside
    /// `withTaskExecutorPreference(identity.executor) { … }`.
    package var executor: (any TaskExecutor)? { self.key.executor }

    /// Signs `message`: low-S DER for ECDSA, 64 bytes for Ed25519.
    package func sign(_ message: Data) throws(CryptographyError) -> Data {
        try self.key.sign(message, hash: self.hash)
    }
}
