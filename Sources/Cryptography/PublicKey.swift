internal import COpenSSL
package import FoundationEssentials

/// The kind of a public key.
package enum KeyAlgorithm: Sendable, Hashable, CustomStringConvertible {
    case ecdsa(EllipticCurve)
    case ed25519
    /// Read, so that certificates with such keys can be named in errors, and used to check certificates only.
    case rsa
    /// A kind that cannot verify anything here, by its object identifier.
    case other(String)

    package var description: String {
        switch self {
        case .ecdsa(let curve): "ECDSA \(curve.rawValue)"
        case .ed25519: "Ed25519"
        case .rsa: "RSA"
        case .other(let identifier): "algorithm \(identifier)"
        }
    }
}

/// A public key, held ready for verifying.
///
/// Verifying makes no key, parses nothing but the signature, and looks no algorithm up.
///
/// Why `@unchecked`: the pointers never change after `init`; OpenSSL allows one `EVP_PKEY` to be used from many
/// threads, and the prepared context is only ever copied from.
package final class PublicKey: @unchecked Sendable, Hashable {
    package let algorithm: KeyAlgorithm
    /// SubjectPublicKeyInfo (RFC 5280, 4.1) in DER, as it was received.
    package let der: Data
    /// The contents of the key's bit string: the uncompressed point 04 ‖ X ‖ Y for ECDSA, 32 bytes for Ed25519.
    package let rawRepresentation: Data

    private let key: OpaquePointer?
    /// Ready to verify with; `nil` unless the key is ECDSA.
    private let verifier: OpaquePointer?

    /// Reads a SubjectPublicKeyInfo.
    ///
    /// - Throws: ``CryptographyError`` if it is malformed, or a curve point is compressed, off its curve or on a
    ///   curve other than P-224, P-256, P-384 and P-521.
    package convenience init(der: Data) throws(CryptographyError) {
        try self.init(SubjectPublicKeyInfo(der: der))
    }

    /// Reads the first block of `pem`: a `PUBLIC KEY`, or a `CERTIFICATE REQUEST` (PKCS #10), which its key must have
    /// signed.
    package convenience init(pem: Data) throws(CryptographyError) {
        let block = PEMBlock(firstIn: pem)
        switch block?.type {
        case "PUBLIC KEY":
            try self.init(der: block?.contents ?? Data())
        case "CERTIFICATE REQUEST", "NEW CERTIFICATE REQUEST":
            try self.init(SubjectPublicKeyInfo(certificateRequest: block?.contents ?? Data()))
        default:
            throw CryptographyError(
                code: .malformedPEM,
                message:
                    "no public key: expected a block \"BEGIN PUBLIC KEY\" or \"BEGIN CERTIFICATE REQUEST\""
            )
        }
    }

    /// The key as SubjectPublicKeyInfo in PEM.
    package var pem: Data { PEMBlock.encode(self.der, type: "PUBLIC KEY") }

    init(_ information: SubjectPublicKeyInfo) throws(CryptographyError) {
        self.algorithm = information.algorithm
        self.der = information.der
        self.rawRepresentation = information.key
        if case .other = information.algorithm {
            self.key = nil
            self.verifier = nil
            return
        }
        let key = information.der.withUnsafeBytes { bytes in
            var start = bytes.bindMemory(to: UInt8.self).baseAddress
            return d2i_PUBKEY(nil, &start, bytes.count)
        }
        guard let key else {
            throw CryptographyError(
                code: .malformedKey,
                message: "not a valid \(information.algorithm) public key: \(takeOpenSSLReason())"
            )
        }
        self.key = key
        guard case .ecdsa = information.algorithm else {
            self.verifier = nil
            return
        }
        guard let verifier = EVP_PKEY_CTX_new(key, nil), EVP_PKEY_verify_init(verifier) == 1 else {
            EVP_PKEY_free(key)
            throw CryptographyError(
                code: .unsupportedKey,
                message: "cannot verify with a \(information.algorithm) key: \(takeOpenSSLReason())"
            )
        }
        self.verifier = verifier
    }

    deinit {
        EVP_PKEY_CTX_free(self.verifier)
        EVP_PKEY_free(self.key)
    }

    package static func == (left: PublicKey, right: PublicKey) -> Bool { left.der == right.der }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.der) }

    /// The identifier under which Fabric's key stores know the key pair: SHA-256 of ``rawRepresentation``.
    ///
    /// It has nothing to do with the subject key identifier of a certificate.
    package var subjectKeyIdentifier: Data { Digest.sha256(self.rawRepresentation) }

    /// Checks a signature of a member over `message`, by Fabric's rules.
    ///
    /// ECDSA signs the digest of the message and must be low-S; Ed25519 signs the message itself and ignores
    /// `hash`. RSA keys are never accepted from members.
    ///
    /// - Parameters:
    ///   - signature: DER for ECDSA, 64 bytes for Ed25519.
    ///   - message: what was signed, as transmitted.
    ///   - hash: the digest function for ECDSA, SHA-256 in nearly every network.
    /// - Returns: ``SignatureVerdict/valid``, or why not.
    package func verify(
        _ signature: Data,
        of message: Data,
        hash: HashFunction = .sha256
    ) -> SignatureVerdict {
        switch self.algorithm {
        case .ecdsa(let curve):
            withUnsafeTemporaryAllocation(byteCount: 64, alignment: 8) { buffer in
                Digest.hash(message, with: hash, into: buffer)
                let digest = UnsafeRawBufferPointer(rebasing: buffer[..<hash.byteCount])
                return signature.withUnsafeBytes { self.verify($0, ofDigest: digest, on: curve) }
            }
        case .ed25519:
            if signature.isEmpty {
                .invalid(.empty)
            } else if signature.count != 64 {
                .invalid(.malformed)
            } else {
                self.verifyWhole(signature, of: message, hash: nil, isPSS: false)
                    ? .valid : .invalid(.mismatch)
            }
        case .rsa, .other:
            .invalid(.unsupportedKey)
        }
    }

    private func verify(
        _ signature: UnsafeRawBufferPointer,
        ofDigest digest: UnsafeRawBufferPointer,
        on curve: EllipticCurve
    ) -> SignatureVerdict {
        do throws(SignatureFault) {
            let numbers = try ECDSASignature(parsing: signature)
            guard numbers.isLowS(on: curve, in: signature) else { return .invalid(.highS) }
            let holds =
                if let end = numbers.strictEnd {
                    self.verifyStrict(UnsafeRawBufferPointer(rebasing: signature[..<end]), ofDigest: digest)
                } else {
                    numbers.encoded(in: signature).withUnsafeBytes { self.verifyStrict($0, ofDigest: digest) }
                }
            return holds ? .valid : .invalid(.mismatch)
        } catch {
            return .invalid(error)
        }
    }

    /// Checks a signature over a digest.
    ///
    /// Copying a prepared context costs a twentieth of making one, which matters beside a 40 µs verification.
    private func verifyStrict(_ signature: UnsafeRawBufferPointer, ofDigest digest: UnsafeRawBufferPointer)
        -> Bool
    {
        guard let context = EVP_PKEY_CTX_dup(self.verifier) else { return false }
        defer { EVP_PKEY_CTX_free(context) }
        let status = EVP_PKEY_verify(
            context,
            signature.bindMemory(to: UInt8.self).baseAddress,
            signature.count,
            digest.bindMemory(to: UInt8.self).baseAddress,
            digest.count
        )
        if status != 1 { ERR_clear_error() }
        return status == 1
    }

    /// Checks a signature as X.509 does: high S is allowed, RSA too, and nothing may follow the DER.
    func verifyWhole(_ signature: Data, of message: Data, hash: HashFunction?, isPSS: Bool) -> Bool {
        guard let key = self.key, let context = EVP_MD_CTX_new() else { return false }
        defer { EVP_MD_CTX_free(context) }
        var parameters: OpaquePointer?
        guard EVP_DigestVerifyInit(context, &parameters, hash?.algorithm, nil, key) == 1,
            !isPSS
                || EVP_PKEY_CTX_set_rsa_padding(parameters, RSA_PKCS1_PSS_PADDING) == 1
                    && EVP_PKEY_CTX_set_rsa_pss_saltlen(parameters, RSA_PSS_SALTLEN_DIGEST) == 1
        else {
            ERR_clear_error()
            return false
        }
        let status = signature.withUnsafeBytes { signature in
            message.withUnsafeBytes { message in
                EVP_DigestVerify(
                    context,
                    signature.bindMemory(to: UInt8.self).baseAddress,
                    signature.count,
                    message.bindMemory(to: UInt8.self).baseAddress,
                    message.count
                )
            }
        }
        if status != 1 { ERR_clear_error() }
        return status == 1
    }
}
