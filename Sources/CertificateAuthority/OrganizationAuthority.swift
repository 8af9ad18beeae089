internal import Cryptography
package import FoundationEssentials

/// The offline certificate authorities of one organization, on a folder.
///
/// ```swift
/// let authority = try OrganizationAuthority.create(at: "utility", organization, now: now)
/// let peer = try authority.issue(IssueRequest(name: "peer0", role: .peer, hosts: ["127.0.0.1"]), now: now)
/// try authority.revoke("User1@utility.example.com", now: now)
/// ```
///
/// Nothing here opens a connection. Every change is complete or absent, nothing is overwritten, and one process
/// at a time works on a folder.
package struct OrganizationAuthority: Sendable {
    package let path: String
    package let organization: Organization
    let enrollment: IssuingAuthority
    let tls: IssuingAuthority

    /// How long the authorities themselves are valid unless said otherwise: 10 years, as Fabric's tool makes them.
    package static let defaultAuthorityDays = 3652

    private static let organizationFile = "authority.json"

    /// Makes an organization's two authorities and its MSP folder.
    ///
    /// - Parameters:
    ///   - path: the organization's folder, which must not exist.
    ///   - organization: whose authorities they are.
    ///   - now: the current time.
    ///   - days: for how long both authorities are valid.
    /// - Returns: the authorities, ready to issue.
    /// - Throws: ``AuthorityError``; then nothing is left behind.
    package static func create(
        at path: String,
        _ organization: Organization,
        now: Date,
        days: Int = defaultAuthorityDays
    ) throws(AuthorityError) -> OrganizationAuthority {
        try Self.checkDays(days)
        let folder = try StagedFolder(target: path)
        let enrollment = try IssuingAuthority.makeRoot(
            name: organization.authorityName,
            of: organization,
            keyKind: organization.keyKind,
            now: now,
            days: days
        )
        let tls = try IssuingAuthority.makeRoot(
            name: organization.tlsAuthorityName,
            of: organization,
            keyKind: .p256,
            now: now,
            days: days
        )
        var register = Register()
        for (part, name, authority) in [
            ("ca", organization.authorityName, enrollment), ("tlsca", organization.tlsAuthorityName, tls),
        ] {
            let file = "\(part)/\(name)-cert.pem"
            try folder.write(authority.certificate.pem, to: file)
            try folder.writeKey(IdentityFolder.pem(of: authority.key), to: "\(part)/priv_sk")
            register.add(
                authority.certificate,
                name: name,
                role: "authority",
                purpose: .authority,
                file: file
            )
        }
        try IdentityFolder.writeVerifyingPart(
            to: folder,
            under: "msp/",
            organization: organization,
            authority: enrollment.certificate,
            tlsAuthority: tls.certificate,
            admin: nil
        )
        try folder.write(JSONFile.encode(organization), to: Self.organizationFile)
        let record = try register.encoded()
        try folder.write(record.data, to: record.path)
        try folder.publish()
        return OrganizationAuthority(path: path, organization: organization, enrollment: enrollment, tls: tls)
    }

    /// Opens the authorities in a folder that ``create(at:_:now:days:)`` made.
    package init(opening path: String) throws(AuthorityError) {
        let file = "\(path)/\(Self.organizationFile)"
        guard Files.exists(file) else {
            throw AuthorityError(
                .missing,
                "\(path) is not an authority's folder (it has no \(Self.organizationFile)); make one with: weft ca init"
            )
        }
        try self.init(opening: path, as: JSONFile.decode(Organization.self, file))
    }

    /// Opens the authorities in a folder in Fabric's layout, whoever made it.
    package init(opening path: String, as organization: Organization) throws(AuthorityError) {
        self.init(
            path: path,
            organization: organization,
            enrollment: try IssuingAuthority(folder: "\(path)/ca"),
            tls: try IssuingAuthority(folder: "\(path)/tlsca")
        )
    }

    private init(
        path: String,
        organization: Organization,
        enrollment: IssuingAuthority,
        tls: IssuingAuthority
    ) {
        self.path = path
        self.organization = organization
        self.enrollment = enrollment
        self.tls = tls
    }

    static func checkDays(_ days: Int) throws(AuthorityError) {
        guard (1...36_525).contains(days) else {
            throw AuthorityError(
                .invalidRequest,
                "the validity is \(days) days; it must be 1 to 36525 (100 years)"
            )
        }
    }

    /// Every certificate of the organization, those that expire first before the others.
    package func certificates() throws(AuthorityError) -> [RegisterEntry] {
        try Register.load(self.path).entries.sorted { left, right in
            left.notAfter == right.notAfter ? left.name < right.name : left.notAfter < right.notAfter
        }
    }
}

extension Register {
    mutating func add(
        _ certificate: Certificate,
        name: String,
        role: String,
        purpose: RegisterEntry.Purpose,
        file: String
    ) {
        self.entries.append(
            RegisterEntry(
                name: name,
                role: role,
                purpose: purpose,
                serialNumber: hexadecimal(certificate.serialNumber),
                notBefore: certificate.notBefore,
                notAfter: certificate.notAfter,
                status: .issued,
                revokedAt: nil,
                file: file
            )
        )
    }
}
