internal import FoundationEssentials
internal import SwiftASN1

/// A public key as certificates carry it (RFC 5280, 4.1.2.7), its structure checked.
///
/// - Source: the structural checks are those of Go's `crypto/x509`.
struct SubjectPublicKeyInfo {
    let der: Data
    let algorithm: KeyAlgorithm
    let key: Data

    init(der: Data) throws(CryptographyError) {
        do {
            try self.init(DER.parse(Array(der)))
        } catch {
            throw CryptographyError(code: .malformedKey, message: "not a public key: \(error)")
        }
    }

    /// Reads the key of a certificate request (RFC 2986), and checks the request's signature with it.
    init(certificateRequest der: Data) throws(CryptographyError) {
        do {
            var request = try DERCursor(der)
            let signedPart = try request.next(.sequence)
            let algorithm = try SignatureAlgorithm(request.next())
            let signature = try request.octetsOfBitString()
            var fields = try DERCursor(signedPart)
            _ = try fields.next(.integer)
            _ = try fields.next(.sequence)
            let information = try SubjectPublicKeyInfo(fields.next())
            guard algorithm.verify(signature, of: signedPart.der, with: try PublicKey(information)) else {
                throw DERFault.invalid("its signature was not made by its own key")
            }
            self = information
        } catch {
            throw CryptographyError(code: .malformedKey, message: "not a certificate request: \(error)")
        }
    }

    init(_ node: ASN1Node) throws {
        self.der = node.der
        var information = try DERCursor(node)
        var algorithm = try DERCursor(information.next())
        let identifier = try algorithm.objectIdentifier()
        self.key = try information.octetsOfBitString()
        switch identifier {
        case ObjectIdentifier.ellipticCurveKey:
            let curve = try Self.curve(algorithm.objectIdentifier())
            guard self.key.first == 0x04, self.key.count == 1 + 2 * curve.coordinateByteCount else {
                throw DERFault.invalid("the public key is not an uncompressed point of \(curve.rawValue)")
            }
            self.algorithm = .ecdsa(curve)
        case ObjectIdentifier.ed25519:
            guard algorithm.isAtEnd, self.key.count == 32 else {
                throw DERFault.invalid("an Ed25519 public key has 32 bytes and no parameters")
            }
            self.algorithm = .ed25519
        case ObjectIdentifier.rsaKey:
            guard try algorithm.next() == Self.null else {
                throw DERFault.invalid("RSA parameters must be NULL")
            }
            self.algorithm = .rsa
        default:
            self.algorithm = .other(identifier.description)
        }
    }

    private static let null = try? DER.parse([0x05, 0x00])

    private static func curve(_ identifier: ASN1ObjectIdentifier) throws -> EllipticCurve {
        switch identifier {
        case ObjectIdentifier.p224: .p224
        case ObjectIdentifier.p256: .p256
        case ObjectIdentifier.p384: .p384
        case ObjectIdentifier.p521: .p521
        default: throw DERFault.invalid("unsupported elliptic curve \(identifier)")
        }
    }
}
