internal import COpenSSL
package import FoundationEssentials

/// A private key, held ready for signing.
///
/// Why `@unchecked`: the pointers never change after `init`; OpenSSL allows one `EVP_PKEY` to be used from many
/// threads, and the prepared context is only ever copied from.
package final class PrivateKey: @unchecked Sendable {
    /// The kinds of key that can be generated.
    package enum Kind: String, Sendable, CaseIterable {
        case p256 = "P-256"
        case p384 = "P-384"
        case ed25519 = "Ed25519"
    }

    package let publicKey: PublicKey
    private let key: OpaquePointer
    /// Ready to sign with; `nil` unless the key is ECDSA.
    private let signer: OpaquePointer?

    package var algorithm: KeyAlgorithm { self.publicKey.algorithm }

    /// Makes a new key.
    package static func generate(_ kind: Kind) throws(CryptographyError) -> PrivateKey {
        let key =
            switch kind {
            case .p256, .p384: weft_generate_elliptic_curve_key(kind.rawValue)
            case .ed25519: weft_generate_ed25519_key()
            }
        guard let key else {
            throw CryptographyError(
                code: .unsupportedKey,
                message: "cannot generate a \(kind.rawValue) key: \(takeOpenSSLReason())"
            )
        }
        return try PrivateKey(owning: key)
    }

    /// Reads an unencrypted key: `PRIVATE KEY` (PKCS#8) or `EC PRIVATE KEY` (SEC 1).
    ///
    /// - Throws: ``CryptographyError`` if there is no such block, it is encrypted, or the key is not ECDSA or
    ///   Ed25519.
    package convenience init(pem: Data) throws(CryptographyError) {
        guard let block = PEMBlock.all(in: pem).first(where: { $0.type.hasSuffix("PRIVATE KEY") }) else {
            throw CryptographyError(
                code: .malformedPEM,
                message: "no private key: expected a block \"BEGIN PRIVATE KEY\" or \"BEGIN EC PRIVATE KEY\""
            )
        }
        guard block.type != "ENCRYPTED PRIVATE KEY", !block.hasHeaders else {
            throw CryptographyError(
                code: .unsupportedKey,
                message: "the private key is encrypted; decrypt it with: openssl pkey -in FILE -out PLAIN"
            )
        }
        let key = block.contents.withUnsafeBytes { bytes in
            var start = bytes.bindMemory(to: UInt8.self).baseAddress
            return d2i_AutoPrivateKey(nil, &start, bytes.count)
        }
        guard let key else {
            throw CryptographyError(
                code: .malformedKey,
                message: "the block \"\(block.type)\" is not a private key: \(takeOpenSSLReason())"
            )
        }
        try self.init(owning: key)
    }

    /// Takes over `key`, also when it throws.
    private init(owning key: OpaquePointer) throws(CryptographyError) {
        do throws(CryptographyError) {
            var encoded: UnsafeMutablePointer<UInt8>?
            let count = i2d_PUBKEY(key, &encoded)
            defer { CRYPTO_free(encoded, nil, 0) }
            guard count > 0, let encoded else {
                throw CryptographyError(
                    code: .malformedKey,
                    message: "the private key has no public key: \(takeOpenSSLReason())"
                )
            }
            self.publicKey = try PublicKey(der: Data(bytes: encoded, count: Int(count)))
            switch self.publicKey.algorithm {
            case .ecdsa:
                guard let signer = EVP_PKEY_CTX_new(key, nil), EVP_PKEY_sign_init(signer) == 1 else {
                    throw CryptographyError(code: .unsupportedKey, message: takeOpenSSLReason())
                }
                self.signer = signer
            case .ed25519:
                self.signer = nil
            case .rsa, .other:
                throw CryptographyError(
                    code: .unsupportedKey,
                    message: "\(self.publicKey.algorithm) keys cannot sign here; use ECDSA (P-256) or Ed25519"
                )
            }
            self.key = key
        } catch {
            EVP_PKEY_free(key)
            throw error
        }
    }

    deinit {
        EVP_PKEY_CTX_free(self.signer)
        EVP_PKEY_free(self.key)
    }

    /// The key as unencrypted PKCS#8 in PEM.
    package func pem() throws(CryptographyError) -> Data {
        guard let information = EVP_PKEY2PKCS8(self.key) else {
            throw CryptographyError(
                code: .unsupportedKey,
                message: "cannot export the key: \(takeOpenSSLReason())"
            )
        }
        defer { PKCS8_PRIV_KEY_INFO_free(information) }
        var encoded: UnsafeMutablePointer<UInt8>?
        let count = i2d_PKCS8_PRIV_KEY_INFO(information, &encoded)
        guard count > 0, let encoded else {
            throw CryptographyError(
                code: .unsupportedKey,
                message: "cannot export the key: \(takeOpenSSLReason())"
            )
        }
        defer { CRYPTO_clear_free(encoded, Int(count), nil, 0) }
        return PEMBlock.encode(Data(bytes: encoded, count: Int(count)), type: "PRIVATE KEY")
    }

    /// Signs `message`.
    ///
    /// - Parameters:
    ///   - message: what is signed.
    ///   - hash: the digest function for ECDSA; SHA-256 whatever the curve, as Fabric does. Ed25519 ignores it.
    /// - Returns: low-S DER for ECDSA, 64 bytes for Ed25519.
    /// - Throws: ``CryptographyError`` if the library cannot sign, for instance for want of random bytes.
    package func sign(_ message: Data, hash: HashFunction = .sha256) throws(CryptographyError) -> Data {
        guard case .ecdsa(let curve) = self.algorithm else { return try self.signWhole(message) }
        let signature = withUnsafeTemporaryAllocation(byteCount: 64 + 160, alignment: 8) { buffer -> Data? in
            Digest.hash(message, with: hash, into: buffer)
            guard let start = buffer.bindMemory(to: UInt8.self).baseAddress,
                let context = EVP_PKEY_CTX_dup(self.signer)
            else { return nil }
            defer { EVP_PKEY_CTX_free(context) }
            var count = 160
            guard EVP_PKEY_sign(context, start + 64, &count, start, hash.byteCount) == 1 else { return nil }
            return Data(bytes: start + 64, count: count)
        }
        guard let signature else {
            throw CryptographyError(code: .signing, message: "cannot sign: \(takeOpenSSLReason())")
        }
        do throws(SignatureFault) {
            return try ECDSASignature.lowS(of: signature, on: curve) ?? signature
        } catch {
            throw CryptographyError(code: .signing, message: "the library made a bad signature: \(error)")
        }
    }

    private func signWhole(_ message: Data) throws(CryptographyError) -> Data {
        guard let context = EVP_MD_CTX_new(),
            EVP_DigestSignInit(context, nil, nil, nil, self.key) == 1
        else { throw CryptographyError(code: .signing, message: "cannot sign: \(takeOpenSSLReason())") }
        defer { EVP_MD_CTX_free(context) }
        var signature = Data(count: 64)
        var count = 64
        let status = signature.withUnsafeMutableBytes { signature in
            message.withUnsafeBytes { message in
                EVP_DigestSign(
                    context,
                    signature.bindMemory(to: UInt8.self).baseAddress,
                    &count,
                    message.bindMemory(to: UInt8.self).baseAddress,
                    message.count
                )
            }
        }
        guard status == 1, count == 64 else {
            throw CryptographyError(code: .signing, message: "cannot sign: \(takeOpenSSLReason())")
        }
        return signature
    }
}
