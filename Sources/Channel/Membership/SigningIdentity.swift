package import Cryptography
internal import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// An identity together with its private key: what a node or a client signs with.
package struct SigningIdentity: Sendable {
    package let mspID: MSPID
    package let certificate: Certificate
    /// `msp.SerializedIdentity` with the certificate in PEM: the creator in every header that this identity makes.
    package let serialized: Data
    private let key: PrivateKey

    /// Joins a certificate and its key.
    ///
    /// - Throws: `CryptographyError` if `key` is not the certificate's.
    package init(mspID: MSPID, certificate: Certificate, key: PrivateKey) throws {
        guard certificate.publicKey == key.publicKey else {
            throw MismatchedKey(mspID: mspID, certificate: certificate.description)
        }
        self.mspID = mspID
        self.certificate = certificate
        self.key = key
        var identity = Msp_SerializedIdentity()
        identity.mspid = mspID.description
        identity.idBytes = certificate.pem
        self.serialized = try identity.serializedBytes()
    }

    /// Signs `message`: ECDSA over its SHA-256 with low S, or Ed25519 over the message itself.
    ///
    /// - Source: Fabric v3, package `msp`, signing identities.
    package func sign(_ message: Data) throws -> Data {
        try self.key.sign(message)
    }
}

/// A private key that does not belong to the certificate beside it.
package struct MismatchedKey: Error, Sendable, CustomStringConvertible {
    package var mspID: MSPID
    package var certificate: String

    package var description: String {
        "the private key of \(self.mspID) is not the one of certificate \(self.certificate): "
            + "put the key that belongs to it into the keystore"
    }
}
