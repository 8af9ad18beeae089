internal import Cryptography
internal import FoundationEssentials

/// The key pair of an enrollment certificate.
enum EnrollmentKey {
    /// A private key that is handed out as a file.
    case file(PrivateKey)
    /// One whose private part is in a token, or wherever else the member keeps it.
    case elsewhere(PublicKey)

    var publicKey: PublicKey {
        switch self {
        case .file(let key): key.publicKey
        case .elsewhere(let key): key
        }
    }
}

/// What a member gets: enrollment and TLS certificates with their keys, as an MSP and a TLS folder.
///
/// - Source: Fabric v3.1, the layout that `cryptogen` writes (`docs/source/commands/cryptogen.md`).
struct IdentityFolder {
    var name: String
    var enrollment: Certificate
    var enrollmentKey: EnrollmentKey
    var tls: Certificate
    var tlsKey: PrivateKey
    var authority: Certificate
    var tlsAuthority: Certificate
    var organization: Organization
    /// Whether the TLS files are called `server.*` or `client.*`.
    var isNode: Bool
    /// The listed administrator, where roles are not told apart by organizational units.
    var admin: (name: String, certificate: Certificate)?

    static func enrollmentFile(_ name: String) -> String { "msp/signcerts/\(name)-cert.pem" }
    static func tlsPrefix(isNode: Bool) -> String { isNode ? "tls/server" : "tls/client" }
    static let keyFile = "msp/keystore/priv_sk"

    func write(to folder: borrowing StagedFolder) throws(AuthorityError) {
        try folder.write(self.enrollment.pem, to: Self.enrollmentFile(self.name))
        if case .file(let key) = self.enrollmentKey {
            try folder.writeKey(Self.pem(of: key), to: Self.keyFile)
        }
        try Self.writeVerifyingPart(
            to: folder,
            under: "msp/",
            organization: self.organization,
            authority: self.authority,
            tlsAuthority: self.tlsAuthority,
            admin: self.admin
        )
        let prefix = Self.tlsPrefix(isNode: self.isNode)
        try folder.write(self.tlsAuthority.pem, to: "tls/ca.crt")
        try folder.write(self.tls.pem, to: "\(prefix).crt")
        try folder.writeKey(Self.pem(of: self.tlsKey), to: "\(prefix).key")
    }

    /// Writes what a verifier needs to know about the organization.
    static func writeVerifyingPart(
        to folder: borrowing StagedFolder,
        under prefix: String,
        organization: Organization,
        authority: Certificate,
        tlsAuthority: Certificate,
        admin: (name: String, certificate: Certificate)?
    ) throws(AuthorityError) {
        let file = "cacerts/\(organization.authorityName)-cert.pem"
        try folder.write(authority.pem, to: prefix + file)
        try folder.write(
            tlsAuthority.pem,
            to: "\(prefix)tlscacerts/\(organization.tlsAuthorityName)-cert.pem"
        )
        if organization.hasNodeOUs {
            try folder.write(UnitConfiguration.text(certificate: file), to: "\(prefix)config.yaml")
        }
        if let admin {
            try folder.write(admin.certificate.pem, to: "\(prefix)admincerts/\(admin.name)-cert.pem")
        }
    }

    static func pem(of key: PrivateKey) throws(AuthorityError) -> Data {
        try reportingFailures("write a private key") { try key.pem() }
    }
}
