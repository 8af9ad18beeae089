package import Channel
internal import Cryptography
public import Foundation

/// Who signs: a member of an organization, with certificate and private key.
public struct ClientIdentity: Sendable {
    package let signer: SigningIdentity

    /// Makes an identity from its parts.
    ///
    /// - Parameters:
    ///   - mspID: The organization's MSP identifier on the channel, such as `UtilityMSP`.
    ///   - certificate: The enrollment certificate in PEM.
    ///   - privateKey: The private key of that certificate in PEM, not encrypted.
    /// - Throws: ``ClientError`` when a part can't be read or the key doesn't belong to the certificate.
    public init(mspID: String, certificate: Data, privateKey: Data) throws(ClientError) {
        do {
            self.signer = try SigningIdentity(
                mspID: MSPID(mspID),
                certificate: Certificate(pem: certificate),
                key: PrivateKey(pem: privateKey)
            )
        } catch {
            throw ClientError(.invalidArgument, "the identity of \(mspID) can't be used: \(error)")
        }
    }

    /// Takes an identity that is already read.
    package init(_ signer: SigningIdentity) {
        self.signer = signer
    }

    /// Calls `body`, which signs, where waiting for a hardware token does no harm.
    func signing<Value: Sendable>(_ body: @Sendable (SigningIdentity) throws -> Value) async throws -> Value {
        try await withTaskExecutorPreference(self.signer.executor) { try body(self.signer) }
    }

    /// The organization's MSP identifier.
    public var mspID: String { self.signer.mspID.description }
}

extension ConnectionSecurity {
    static func leaf(of pem: Data) throws(ClientError) -> Data {
        do {
            return try Certificate(pem: pem).der
        } catch {
            throw ClientError(.invalidArgument, "the TLS client certificate can't be read: \(error)")
        }
    }
}

/// 24 bytes that were never used before, for a signature header.
func freshNonce() throws(ClientError) -> Data {
    do {
        return try secureRandomBytes(24)
    } catch {
        throw ClientError(.failed, "the system gave no random bytes: \(error)")
    }
}
