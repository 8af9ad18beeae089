internal import Cryptography
internal import FoundationEssentials

/// One certificate authority: its certificate and its private key.
struct IssuingAuthority: Sendable {
    let certificate: Certificate
    let key: PrivateKey

    /// Certificates begin a little early, so that machines whose clocks are slow accept them at once.
    static let clockTolerance: TimeInterval = 300

    /// Makes a root authority.
    static func makeRoot(
        name: String,
        of organization: Organization,
        keyKind: Organization.KeyKind,
        now: Date,
        days: Int
    ) throws(AuthorityError) -> IssuingAuthority {
        try reportingFailures("make the authority \(name)") {
            let key = try PrivateKey.generate(keyKind.kind)
            var attributes = organization.place.attributes
            attributes.insert(.organization(organization.domain), at: min(3, attributes.count))
            if !organization.place.organizationalUnit.isEmpty {
                attributes.append(.organizationalUnit(organization.place.organizationalUnit))
            }
            attributes.append(.commonName(name))
            var template = CertificateTemplate(
                subject: try DistinguishedName(attributes),
                serialNumber: try CertificateTemplate.randomSerialNumber(),
                notBefore: now.addingTimeInterval(-Self.clockTolerance),
                notAfter: now.addingTimeInterval(Double(days) * 86_400),
                keyUsage: [
                    .digitalSignature, .keyEncipherment, .certificateSigning, .revocationListSigning,
                ]
            )
            template.isCA = true
            template.extendedKeyUsages = [.clientAuthentication, .serverAuthentication]
            return IssuingAuthority(certificate: try template.selfSigned(with: key), key: key)
        }
    }

    /// Reads the authority in a folder that holds one certificate and its key.
    init(folder: String) throws(AuthorityError) {
        let names = Files.names(in: folder) ?? []
        guard let certificateName = names.first(where: { $0.hasSuffix("-cert.pem") }) else {
            throw AuthorityError(.missing, "there is no certificate (*-cert.pem) in \(folder)")
        }
        let certificatePEM = try Files.read("\(folder)/\(certificateName)")
        guard let keyName = names.first(where: { $0.hasSuffix("_sk") }) else {
            throw AuthorityError(
                .missing,
                "there is no private key (*_sk) in \(folder); bring the one that is kept offline"
            )
        }
        let keyPEM = try Files.read("\(folder)/\(keyName)")
        (self.certificate, self.key) = try reportingFailures("read the authority in \(folder)") {
            let certificate = try Certificate(pem: certificatePEM)
            let key = try PrivateKey(pem: keyPEM)
            guard key.publicKey == certificate.publicKey else {
                throw AuthorityError(.malformed, "\(keyName) is not the key of \(certificateName)")
            }
            return (certificate, key)
        }
    }

    private init(certificate: Certificate, key: PrivateKey) {
        self.certificate = certificate
        self.key = key
    }

    /// What a member's certificate shall say.
    struct Request {
        var subject: [DistinguishedName.Attribute]
        var key: PublicKey
        var days: Int
        /// `nil` for an enrollment certificate.
        var hosts: [GeneralName]?
    }

    /// Makes a member's certificate; its validity never reaches beyond the authority's own.
    func issue(_ request: Request, now: Date) throws(AuthorityError) -> Certificate {
        guard now < self.certificate.notAfter else {
            throw AuthorityError(
                .expired,
                "the authority \(self.certificate.subject) expired at \(CivilTime(self.certificate.notAfter))"
            )
        }
        return try reportingFailures("issue a certificate") {
            let end = now.addingTimeInterval(Double(request.days) * 86_400)
            var template = CertificateTemplate(
                subject: try DistinguishedName(request.subject),
                serialNumber: try CertificateTemplate.randomSerialNumber(),
                notBefore: max(now.addingTimeInterval(-Self.clockTolerance), self.certificate.notBefore),
                notAfter: min(end, self.certificate.notAfter),
                keyUsage: .digitalSignature
            )
            if let hosts = request.hosts {
                template.keyUsage.insert(.keyEncipherment)
                template.extendedKeyUsages = [.serverAuthentication, .clientAuthentication]
                template.subjectAlternativeNames = hosts
            }
            return try template.issued(for: request.key, by: self.certificate, with: self.key)
        }
    }

    /// Makes the list of this authority's revoked certificates.
    func revocationList(
        _ entries: [RevocationListTemplate.Entry],
        number: UInt32,
        now: Date
    ) throws(AuthorityError) -> CertificateRevocationList {
        try reportingFailures("make a revocation list") {
            try RevocationListTemplate(
                entries: entries,
                number: number,
                thisUpdate: now,
                nextUpdate: self.certificate.notAfter
            ).signed(by: self.certificate, with: self.key)
        }
    }
}

/// Runs `body` and turns what the cryptographic library throws into an error that says what was being done.
func reportingFailures<Value>(
    _ what: String,
    _ body: () throws -> Value
) throws(AuthorityError) -> Value {
    do {
        return try body()
    } catch let error as AuthorityError {
        throw error
    } catch {
        throw AuthorityError(.malformed, "cannot \(what): \(error)")
    }
}
