package import FoundationEssentials

/// The certificate authorities that somebody trusts, and the chains that lead to them.
///
/// The rules are those of Go's `crypto/x509`, which Fabric's members are judged by: peers that built other
/// chains would disagree on which transactions are valid. In particular, a chain is made of *every* path from
/// the certificate to a root; a purpose that an extended key usage extension leaves out is missing from the
/// chain; and by default a chain must be good for TLS servers.
///
/// - Source: Go `crypto/x509`, `Certificate.Verify`; RFC 5280, 6.
package struct CertificateAuthorities: Sendable {
    package let roots: [Certificate]
    package let intermediates: [Certificate]

    package init(roots: [Certificate], intermediates: [Certificate] = []) {
        self.roots = Self.withoutDuplicates(roots)
        self.intermediates = Self.withoutDuplicates(intermediates)
    }

    private static func withoutDuplicates(_ certificates: [Certificate]) -> [Certificate] {
        var seen: Set<Certificate> = []
        return certificates.filter { seen.insert($0).inserted }
    }

    /// All chains from `leaf` to a root, each beginning with `leaf`, valid at `time`.
    ///
    /// A root is a chain of one. Bounded: at most ``maximumSignatureChecks`` signatures are checked.
    ///
    /// - Throws: ``ChainFault`` if there is none.
    package func chains(
        for leaf: Certificate,
        at time: Date,
        purpose: ExtendedKeyUsage = .serverAuthentication
    ) throws(ChainFault) -> [[Certificate]] {
        var search = ChainSearch(authorities: self, time: time)
        try search.checkAcceptable(leaf, as: .leaf, below: [])
        if self.roots.contains(leaf) {
            search.found = [[leaf]]
        } else {
            try search.extend([leaf])
        }
        let suitable = search.found.filter { Self.allows(purpose, in: $0) }
        guard !suitable.isEmpty else {
            throw search.found.isEmpty ? search.fault ?? .unknownAuthority(leaf) : .wrongPurpose(leaf)
        }
        return suitable
    }

    /// Whether no certificate of `chain` leaves `purpose` out of its extended key usages.
    private static func allows(_ purpose: ExtendedKeyUsage, in chain: [Certificate]) -> Bool {
        chain.allSatisfy { certificate in
            guard let usages = certificate.extendedKeyUsages, !usages.isEmpty else { return true }
            return usages.contains(.any) || usages.contains(purpose)
        }
    }

    /// Far more than an honest set of authorities needs (Go has the same bound).
    package static let maximumSignatureChecks = 100
}

/// Why no chain leads from a certificate to a trusted root.
package enum ChainFault: Error, Sendable, CustomStringConvertible {
    case unknownAuthority(Certificate)
    case notValidAt(Certificate, Date)
    case unknownCriticalExtension(Certificate)
    case notAnAuthority(Certificate)
    case pathTooLong(Certificate)
    case nameNotPermitted(String, by: Certificate)
    case wrongPurpose(Certificate)
    case tooManySignatures

    package var description: String {
        switch self {
        case .unknownAuthority(let certificate):
            "\(certificate) is not issued by a known certificate authority"
        case .notValidAt(let certificate, let time):
            """
            \(certificate) is valid from \(CivilTime(certificate.notBefore)) to \(CivilTime(certificate.notAfter)), \
            which \(CivilTime(time)) is outside of
            """
        case .unknownCriticalExtension(let certificate):
            "\(certificate) has a critical extension that is not understood"
        case .notAnAuthority(let certificate):
            "\(certificate) may not issue certificates (its basic constraints or key usage do not say so)"
        case .pathTooLong(let certificate):
            "\(certificate) allows fewer intermediate authorities than there are"
        case .nameNotPermitted(let name, let certificate):
            "the name \(name) is outside the name constraints of \(certificate)"
        case .wrongPurpose(let certificate):
            """
            \(certificate) has extended key usages without serverAuth or anyExtendedKeyUsage; \
            issue it without that extension or add one of them
            """
        case .tooManySignatures:
            "more than \(CertificateAuthorities.maximumSignatureChecks) signatures would have to be checked"
        }
    }
}

/// One depth-first search for chains.
private struct ChainSearch {
    enum Position { case leaf, intermediate, root }

    let authorities: CertificateAuthorities
    let time: Date
    var found: [[Certificate]] = []
    /// The latest reason why a candidate did not fit.
    var fault: ChainFault?
    private var signatureChecks = 0

    init(authorities: CertificateAuthorities, time: Date) {
        self.authorities = authorities
        self.time = time
    }

    /// Tries every authority whose name is that of the issuer of the last certificate of `chain`.
    mutating func extend(_ chain: [Certificate]) throws(ChainFault) {
        guard let child = chain.last else { return }
        for root in self.authorities.roots where root.subject == child.issuer {
            guard try self.fits(root, as: .root, above: chain) else { continue }
            self.found.append(chain + [root])
        }
        for intermediate in self.authorities.intermediates where intermediate.subject == child.issuer {
            guard try self.fits(intermediate, as: .intermediate, above: chain) else { continue }
            try self.extend(chain + [intermediate])
        }
    }

    private mutating func fits(
        _ candidate: Certificate,
        as position: Position,
        above chain: [Certificate]
    ) throws(ChainFault) -> Bool {
        guard let child = chain.last, !chain.contains(where: { Self.isSameEntity($0, candidate) }) else {
            return false
        }
        self.signatureChecks += 1
        guard self.signatureChecks <= CertificateAuthorities.maximumSignatureChecks else {
            throw .tooManySignatures
        }
        guard candidate.mayIssue else {
            self.fault = .notAnAuthority(candidate)
            return false
        }
        guard child.isSigned(by: candidate.publicKey) else { return false }
        do throws(ChainFault) {
            try self.checkAcceptable(candidate, as: position, below: chain)
            return true
        } catch {
            self.fault = error
            return false
        }
    }

    /// Whether two certificates are of one entity: same name, key and alternative names.
    private static func isSameEntity(_ one: Certificate, _ other: Certificate) -> Bool {
        one.subject == other.subject && one.publicKey == other.publicKey
            && one.subjectAlternativeNames == other.subjectAlternativeNames
    }

    /// Checks what does not need the issuer: extensions, validity, name constraints, path length.
    func checkAcceptable(
        _ certificate: Certificate,
        as position: Position,
        below chain: [Certificate]
    ) throws(ChainFault) {
        guard !certificate.hasUnknownCriticalExtension else { throw .unknownCriticalExtension(certificate) }
        guard certificate.notBefore <= self.time, self.time <= certificate.notAfter else {
            throw .notValidAt(certificate, self.time)
        }
        if position != .leaf, let constraints = certificate.nameConstraints {
            for name in chain.flatMap({ $0.subjectAlternativeNames ?? [] }) where !constraints.allow(name) {
                throw .nameNotPermitted("\(name)", by: certificate)
            }
        }
        if position == .intermediate, !certificate.hasBasicConstraints || !certificate.isCA {
            throw .notAnAuthority(certificate)
        }
        if let limit = certificate.maximumPathLength, chain.count - 1 > limit {
            throw .pathTooLong(certificate)
        }
    }
}

extension Certificate {
    /// Whether the basic constraints and the key usage allow this certificate to sign others.
    package var mayIssue: Bool {
        if self.version == 3, !self.hasBasicConstraints { return false }
        if self.hasBasicConstraints, !self.isCA { return false }
        guard let usage = self.keyUsage, !usage.isEmpty else { return true }
        return usage.contains(.certificateSigning)
    }
}
