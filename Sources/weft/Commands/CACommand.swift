import ArgumentParser
import CertificateAuthority
import Cryptography
import Foundation

/// `weft ca`: an organization's certificate authorities, offline.
struct CACommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ca",
        abstract: "Issue, renew and revoke an organization's identities, offline.",
        discussion: """
            One folder holds one organization: an authority for enrollment, one for TLS, the register of what they \
            issued, and the folders to copy to the machines that use them. No network and no server is needed; \
            keep the folder, and at least ca/ and tlsca/, on a machine that is not connected.

            A first organization:
              weft ca init utility --domain utility.example.com --msp UtilityMSP
              weft ca issue utility peer0 --role peer --host localhost --host 127.0.0.1
              weft ca issue utility operator --role admin
              weft ca show utility
            """,
        subcommands: [
            CAInitCommand.self, CAIssueCommand.self, CARenewCommand.self, CARevokeCommand.self,
            CARevocationListCommand.self,
            CAShowCommand.self,
        ]
    )
}

/// The folder that every subcommand works on.
struct AuthorityFolderArgument: ParsableArguments {
    @Argument(help: "The organization's folder.", completion: .directory)
    var folder: String
}

/// `weft ca init`: makes the authorities.
struct CAInitCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make an organization's enrollment and TLS authorities."
    )

    @OptionGroup var target: AuthorityFolderArgument

    @Option(help: "The domain under which nodes and users are named, such as utility.example.com.")
    var domain: String

    @Option(help: "The name of the organization's MSP, such as UtilityMSP.")
    var msp: String

    @Option(
        help:
            "The kind of the enrollment authority's key: ecdsa (P-256) or ed25519 (channel capability V3_0)."
    )
    var key: Organization.KeyKind = .p256

    @Option(help: "For how many days the authorities are valid.")
    var days: Int = OrganizationAuthority.defaultAuthorityDays

    @Option(help: "Two-letter country in the certificates' names.")
    var country: String?

    @Option(help: "Province or state in the certificates' names.")
    var province: String?

    @Option(help: "Town in the certificates' names.")
    var locality: String?

    @OptionGroup var output: OutputOptions

    func run() throws {
        var organization = try Organization(domain: self.domain, mspID: self.msp)
        organization.keyKind = self.key
        organization.place.country = self.country ?? ""
        organization.place.province = self.province ?? ""
        organization.place.locality = self.locality ?? ""
        let now = Date()
        let authority = try OrganizationAuthority.create(
            at: self.target.folder,
            organization,
            now: now,
            days: self.days
        )
        let entries = try authority.certificates()
        self.output.answer(
            .object([
                "folder": .string(authority.path), "msp": .string(organization.mspID),
                "domain": .string(organization.domain),
                "certificates": .array(entries.map { $0.json(now: now) }),
            ]),
            """
            Authorities of \(organization.mspID) (\(organization.domain)) are in \(authority.path):
            \(CertificateTable.text(entries, now: now))
            Keep \(authority.path)/ca and \(authority.path)/tlsca offline. Next:
              weft ca issue \(authority.path) peer0 --role peer --host localhost
            """
        )
    }
}

/// `weft ca issue`: makes identities.
struct CAIssueCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "issue",
        abstract: "Issue enrollment and TLS certificates with new keys to a node or a user."
    )

    @OptionGroup var target: AuthorityFolderArgument

    @Argument(help: "The name without the domain, such as peer0 or alice.")
    var name: String

    @Option(help: "What the member is: peer, orderer, client or admin.")
    var role: IssueRequest.Role

    @Option(
        name: .customLong("host"),
        help: "A further DNS name or IP address under which a node is reached; may be repeated."
    )
    var hosts: [String] = []

    @Option(help: "The kind of the enrollment key: ecdsa (P-256) or ed25519 (channel capability V3_0).")
    var key: Organization.KeyKind = .p256

    @Option(
        help: ArgumentHelp(
            """
            The public part of an enrollment key that the member has made, in a token for instance: a PEM file with a \
            public key or a certificate request. No private key is made then, and keystore stays empty.
            """,
            valueName: "file"
        )
    )
    var publicKey: String?

    @Option(help: "For how many days the certificates are valid.")
    var days: Int = IssueRequest.defaultDays

    @OptionGroup var output: OutputOptions

    func run() throws {
        let now = Date()
        let authority = try OrganizationAuthority(opening: self.target.folder)
        var request = IssueRequest(name: self.name, role: self.role, hosts: self.hosts, days: self.days)
        request.keyKind = self.key
        request.publicKey = try self.publicKey.map {
            try PublicKey(pem: readArgument($0, as: "the public key"))
        }
        self.output.answer(try authority.issue(request, now: now), verb: "Issued", now: now)
    }
}

/// `weft ca renew`: makes certificates again.
struct CARenewCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "renew",
        abstract: "Issue a member's certificates again, with the same keys.",
        discussion: """
            With the same keys the channel's configuration need not change. The old folder is kept under \
            superseded/. A running node takes new files up by itself: copy the folder over the node's own.
            """
    )

    @OptionGroup var target: AuthorityFolderArgument

    @Argument(help: "The whole name, as `weft ca show` lists it, such as peer0.utility.example.com.")
    var name: String

    @Option(help: "For how many days the new certificates are valid.")
    var days: Int = IssueRequest.defaultDays

    @Flag(help: "Make new keys too.")
    var newKeys = false

    @OptionGroup var output: OutputOptions

    func run() throws {
        let now = Date()
        let authority = try OrganizationAuthority(opening: self.target.folder)
        let renewed = try authority.renew(self.name, now: now, days: self.days, withNewKeys: self.newKeys)
        self.output.answer(renewed, verb: "Renewed", now: now)
    }
}

/// `weft ca revoke`: takes identities back.
struct CARevokeCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "revoke",
        abstract: "Revoke a member, and write the revocation lists."
    )

    @OptionGroup var target: AuthorityFolderArgument

    @Argument(help: "The whole name of the member, or the serial number of one certificate.")
    var name: String

    @OptionGroup var output: OutputOptions

    func run() throws {
        let now = Date()
        let authority = try OrganizationAuthority(opening: self.target.folder)
        let (revoked, lists) = try authority.revoke(self.name, now: now)
        self.output.answer(
            .object([
                "revoked": .array(revoked.map { $0.json(now: now) }), "list": .string(lists.path),
                "tlsList": .string(lists.tlsPath), "number": .integer(Int64(lists.number)),
            ]),
            """
            Revoked:
            \(CertificateTable.text(revoked, now: now))
            Revocation list number \(lists.number): \(lists.path)
            It takes effect once the MSP folder \(authority.path)/msp is part of the channel's configuration.
            """
        )
    }
}

/// `weft ca crl`: writes the revocation lists.
struct CARevocationListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "crl",
        abstract: "Write the revocation lists anew."
    )

    @OptionGroup var target: AuthorityFolderArgument
    @OptionGroup var output: OutputOptions

    func run() throws {
        let lists = try OrganizationAuthority(opening: self.target.folder).writeRevocationLists(now: Date())
        let count = lists.enrollment.revokedSerialNumbers.count
        self.output.answer(
            .object([
                "list": .string(lists.path), "tlsList": .string(lists.tlsPath),
                "number": .integer(Int64(lists.number)), "revoked": .integer(Int64(count)),
            ]),
            "Revocation list number \(lists.number) with \(count) certificates: \(lists.path)"
        )
    }
}

/// `weft ca show`: says what there is and when it expires.
struct CAShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "List an organization's certificates, those that expire first before the others.",
        discussion: "Ends with code 2 if a certificate in use has expired or expires within --within days."
    )

    @OptionGroup var target: AuthorityFolderArgument

    @Option(help: "How many days ahead expiry is worth a warning.")
    var within: Int = 30

    @Flag(help: "Also list certificates that were replaced by a renewal.")
    var all = false

    @OptionGroup var output: OutputOptions

    func run() throws {
        let now = Date()
        let entries = try OrganizationAuthority(opening: self.target.folder).certificates()
            .filter { self.all || $0.status != .superseded }
        let expiring = entries.filter { $0.status == .issued && $0.daysLeft(at: now) < self.within }
        self.output.answer(
            .object([
                "certificates": .array(entries.map { $0.json(now: now) }),
                "expiring": .integer(Int64(expiring.count)),
            ]),
            CertificateTable.text(entries, now: now)
        )
        guard !expiring.isEmpty else { return }
        standardError(
            """
            weft: \(expiring.count) certificates in use expire within \(self.within) days: renew them with \
            weft ca renew \(self.target.folder) NAME
            """
        )
        throw ExitCode(Failure.Code.wrong.rawValue)
    }
}

extension OutputOptions {
    /// Says what was issued, where it lies and when it expires.
    fileprivate func answer(_ identity: IssuedIdentity, verb: String, now: Date) {
        let enrollment = CivilTime(identity.enrollment.notAfter).description
        let tls = CivilTime(identity.tls.notAfter).description
        self.answer(
            .object([
                "name": .string(identity.name), "folder": .string(identity.path),
                "enrollment": .object([
                    "serialNumber": .string(hexadecimal(identity.enrollment.serialNumber)),
                    "subject": .string(identity.enrollment.subject.description),
                    "expires": .string(enrollment),
                ]),
                "tls": .object([
                    "serialNumber": .string(hexadecimal(identity.tls.serialNumber)),
                    "hosts": .array(
                        (identity.tls.subjectAlternativeNames ?? []).map { .string($0.description) }
                    ),
                    "expires": .string(tls),
                ]),
                "notes": .array(identity.notes.map { .string($0) }),
            ]),
            ([
                "\(verb) \(identity.name) (\(identity.enrollment.subject)).",
                "Folders msp and tls: \(identity.path)",
                "Enrollment expires \(enrollment), TLS \(tls).",
            ] + identity.notes.map { "Note: \($0)." }).joined(separator: "\n")
        )
    }
}

extension RegisterEntry {
    fileprivate func json(now: Date) -> JSONValue {
        .object([
            "name": .string(self.name), "role": .string(self.role), "purpose": .string(self.purpose.rawValue),
            "serialNumber": .string(self.serialNumber), "status": .string(self.status.rawValue),
            "notBefore": .string(CivilTime(self.notBefore).description),
            "notAfter": .string(CivilTime(self.notAfter).description),
            "daysLeft": .integer(Int64(self.daysLeft(at: now))), "file": .string(self.file),
        ])
    }
}

/// Certificates as lines for people.
enum CertificateTable {
    static func text(_ entries: [RegisterEntry], now: Date) -> String {
        guard !entries.isEmpty else { return "no certificates" }
        let rows = entries.map { entry in
            let days = entry.daysLeft(at: now)
            let left = days < 0 ? "expired" : "\(days) days left"
            return [
                entry.name, entry.role, entry.purpose.rawValue, entry.status.rawValue,
                String(CivilTime(entry.notAfter).description.prefix(10)), left,
            ]
        }
        let widths = (0..<5).map { column in rows.map { $0[column].count }.max() ?? 0 }
        return rows.map { row in
            zip(row, widths).map { $0.padding(toLength: $1, withPad: " ", startingAt: 0) }
                .joined(separator: "  ") + "  " + row[5]
        }.joined(separator: "\n")
    }
}

extension IssueRequest.Role: ExpressibleByArgument {}
extension Organization.KeyKind: ExpressibleByArgument {}
