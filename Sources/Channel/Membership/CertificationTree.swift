internal import Cryptography
internal import FoundationEssentials

/// The certificate authorities of an MSP and the rules by which a certificate belongs to them.
///
/// Chains are judged one second after the leaf became valid, never at the time of the wall clock: all peers must
/// agree, whenever they look.
///
/// - Source: Fabric v3.1, `msp` package.
struct CertificationTree: Sendable {
    var authorities: CertificateAuthorities
    /// Authorities that issued another configured authority; they may not issue members.
    var internalNodes: Set<Certificate> = []
    var revocationLists: [CertificateRevocationList] = []

    init(_ authorities: CertificateAuthorities) {
        self.authorities = authorities
    }

    /// The one chain from `certificate` to a root, the certificate first.
    ///
    /// More than one would leave unclear who owns the identity.
    func uniqueChain(for certificate: Certificate) throws(IdentityError) -> [Certificate] {
        try Self.uniqueChain(for: certificate, in: self.authorities)
    }

    private static func uniqueChain(
        for certificate: Certificate,
        in authorities: CertificateAuthorities
    ) throws(IdentityError) -> [Certificate] {
        let chains: [[Certificate]]
        do throws(ChainFault) {
            chains = try authorities.chains(for: certificate, at: certificate.notBefore.addingTimeInterval(1))
        } catch {
            throw IdentityError(.untrusted, "\(error)")
        }
        guard let chain = chains.first, chains.count == 1 else {
            throw IdentityError(
                .untrusted,
                "\(certificate) has \(chains.count) chains to trusted roots, and must have exactly one"
            )
        }
        try Self.checkHostNames(of: chain)
        return chain
    }

    /// A rule of older Go versions: under an authority with name constraints, a leaf named like a host needs SANs.
    private static func checkHostNames(of chain: [Certificate]) throws(IdentityError) {
        guard let leaf = chain.first, leaf.subjectAlternativeNames == nil,
            let name = leaf.subject.commonName, Self.isHostName(name),
            chain.dropFirst().contains(where: { $0.nameConstraints != nil })
        else { return }
        throw IdentityError(
            .untrusted,
            """
            \(leaf) is named like a host and has no subject alternative names, which its authority's name \
            constraints require; issue it with them
            """
        )
    }

    private static func isHostName(_ name: String) -> Bool {
        let text = name.hasSuffix(".") ? name.dropLast() : name[...]
        guard !text.isEmpty else { return false }
        let labels = text.split(separator: ".", omittingEmptySubsequences: false)
        return labels.enumerated().allSatisfy { position, label in
            if label.isEmpty { return false }
            if position == 0, label == "*" { return true }
            return label.utf8.enumerated().allSatisfy { index, byte in
                switch byte {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"): true
                case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: ":"): true
                case UInt8(ascii: "-"): index != 0
                default: false
                }
            }
        }
    }

    /// Checks that `chain`, made by ``uniqueChain(for:)``, may be a member's.
    func checkParent(in chain: [Certificate]) throws(IdentityError) {
        guard chain.count >= 2 else {
            throw IdentityError(.untrusted, "a root certificate cannot be used as an identity")
        }
        guard !self.internalNodes.contains(chain[1]) else {
            throw IdentityError(
                .untrusted,
                """
                \(chain[1].subject) has issued a certificate authority of this MSP and may not issue members; \
                enroll with the authority below it
                """
            )
        }
    }

    /// `certificate` with a low-S signature.
    ///
    /// The issuer's curve decides what is low, so an ECDSA-signed certificate without a chain cannot be read at all.
    func sanitised(_ certificate: Certificate) throws(IdentityError) -> Certificate {
        guard certificate.needsSanitising else { return certificate }
        do throws(CryptographyError) {
            if certificate.isCA, certificate.mayIssue, certificate.isSigned(by: certificate.publicKey) {
                let root = try certificate.sanitised(issuer: certificate.publicKey)
                let authorities = CertificateAuthorities(
                    roots: [root],
                    intermediates: self.authorities.intermediates
                )
                do throws(IdentityError) {
                    _ = try Self.uniqueChain(for: root, in: authorities)
                } catch {
                    throw CryptographyError(code: .malformedCertificate, message: error.reason)
                }
                return root
            }
            let chain = try self.chainForSanitising(certificate)
            return try certificate.sanitised(issuer: chain[1].publicKey)
        } catch {
            throw IdentityError(.untrusted, error.message)
        }
    }

    private func chainForSanitising(_ certificate: Certificate) throws(CryptographyError) -> [Certificate] {
        do throws(IdentityError) {
            let chain = try self.uniqueChain(for: certificate)
            guard chain.count >= 2 else {
                throw IdentityError(.untrusted, "\(certificate) is a root, but no certificate authority")
            }
            return chain
        } catch {
            throw CryptographyError(code: .malformedCertificate, message: error.reason)
        }
    }

    /// Checks that the first certificate of `chain` is not revoked by its issuer.
    func checkRevocation(of chain: [Certificate]) throws(IdentityError) {
        guard chain.count >= 2 else { return }
        let (certificate, issuer) = (chain[0], chain[1])
        guard let identifier = issuer.subjectKeyIdentifier else {
            throw IdentityError(.untrusted, "\(issuer) has no subject key identifier")
        }
        for list in self.revocationLists {
            guard let authority = list.authorityKeyIdentifier else {
                throw IdentityError(
                    .untrusted,
                    """
                    the revocation list of \(list.issuer) has no authority key identifier, so nobody of this MSP \
                    can be validated; replace the list
                    """
                )
            }
            guard authority == identifier, list.revokedSerialNumbers.contains(certificate.serialNumber),
                list.isSigned(by: issuer.publicKey)
            else { continue }
            throw IdentityError(.revoked, "\(certificate) has been revoked by its issuer")
        }
    }
}
