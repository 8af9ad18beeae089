internal import Cryptography
internal import Foundation
internal import RPC

/// An authority in memory that certifies the two ends of the connections to launched contracts; its key is never written.
///
/// - Source: Fabric v3.1, `common/crypto/tlsgen`.
struct LaunchAuthority: Sendable {
    let certificatePEM: String
    private let certificate: Certificate
    private let key: PrivateKey

    /// A certificate with its key.
    struct Issued: Sendable {
        var identity: TLSIdentity
        /// The certificate in DER.
        var der: Data
    }

    init() throws(ContractError) {
        do {
            self.key = try PrivateKey.generate(.p256)
            var template = try Self.template("weft contracts")
            template.isCA = true
            template.keyUsage = [.digitalSignature, .keyEncipherment, .certificateSigning]
            self.certificate = try template.selfSigned(with: self.key)
        } catch {
            throw ContractError("can't make certificates for contracts: \(error)")
        }
        self.certificatePEM = String(decoding: self.certificate.pem, as: UTF8.self)
    }

    /// A certificate for both ends of connections, for the machine itself and `hosts`.
    func issue(_ name: String, hosts: [String] = []) throws(ContractError) -> Issued {
        do {
            let key = try PrivateKey.generate(.p256)
            var template = try Self.template(name)
            template.keyUsage = [.digitalSignature, .keyEncipherment]
            template.subjectAlternativeNames =
                [.dns("localhost"), .address(Data([127, 0, 0, 1]))] + hosts.map(GeneralName.init(host:))
            let certificate = try template.issued(
                for: key.publicKey,
                by: self.certificate,
                with: self.key
            )
            return Issued(
                identity: TLSIdentity(
                    certificateChainPEM: String(decoding: certificate.pem, as: UTF8.self),
                    privateKeyPEM: String(decoding: try key.pem(), as: UTF8.self)
                ),
                der: certificate.der
            )
        } catch {
            throw ContractError("can't make a certificate for contract \(name): \(error)")
        }
    }

    private static func template(_ name: String) throws(CryptographyError) -> CertificateTemplate {
        var template = CertificateTemplate(
            // A common name has at most 64 characters.
            subject: try DistinguishedName([.commonName(String(name.prefix(64)))]),
            serialNumber: try CertificateTemplate.randomSerialNumber(),
            notBefore: Date(timeIntervalSinceNow: -24 * 3_600),
            notAfter: Date(timeIntervalSinceNow: 10 * 365 * 24 * 3_600),
            keyUsage: .digitalSignature
        )
        template.extendedKeyUsages = [.serverAuthentication, .clientAuthentication]
        return template
    }
}

extension GeneralName {
    fileprivate init(host: String) {
        let parts = host.split(separator: ".", omittingEmptySubsequences: false).map { UInt8($0) }
        if parts.count == 4, parts.allSatisfy({ $0 != nil }) {
            self = .address(Data(parts.compactMap(\.self)))
        } else {
            self = .dns(host)
        }
    }
}
