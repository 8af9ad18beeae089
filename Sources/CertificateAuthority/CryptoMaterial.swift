internal import Cryptography
package import FoundationEssentials

/// Makes the identities of whole networks from Fabric's `crypto-config.yaml`.
///
/// The folders are those of Fabric's `cryptogen`, and beside them the register of ``OrganizationAuthority``, so
/// that `weft ca` can renew and revoke what was generated.
///
/// - Source: Fabric v3.1, `docs/source/commands/cryptogen.md`.
package struct CryptoMaterial: Sendable {
    /// The folder that holds `ordererOrganizations` and `peerOrganizations`.
    package var path: String
    /// The validity of every certificate; Fabric's tool gives 10 years.
    package var days: Int

    package init(path: String, days: Int = OrganizationAuthority.defaultAuthorityDays) {
        self.path = path
        self.days = days
    }

    /// Makes every organization of `configuration`; none of them may exist.
    ///
    /// - Parameters:
    ///   - configuration: which organizations, nodes and users to make.
    ///   - now: the current time.
    ///   - report: called with each organization's domain when it begins.
    /// - Throws: ``AuthorityError``; organizations that are complete stay.
    package func generate(
        _ configuration: CryptoConfiguration,
        now: Date,
        report: (String) -> Void = { _ in }
    ) throws(AuthorityError) {
        try self.each(configuration) { (entry, isPeer, path) throws(AuthorityError) in
            report(entry.domain)
            try self.make(entry, isPeer: isPeer, at: path, now: now)
        }
    }

    /// Makes what `configuration` has and the folder lacks: organizations, nodes and users.
    package func extend(
        _ configuration: CryptoConfiguration,
        now: Date,
        report: (String) -> Void = { _ in }
    ) throws(AuthorityError) {
        try self.each(configuration) { (entry, isPeer, path) throws(AuthorityError) in
            guard Files.exists(path) else {
                report(entry.domain)
                try self.make(entry, isPeer: isPeer, at: path, now: now)
                return
            }
            let authority = try OrganizationAuthority(opening: path, as: self.organization(entry))
            let admin = entry.enableNodeOUs ? nil : try authority.admin(named: Self.adminName(entry))
            try self.addMembers(entry, isPeer: isPeer, to: authority, admin: admin, now: now)
        }
    }

    private func each(
        _ configuration: CryptoConfiguration,
        _ body: (CryptoConfiguration.OrganizationEntry, Bool, String) throws(AuthorityError) -> Void
    ) throws(AuthorityError) {
        for entry in configuration.peerOrganizations {
            try body(entry, true, "\(self.path)/peerOrganizations/\(entry.domain)")
        }
        for entry in configuration.ordererOrganizations {
            try body(entry, false, "\(self.path)/ordererOrganizations/\(entry.domain)")
        }
    }

    private func organization(
        _ entry: CryptoConfiguration.OrganizationEntry
    ) throws(AuthorityError) -> Organization {
        var authority = entry.authority
        if authority.hostname.isEmpty { authority.hostname = "ca" }
        var organization = try Organization(
            domain: entry.domain,
            mspID: "\(entry.name)MSP",
            authorityName: entry.named(authority).commonName
        )
        organization.hasNodeOUs = entry.enableNodeOUs
        organization.place = entry.authority.place
        organization.keyKind = entry.authority.keyKind
        return organization
    }

    private static func adminName(_ entry: CryptoConfiguration.OrganizationEntry) -> String {
        "Admin@\(entry.domain)"
    }

    private func make(
        _ entry: CryptoConfiguration.OrganizationEntry,
        isPeer: Bool,
        at path: String,
        now: Date
    ) throws(AuthorityError) {
        let organization = try self.organization(entry)
        let authority = try OrganizationAuthority.create(at: path, organization, now: now, days: self.days)
        let admin = try authority.issue(
            IssueRequest(name: Self.adminName(entry), role: .admin, days: self.days),
            now: now
        )
        var listed: (name: String, certificate: Certificate)?
        if !entry.enableNodeOUs {
            listed = (admin.name, admin.enrollment)
            let folder = "\(path)/msp/admincerts"
            try Files.makeFolder(folder)
            try Files.writeNew(admin.enrollment.pem, to: "\(folder)/\(admin.name)-cert.pem", mode: 0o644)
        }
        try self.addMembers(entry, isPeer: isPeer, to: authority, admin: listed, now: now)
    }

    /// Issues to the nodes and users that have no folder yet.
    private func addMembers(
        _ entry: CryptoConfiguration.OrganizationEntry,
        isPeer: Bool,
        to authority: OrganizationAuthority,
        admin: (name: String, certificate: Certificate)?,
        now: Date
    ) throws(AuthorityError) {
        var requests: [IssueRequest] = []
        for node in try entry.nodes(prefix: isPeer ? "peer" : "orderer") {
            var request = IssueRequest(
                name: node.hostname,
                role: isPeer ? .peer : .orderer,
                hosts: node.alternativeNames,
                days: self.days
            )
            request.commonName = node.commonName
            request.keyKind = node.keyKind
            requests.append(request)
        }
        guard (0...100_000).contains(entry.userCount) else {
            throw AuthorityError(
                .invalidRequest,
                "\(entry.name): Users.Count is \(entry.userCount); expected 0 to 100000"
            )
        }
        for number in 1..<(entry.userCount + 1) where isPeer {
            var request = IssueRequest(name: "User\(number)@\(entry.domain)", role: .client, days: self.days)
            request.keyKind = entry.userKeyKind
            requests.append(request)
        }
        for request in requests {
            let name = request.commonName ?? request.name
            guard !Files.exists("\(authority.path)/\(request.role.folder)/\(name)") else { continue }
            try authority.issue(request, now: now, listedAdmin: admin)
        }
    }
}

extension OrganizationAuthority {
    /// The enrollment certificate of a user who is listed as administrator.
    fileprivate func admin(named name: String) throws(AuthorityError) -> (
        name: String, certificate: Certificate
    ) {
        let pem = try Files.read("\(self.path)/users/\(name)/\(IdentityFolder.enrollmentFile(name))")
        return (name, try reportingFailures("read the administrator \(name)") { try Certificate(pem: pem) })
    }
}
