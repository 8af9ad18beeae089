package import FoundationEssentials
internal import SwiftASN1

/// An X.509 certificate, read once and immutable.
///
/// Reading is strict DER: what Go's `crypto/x509` refuses as malformed is refused here. Whether a certificate is
/// *acceptable* is not decided by reading it; see ``CertificateAuthorities``.
///
/// - Source: RFC 5280; Go's `crypto/x509` where the two differ.
package final class Certificate: Sendable, Hashable, CustomStringConvertible {
    package let der: Data
    package let subject: DistinguishedName
    package let issuer: DistinguishedName
    /// The magnitude, big-endian without leading zeros.
    package let serialNumber: Data
    package let notBefore: Date
    package let notAfter: Date
    package let publicKey: PublicKey
    package let signatureAlgorithm: SignatureAlgorithm
    /// The signature as it stands in the certificate.
    package let signature: Data

    /// 1 to 3.
    package let version: Int
    private let extensions: CertificateExtensions
    /// The bytes that are signed.
    let signedPart: Data

    /// Whether the basic constraints say that this is a certificate authority.
    package var isCA: Bool { self.extensions.isCA }
    var hasBasicConstraints: Bool { self.extensions.hasBasicConstraints }
    package var maximumPathLength: Int? { self.extensions.maximumPathLength }
    package var keyUsage: KeyUsage? { self.extensions.keyUsage }
    /// The purposes of the extension, or `nil` if it is absent, which allows every purpose.
    package var extendedKeyUsages: [ExtendedKeyUsage]? { self.extensions.extendedKeyUsages }
    /// The names of the extension, or `nil` if it is absent.
    package var subjectAlternativeNames: [GeneralName]? { self.extensions.subjectAlternativeNames }
    /// An opaque value chosen by the issuer; *not* the identifier of the key in key stores.
    package var subjectKeyIdentifier: Data? { self.extensions.subjectKeyIdentifier }
    package var authorityKeyIdentifier: Data? { self.extensions.authorityKeyIdentifier }
    package var nameConstraints: NameConstraints? { self.extensions.nameConstraints }
    package var hasUnknownCriticalExtension: Bool { self.extensions.hasUnknownCritical }

    /// Reads one certificate; nothing may follow it.
    package init(der: Data) throws(CryptographyError) {
        do {
            var certificate = try DERCursor(der)
            let signedPart = try certificate.next(.sequence)
            let algorithm = try certificate.next()
            self.signature = try certificate.octetsOfBitString()
            self.signatureAlgorithm = try SignatureAlgorithm(algorithm)
            self.signedPart = signedPart.der
            self.der = Data(der)

            var fields = try DERCursor(signedPart)
            self.version = try Self.version(&fields)
            self.serialNumber = try fields.next().nonNegativeInteger()
            guard try fields.next().encodedBytes == algorithm.encodedBytes else {
                throw DERFault.invalid("the inner and the outer signature algorithm differ")
            }
            self.issuer = try DistinguishedName(fields.next())
            var validity = try DERCursor(fields.next())
            self.notBefore = try validity.next().time()
            self.notAfter = try validity.next().time()
            self.subject = try DistinguishedName(fields.next())
            self.publicKey = try PublicKey(SubjectPublicKeyInfo(fields.next()))
            self.extensions = try Self.extensions(&fields, version: self.version)
        } catch {
            throw CryptographyError(
                code: .malformedCertificate,
                message: "not a certificate: \(error)"
            )
        }
    }

    /// Reads the first PEM block of `pem`, whatever its label says, and ignores what follows.
    package convenience init(pem: Data) throws(CryptographyError) {
        guard let block = PEMBlock(firstIn: pem) else {
            throw CryptographyError(
                code: .malformedPEM,
                message: "no certificate: expected a block \"BEGIN CERTIFICATE\" in \(pem.count) bytes"
            )
        }
        try self.init(der: block.contents)
    }

    private static func version(_ fields: inout DERCursor) throws -> Int {
        guard let tagged = fields.next(if: .context(0)) else { return 1 }
        var contents = try DERCursor(tagged, .context(0))
        let number = try contents.next().nonNegativeInteger()
        guard number.count == 1, let value = number.first, value <= 2 else {
            throw DERFault.invalid("the version is not 1 to 3")
        }
        return Int(value) + 1
    }

    private static func extensions(_ fields: inout DERCursor, version: Int) throws -> CertificateExtensions {
        guard version > 1 else { return CertificateExtensions() }
        _ = fields.next(if: .context(1))
        _ = fields.next(if: .context(2))
        guard version == 3, let tagged = fields.next(if: .context(3)) else { return CertificateExtensions() }
        var contents = try DERCursor(tagged, .context(3))
        return try CertificateExtensions(contents.next())
    }

    package static func == (left: Certificate, right: Certificate) -> Bool { left.der == right.der }

    package func hash(into hasher: inout Hasher) { hasher.combine(self.der) }

    package var description: String {
        "\(self.subject) (serial \(hexadecimal(self.serialNumber)), issued by \(self.issuer))"
    }

    /// Canonical PEM: label `CERTIFICATE`, 64 characters a line, LF, a final newline.
    package var pem: Data { PEMBlock.encode(self.der, type: "CERTIFICATE") }

    /// Whether `issuer`'s key made this certificate's signature; says nothing about `issuer`'s right to.
    package func isSigned(by issuer: PublicKey) -> Bool {
        self.signatureAlgorithm.verify(self.signature, of: self.signedPart, with: issuer)
    }

    /// Whether the certificate's validity period has ended at `time`.
    package func isExpired(at time: Date) -> Bool { time > self.notAfter }

    /// Whether the certificate's own signature is ECDSA, so that it must be sanitised before it is compared.
    package var needsSanitising: Bool {
        if case .ecdsa = self.signatureAlgorithm { true } else { false }
    }

    /// The same certificate with a low-S signature.
    ///
    /// Anyone can turn an ECDSA signature into a second valid one, so identifiers are computed over this form.
    ///
    /// - Parameter issuer: the key that signed the certificate; *s* is judged by its curve.
    /// - Returns: this certificate if it was low-S already, or not signed with ECDSA.
    /// - Throws: ``CryptographyError`` if the signature is not that of an ECDSA key on `issuer`'s curve.
    /// - Source: Fabric v3.1, `msp` package, certificate sanitising.
    package func sanitised(issuer: PublicKey) throws(CryptographyError) -> Certificate {
        guard self.needsSanitising else { return self }
        guard case .ecdsa(let curve) = issuer.algorithm else {
            throw CryptographyError(
                code: .malformedCertificate,
                message: "\(self) is signed with ECDSA, but its issuer has a \(issuer.algorithm) key"
            )
        }
        let lowered: Data?
        do throws(SignatureFault) {
            lowered = try ECDSASignature.lowS(of: self.signature, on: curve)
        } catch {
            throw CryptographyError(code: .malformedCertificate, message: "\(self): \(error)")
        }
        guard let lowered else { return self }
        return try Certificate(der: self.replacingSignature(lowered))
    }

    private func replacingSignature(_ signature: Data) throws(CryptographyError) -> Data {
        do {
            var parts = try DERCursor(self.der)
            let signedPart = try parts.next()
            let algorithm = try parts.next()
            var serializer = DER.Serializer()
            try serializer.appendConstructedNode(identifier: .sequence) { certificate in
                certificate.serialize(signedPart)
                certificate.serialize(algorithm)
                try certificate.serialize(ASN1BitString(bytes: ArraySlice(signature)))
            }
            return Data(serializer.serializedBytes)
        } catch {
            throw CryptographyError(code: .malformedCertificate, message: "\(self): \(error)")
        }
    }

    /// Whether the signature is DER that no re-encoding would change; `true` unless it is ECDSA.
    ///
    /// - Source: Fabric v3.1, `msp` package, well-formedness of identities.
    package var hasCanonicalSignature: Bool {
        guard self.needsSanitising else { return true }
        return self.signature.withUnsafeBytes { bytes in
            guard let numbers = try? ECDSASignature(parsing: bytes) else { return false }
            return numbers.strictEnd == bytes.count
        }
    }
}
