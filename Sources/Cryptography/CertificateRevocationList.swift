package import FoundationEssentials
internal import SwiftASN1

/// A list of certificates that an authority has revoked (RFC 5280, 5).
///
/// Dates and reasons are not looked at: Fabric revokes from the moment the list is configured.
package final class CertificateRevocationList: Sendable {
    package let issuer: DistinguishedName
    /// The key identifier of the authority key identifier extension, empty if the extension leaves it out; `nil` if
    /// the list has no such extension, or one that cannot be read.
    package let authorityKeyIdentifier: Data?
    /// The magnitudes of the revoked serial numbers, big-endian without leading zeros.
    package let revokedSerialNumbers: Set<Data>
    package let thisUpdate: Date
    package let nextUpdate: Date?
    package let der: Data

    private let signedPart: Data
    private let signatureAlgorithm: SignatureAlgorithm
    private let signature: Data

    /// Reads a list in DER, or in PEM that begins with the label `X509 CRL`.
    package init(_ bytes: Data) throws(CryptographyError) {
        var der = bytes
        if bytes.starts(with: Array("-----BEGIN X509 CRL".utf8)), let block = PEMBlock(firstIn: bytes),
            block.type == "X509 CRL"
        {
            der = block.contents
        }
        do {
            var list = try DERCursor(der)
            let signedPart = try list.next(.sequence)
            let algorithm = try list.next()
            let signature = try list.octetsOfBitString()
            self.signatureAlgorithm = try SignatureAlgorithm(algorithm)
            self.signature = try Self.canonical(signature, self.signatureAlgorithm)
            self.signedPart = signedPart.der
            self.der = Data(der)

            var fields = try DERCursor(signedPart)
            _ = fields.next(if: .integer)
            _ = try fields.next()
            self.issuer = try DistinguishedName(fields.next())
            self.thisUpdate = try fields.next().time()
            self.nextUpdate = try (fields.next(if: .utcTime) ?? fields.next(if: .generalizedTime))?.time()
            self.revokedSerialNumbers = try Self.serialNumbers(&fields)
            self.authorityKeyIdentifier = try Self.authority(&fields)
        } catch {
            throw CryptographyError(
                code: .malformedRevocationList,
                message: "not a certificate revocation list: \(error)"
            )
        }
    }

    /// Fabric re-encodes ECDSA signatures when it loads a list, so that bytes after the DER do no harm.
    private static func canonical(_ signature: Data, _ algorithm: SignatureAlgorithm) throws -> Data {
        guard case .ecdsa = algorithm else { return signature }
        return try signature.withUnsafeBytes { bytes in
            try ECDSASignature(parsing: bytes).encoded(in: bytes)
        }
    }

    private static func serialNumbers(_ fields: inout DERCursor) throws -> Set<Data> {
        guard let node = fields.next(if: .sequence) else { return [] }
        var entries = try DERCursor(node)
        var numbers: Set<Data> = []
        while !entries.isAtEnd {
            var entry = try DERCursor(entries.next())
            let number = try entry.next()
            // No certificate has a negative serial number.
            if try number.isNegativeInteger() { continue }
            numbers.insert(try number.nonNegativeInteger())
        }
        return numbers
    }

    private static func authority(_ fields: inout DERCursor) throws -> Data? {
        guard let tagged = fields.next(if: .context(0)) else { return nil }
        var contents = try DERCursor(tagged, .context(0))
        var extensions = try DERCursor(contents.next())
        while !extensions.isAtEnd {
            var fields = try DERCursor(extensions.next())
            guard try fields.objectIdentifier() == ObjectIdentifier.authorityKeyIdentifier else { continue }
            _ = fields.next(if: .boolean)
            let value = try ASN1OctetString(derEncoded: fields.next())
            guard let contents = try? DER.parse(value.bytes), contents.identifier == .sequence else {
                return nil
            }
            return (try? CertificateExtensions.keyIdentifier(contents)) ?? Data()
        }
        return nil
    }

    /// Whether the list was signed with `key`.
    package func isSigned(by key: PublicKey) -> Bool {
        self.signatureAlgorithm.verify(self.signature, of: self.signedPart, with: key)
    }

    /// Canonical PEM with the label `X509 CRL`.
    package var pem: Data { PEMBlock.encode(self.der, type: "X509 CRL") }
}
