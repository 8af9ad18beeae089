internal import FoundationEssentials
internal import SwiftASN1

/// How a certificate or a revocation list is signed.
package enum SignatureAlgorithm: Sendable, Hashable {
    /// ECDSA; `nil` is SHA-1, which is recognized but never verifies.
    case ecdsa(HashFunction?)
    case ed25519
    case rsa(HashFunction)
    case rsaPSS(HashFunction)
    /// Anything else, by its object identifier; never verifies.
    case other(String)
}

extension SignatureAlgorithm {
    /// Reads an AlgorithmIdentifier (RFC 5280, 4.1.1.2).
    init(_ node: ASN1Node) throws {
        var fields = try DERCursor(node)
        let identifier = try fields.objectIdentifier()
        switch identifier {
        case ObjectIdentifier.ecdsaWithSHA1: self = .ecdsa(nil)
        case ObjectIdentifier.ecdsaWithSHA256: self = .ecdsa(.sha256)
        case ObjectIdentifier.ecdsaWithSHA384: self = .ecdsa(.sha384)
        case ObjectIdentifier.ecdsaWithSHA512: self = .ecdsa(.sha512)
        case ObjectIdentifier.ed25519: self = fields.isAtEnd ? .ed25519 : .other(identifier.description)
        case ObjectIdentifier.rsaWithSHA256: self = .rsa(.sha256)
        case ObjectIdentifier.rsaWithSHA384: self = .rsa(.sha384)
        case ObjectIdentifier.rsaWithSHA512: self = .rsa(.sha512)
        case ObjectIdentifier.rsaPSS: self = (try? Self.pss(&fields)) ?? .other(identifier.description)
        default: self = .other(identifier.description)
        }
    }

    /// RSASSA-PSS with the same hash throughout and a salt of its length, as Go requires.
    private static func pss(_ fields: inout DERCursor) throws -> SignatureAlgorithm? {
        var parameters = try DERCursor(fields.next())
        var hash = try DERCursor(parameters.next(.context(0)), .context(0))
        var hashAlgorithm = try DERCursor(hash.next())
        let functions: [ASN1ObjectIdentifier: HashFunction] = [
            ObjectIdentifier.sha256: .sha256, ObjectIdentifier.sha384: .sha384,
            ObjectIdentifier.sha512: .sha512,
        ]
        guard let function = functions[try hashAlgorithm.objectIdentifier()] else { return nil }
        _ = try parameters.next(.context(1))
        var salt = try DERCursor(parameters.next(.context(2)), .context(2))
        guard try salt.next().nonNegativeInteger() == Data([UInt8(function.byteCount)]) else { return nil }
        return .rsaPSS(function)
    }

    /// How `key` signs certificates.
    init(signingWith key: KeyAlgorithm) throws(CryptographyError) {
        switch key {
        case .ecdsa(.p224), .ecdsa(.p256): self = .ecdsa(.sha256)
        case .ecdsa(.p384): self = .ecdsa(.sha384)
        case .ecdsa(.p521): self = .ecdsa(.sha512)
        case .ed25519: self = .ed25519
        case .rsa, .other:
            throw CryptographyError(
                code: .unsupportedKey,
                message: "\(key) keys cannot sign certificates here; use ECDSA or Ed25519"
            )
        }
    }

    /// The hash function to sign with.
    var hash: HashFunction? {
        switch self {
        case .ecdsa(let hash): hash
        case .rsa(let hash), .rsaPSS(let hash): hash
        case .ed25519, .other: nil
        }
    }

    /// Writes the AlgorithmIdentifier of ECDSA or Ed25519.
    func serialize(into serializer: inout DER.Serializer) throws {
        let identifier =
            switch self {
            case .ecdsa(.sha384): ObjectIdentifier.ecdsaWithSHA384
            case .ecdsa(.sha512): ObjectIdentifier.ecdsaWithSHA512
            case .ed25519: ObjectIdentifier.ed25519
            default: ObjectIdentifier.ecdsaWithSHA256
            }
        try serializer.appendConstructedNode(identifier: .sequence) { try $0.serialize(identifier) }
    }

    /// Whether `signature` over `message` holds, by the rules of X.509: high S is allowed, SHA-1 is not.
    func verify(_ signature: Data, of message: Data, with key: PublicKey) -> Bool {
        switch (self, key.algorithm) {
        case (.ecdsa(let hash?), .ecdsa):
            key.verifyWhole(signature, of: message, hash: hash, isPSS: false)
        case (.ed25519, .ed25519):
            key.verifyWhole(signature, of: message, hash: nil, isPSS: false)
        case (.rsa(let hash), .rsa):
            key.verifyWhole(signature, of: message, hash: hash, isPSS: false)
        case (.rsaPSS(let hash), .rsa):
            key.verifyWhole(signature, of: message, hash: hash, isPSS: true)
        default:
            false
        }
    }
}
