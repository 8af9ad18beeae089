internal import Channel
package import Cryptography
package import FoundationEssentials
internal import Glibc

/// Whom to issue certificates to.
package struct IssueRequest: Sendable {
    /// What a member is, as its organizational unit says.
    package enum Role: String, Sendable, CaseIterable {
        case peer, orderer, client, admin

        package var isNode: Bool { self == .peer || self == .orderer }

        /// Where the members of this role have their folders.
        var folder: String {
            switch self {
            case .peer: "peers"
            case .orderer: "orderers"
            case .client, .admin: "users"
            }
        }
    }

    /// A host or user name without the domain, such as `peer0` or `alice`, or the whole name.
    package var name: String
    package var role: Role
    /// Further names and IP addresses under which a node is reached.
    package var hosts: [String]
    package var keyKind = Organization.KeyKind.p256
    /// The public part of an enrollment key that the member has made, for instance in a token; a new key is made and
    /// handed out if it is left out.
    package var publicKey: PublicKey?
    /// The validity of both certificates, cut to the authorities' own.
    package var days: Int
    /// The common name, where it is not made of the name and the domain.
    package var commonName: String?

    /// Unless said otherwise members' certificates are valid for a year.
    package static let defaultDays = 365

    package init(name: String, role: Role, hosts: [String] = [], days: Int = defaultDays) {
        self.name = name
        self.role = role
        self.hosts = hosts
        self.days = days
    }
}

/// What was issued to a member.
package struct IssuedIdentity: Sendable {
    package let name: String
    /// The folder with `msp` and `tls` in it.
    package let path: String
    package let enrollment: Certificate
    package let tls: Certificate
    /// What the reader should know, such as that a validity was cut.
    package let notes: [String]
}

extension OrganizationAuthority {
    /// Issues enrollment and TLS certificates with new keys, and writes the member's folder.
    ///
    /// - Parameters:
    ///   - request: whom to issue to.
    ///   - now: the current time.
    ///   - admin: the listed administrator, for an organization without NodeOUs.
    /// - Returns: what was issued, and where it lies.
    /// - Throws: ``AuthorityError``; then nothing is left behind. An existing member is never overwritten.
    @discardableResult
    package func issue(
        _ request: IssueRequest,
        now: Date,
        listedAdmin admin: (name: String, certificate: Certificate)? = nil
    ) throws(AuthorityError) -> IssuedIdentity {
        let lock = try FolderLock(self.path)
        defer { _ = lock }
        try Self.checkDays(request.days)
        let name = try self.fullName(of: request)
        let place = "\(request.role.folder)/\(name)"
        let target = "\(self.path)/\(place)"
        var register = try Register.load(self.path)
        try Files.makeFolder("\(self.path)/\(request.role.folder)")
        let folder = try StagedFolder(target: target)
        let keys = try reportingFailures("generate keys") {
            let enrollment: EnrollmentKey =
                if let key = request.publicKey { .elsewhere(try Self.usable(key)) } else {
                    .file(try PrivateKey.generate(request.keyKind.kind))
                }
            return (enrollment, try PrivateKey.generate(.p256))
        }
        let identity = try self.sign(
            name: name,
            role: request.role,
            hosts: try self.hosts(of: request, name: name),
            keys: keys,
            days: request.days,
            admin: admin,
            now: now
        )
        try identity.write(to: folder)
        register.add(identity, role: request.role, place: place)
        // The register first: it may know of a certificate that was never handed out, but never miss one that was.
        try register.save(self.path)
        try folder.publish()
        return self.report(identity, at: target, days: request.days, now: now)
    }

    /// A key that members may have.
    private static func usable(_ key: PublicKey) throws(AuthorityError) -> PublicKey {
        switch key.algorithm {
        case .ecdsa, .ed25519: return key
        case .rsa, .other:
            throw AuthorityError(
                .invalidRequest,
                "members cannot have a key of the kind \(key.algorithm); use ECDSA (P-256) or Ed25519"
            )
        }
    }

    /// Signs both certificates of a member.
    func sign(
        name: String,
        role: IssueRequest.Role,
        hosts: [GeneralName],
        keys: (enrollment: EnrollmentKey, tls: PrivateKey),
        days: Int,
        admin: (name: String, certificate: Certificate)?,
        now: Date
    ) throws(AuthorityError) -> IdentityFolder {
        let place = self.organization.place.attributes
        let unit =
            self.organization.hasNodeOUs
            ? [DistinguishedName.Attribute.organizationalUnit(role.rawValue)] : []
        let enrollment = try self.enrollment.issue(
            IssuingAuthority.Request(
                subject: place + unit + [.commonName(name)],
                key: keys.enrollment.publicKey,
                days: days
            ),
            now: now
        )
        let tls = try self.tls.issue(
            IssuingAuthority.Request(
                subject: place + [.commonName(name)],
                key: keys.tls.publicKey,
                days: days,
                hosts: hosts
            ),
            now: now
        )
        // As Fabric's cryptogen does it: a user's own folder lists the user, a node's folder the administrator.
        let isListedAdmin = !self.organization.hasNodeOUs && !role.isNode
        return IdentityFolder(
            name: name,
            enrollment: enrollment,
            enrollmentKey: keys.enrollment,
            tls: tls,
            tlsKey: keys.tls,
            authority: self.enrollment.certificate,
            tlsAuthority: self.tls.certificate,
            organization: self.organization,
            isNode: role.isNode,
            admin: isListedAdmin ? (name, enrollment) : admin
        )
    }

    func report(_ identity: IdentityFolder, at path: String, days: Int, now: Date) -> IssuedIdentity {
        var notes: [String] = []
        // Certificates know whole seconds only.
        let wanted = now.addingTimeInterval(Double(days) * 86_400 - 1)
        if min(identity.enrollment.notAfter, identity.tls.notAfter) < wanted {
            notes.append("valid for less than \(days) days, because the authority itself expires before that")
        }
        return IssuedIdentity(
            name: identity.name,
            path: path,
            enrollment: identity.enrollment,
            tls: identity.tls,
            notes: notes
        )
    }

    private func fullName(of request: IssueRequest) throws(AuthorityError) -> String {
        let name = try Organization.checkName(request.name, "name")
        if let commonName = request.commonName {
            return try Organization.checkName(commonName, "common name")
        }
        let separator = request.role.isNode ? "." : "@"
        let suffix = separator + self.organization.domain
        return try Organization.checkName(name.hasSuffix(suffix) ? name : name + suffix, "name")
    }

    /// The names in a node's TLS certificate: its own, the short one, and those asked for, each once.
    private func hosts(of request: IssueRequest, name: String) throws(AuthorityError) -> [GeneralName] {
        var texts = request.hosts
        if request.role.isNode {
            let suffix = "." + self.organization.domain
            let short =
                request.name.hasSuffix(suffix) ? String(request.name.dropLast(suffix.count)) : request.name
            texts = [name, short] + texts
        }
        var hosts: [GeneralName] = []
        for text in texts {
            let host = try Self.generalName(text)
            if !hosts.contains(host) { hosts.append(host) }
        }
        return hosts
    }

    /// An IP address as such, anything else as a DNS name.
    private static func generalName(_ text: String) throws(AuthorityError) -> GeneralName {
        var four = in_addr()
        if inet_pton(AF_INET, text, &four) == 1 {
            return .address(withUnsafeBytes(of: &four) { Data($0) })
        }
        var sixteen = in6_addr()
        if inet_pton(AF_INET6, text, &sixteen) == 1 {
            return .address(withUnsafeBytes(of: &sixteen) { Data($0) })
        }
        let isHost = text.utf8.allSatisfy { byte in
            byte > 0x20 && byte < 0x7f && !"/:@,;\"'\\".utf8.contains(byte)
        }
        guard isHost, !text.isEmpty, text.utf8.count <= 253 else {
            throw AuthorityError(
                .invalidRequest,
                "\"\(text)\" is no host: give a DNS name or an IP address, without scheme and port"
            )
        }
        return .dns(text)
    }
}

extension Register {
    mutating func add(_ identity: IdentityFolder, role: IssueRequest.Role, place: String) {
        self.add(
            identity.enrollment,
            name: identity.name,
            role: role.rawValue,
            purpose: .enrollment,
            file: "\(place)/\(IdentityFolder.enrollmentFile(identity.name))"
        )
        self.add(
            identity.tls,
            name: identity.name,
            role: role.rawValue,
            purpose: .tls,
            file: "\(place)/\(IdentityFolder.tlsPrefix(isNode: identity.isNode)).crt"
        )
    }
}
