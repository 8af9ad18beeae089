internal import SwiftASN1

/// The object identifiers of X.509 that matter here.
///
/// - Source: RFC 5280, RFC 5480, RFC 5758, RFC 8017, RFC 8410.
enum ObjectIdentifier {
    static let ellipticCurveKey: ASN1ObjectIdentifier = [1, 2, 840, 10045, 2, 1]
    static let ed25519: ASN1ObjectIdentifier = [1, 3, 101, 112]
    static let rsaKey: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 1]

    static let p224: ASN1ObjectIdentifier = [1, 3, 132, 0, 33]
    static let p256: ASN1ObjectIdentifier = [1, 2, 840, 10045, 3, 1, 7]
    static let p384: ASN1ObjectIdentifier = [1, 3, 132, 0, 34]
    static let p521: ASN1ObjectIdentifier = [1, 3, 132, 0, 35]

    static let ecdsaWithSHA1: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 1]
    static let ecdsaWithSHA256: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 2]
    static let ecdsaWithSHA384: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 3]
    static let ecdsaWithSHA512: ASN1ObjectIdentifier = [1, 2, 840, 10045, 4, 3, 4]
    static let rsaWithSHA256: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 11]
    static let rsaWithSHA384: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 12]
    static let rsaWithSHA512: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 13]
    static let rsaPSS: ASN1ObjectIdentifier = [1, 2, 840, 113549, 1, 1, 10]
    static let sha256: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 2, 1]
    static let sha384: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 2, 2]
    static let sha512: ASN1ObjectIdentifier = [2, 16, 840, 1, 101, 3, 4, 2, 3]

    static let authorityInformationAccess: ASN1ObjectIdentifier = [1, 3, 6, 1, 5, 5, 7, 1, 1]
    static let subjectKeyIdentifier: ASN1ObjectIdentifier = [2, 5, 29, 14]
    static let keyUsage: ASN1ObjectIdentifier = [2, 5, 29, 15]
    static let subjectAlternativeName: ASN1ObjectIdentifier = [2, 5, 29, 17]
    static let basicConstraints: ASN1ObjectIdentifier = [2, 5, 29, 19]
    static let cRLNumber: ASN1ObjectIdentifier = [2, 5, 29, 20]
    static let nameConstraints: ASN1ObjectIdentifier = [2, 5, 29, 30]
    static let cRLDistributionPoints: ASN1ObjectIdentifier = [2, 5, 29, 31]
    static let certificatePolicies: ASN1ObjectIdentifier = [2, 5, 29, 32]
    static let policyMappings: ASN1ObjectIdentifier = [2, 5, 29, 33]
    static let authorityKeyIdentifier: ASN1ObjectIdentifier = [2, 5, 29, 35]
    static let policyConstraints: ASN1ObjectIdentifier = [2, 5, 29, 36]
    static let extendedKeyUsage: ASN1ObjectIdentifier = [2, 5, 29, 37]
    static let inhibitAnyPolicy: ASN1ObjectIdentifier = [2, 5, 29, 54]

    /// The extensions whose contents Go's library reads; some of them don't matter here, but must be DER.
    static let understoodExtensions: Set<ASN1ObjectIdentifier> = [
        subjectKeyIdentifier, keyUsage, subjectAlternativeName, basicConstraints, nameConstraints,
        authorityKeyIdentifier, extendedKeyUsage, authorityInformationAccess,
        cRLDistributionPoints, certificatePolicies, policyMappings, policyConstraints, inhibitAnyPolicy,
    ]
}
