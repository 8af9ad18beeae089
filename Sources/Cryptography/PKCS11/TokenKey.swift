package import FoundationEssentials

/// A private key that never leaves its token.
package struct TokenKey: SigningKey {
    package let publicKey: PublicKey
    /// The key's `CKA_ID`.
    let id: Data
    let token: Token

    /// Signing waits for the device.
    package var executor: (any TaskExecutor)? { self.token.executor }

    package func sign(_ message: Data, hash: HashFunction) throws(CryptographyError) -> Data {
        guard case .ecdsa(let curve) = self.publicKey.algorithm else {
            throw CryptographyError(code: .unsupportedKey, message: "only ECDSA keys sign in a token")
        }
        let raw = try self.token.sign(Digest.hash(message, with: hash), withKey: self.id)
        do throws(SignatureFault) {
            return try ECDSASignature.lowS(fromRaw: raw, on: curve)
        } catch {
            throw CryptographyError(code: .token, message: "the token made a bad signature: \(error)")
        }
    }
}

extension ECDSASignature {
    /// Low-S DER of *r* ‖ *s*, each of the same length, as tokens give them.
    static func lowS(fromRaw raw: Data, on curve: EllipticCurve) throws(SignatureFault) -> Data {
        guard raw.count >= 2, raw.count.isMultiple(of: 2), raw.count <= 2 * curve.coordinateByteCount else {
            throw .malformed
        }
        let half = raw.count / 2
        let r = Data(raw.prefix(half).drop { $0 == 0 })
        let s = Data(raw.suffix(half).drop { $0 == 0 })
        guard !r.isEmpty, !s.isEmpty else { throw .notPositive }
        let numbers = r + s
        let der = numbers.withUnsafeBytes { bytes in
            ECDSASignature(r: 0..<r.count, s: r.count..<numbers.count, strictEnd: nil).encoded(in: bytes)
        }
        return try ECDSASignature.lowS(of: der, on: curve) ?? der
    }

    private init(r: Range<Int>, s: Range<Int>, strictEnd: Int?) {
        self.r = r
        self.s = s
        self.strictEnd = strictEnd
    }
}
