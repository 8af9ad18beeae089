internal import Cryptography
package import FoundationEssentials

extension OrganizationAuthority {
    /// Issues a member's two certificates again.
    ///
    /// The keys stay unless asked otherwise: ordering nodes recognize each other by certificates in the channel's
    /// configuration, and Fabric's accept a renewed one with the same key without a change of it. The old folder
    /// is kept under `superseded/`.
    ///
    /// - Parameters:
    ///   - name: the member's common name, as ``certificates()`` lists it.
    ///   - now: the current time.
    ///   - days: the validity of the new certificates.
    ///   - withNewKeys: whether to make new keys too.
    /// - Returns: what was issued; its folder replaces the old one as a whole.
    /// - Throws: ``AuthorityError`` if there is no such member, or its certificates are revoked.
    @discardableResult
    package func renew(
        _ name: String,
        now: Date,
        days: Int = IssueRequest.defaultDays,
        withNewKeys: Bool = false
    ) throws(AuthorityError) -> IssuedIdentity {
        let lock = try FolderLock(self.path)
        defer { _ = lock }
        try Self.checkDays(days)
        var register = try Register.load(self.path)
        let current = try register.current(name)
        guard let role = IssueRequest.Role(rawValue: current.enrollment.role) else {
            throw AuthorityError(
                .invalidRequest,
                "\(name) is an authority; authorities are not renewed in place"
            )
        }
        let place = "\(role.folder)/\(name)"
        let folderPath = "\(self.path)/\(place)"
        let old = try self.readIdentity(at: folderPath, name: name, isNode: role.isNode)
        let keys = withNewKeys ? try old.withNewKeys(of: name) : (old.enrollmentKey, old.tlsKey)
        let identity = try self.sign(
            name: name,
            role: role,
            hosts: old.tls.subjectAlternativeNames ?? [],
            keys: keys,
            days: days,
            admin: try self.listedAdmin(at: folderPath),
            now: now
        )
        let folder = try StagedFolder(replacing: folderPath)
        try identity.write(to: folder)
        register.supersede(name)
        register.add(identity, role: role, place: place)
        try register.save(self.path)
        let archive = "\(self.path)/superseded/\(name)-\(hexadecimal(old.enrollment.serialNumber))"
        try folder.publish(movingOldTo: archive)
        return self.report(identity, at: folderPath, days: days, now: now)
    }

    private struct OldIdentity {
        var enrollment: Certificate
        var enrollmentKey: EnrollmentKey
        var tls: Certificate
        var tlsKey: PrivateKey

        func withNewKeys(of name: String) throws(AuthorityError) -> (EnrollmentKey, PrivateKey) {
            guard case .file(let key) = self.enrollmentKey else {
                throw AuthorityError(
                    .invalidRequest,
                    """
                    the private key of \(name) is not in its folder, so no new one can be made here; make one in its \
                    token, and issue certificates for it under another name
                    """
                )
            }
            return try reportingFailures("generate keys") {
                let kind: PrivateKey.Kind = key.algorithm == .ed25519 ? .ed25519 : .p256
                return (.file(try PrivateKey.generate(kind)), try PrivateKey.generate(.p256))
            }
        }
    }

    private func readIdentity(
        at path: String,
        name: String,
        isNode: Bool
    ) throws(AuthorityError) -> OldIdentity {
        let prefix = IdentityFolder.tlsPrefix(isNode: isNode)
        let enrollment = try Files.read("\(path)/\(IdentityFolder.enrollmentFile(name))")
        let keyFile = "\(path)/\(IdentityFolder.keyFile)"
        let enrollmentKey = Files.exists(keyFile) ? try Files.read(keyFile) : nil
        let tls = try Files.read("\(path)/\(prefix).crt")
        let tlsKey = try Files.read("\(path)/\(prefix).key")
        return try reportingFailures("read \(path)") {
            let certificate = try Certificate(pem: enrollment)
            return OldIdentity(
                enrollment: certificate,
                enrollmentKey: try enrollmentKey.map { .file(try PrivateKey(pem: $0)) }
                    ?? .elsewhere(certificate.publicKey),
                tls: try Certificate(pem: tls),
                tlsKey: try PrivateKey(pem: tlsKey)
            )
        }
    }

    private func listedAdmin(at path: String) throws(AuthorityError) -> (
        name: String, certificate: Certificate
    )? {
        guard !self.organization.hasNodeOUs else { return nil }
        let suffix = "-cert.pem"
        let folder = "\(path)/msp/admincerts"
        guard let file = Files.names(in: folder)?.first(where: { $0.hasSuffix(suffix) }) else { return nil }
        let pem = try Files.read("\(folder)/\(file)")
        let certificate = try reportingFailures("read \(folder)/\(file)") { try Certificate(pem: pem) }
        return (String(file.dropLast(suffix.count)), certificate)
    }
}

extension Register {
    /// The certificates of a member that are in use.
    func current(_ name: String) throws(AuthorityError) -> (enrollment: RegisterEntry, tls: RegisterEntry) {
        let entries = self.entries.filter { $0.name == name && $0.status == .issued }
        guard let enrollment = entries.last(where: { $0.purpose == .enrollment }),
            let tls = entries.last(where: { $0.purpose == .tls })
        else {
            if self.entries.contains(where: { $0.name == name && $0.status == .revoked }) {
                throw AuthorityError(
                    .invalidRequest,
                    "\(name) is revoked; issue certificates under another name"
                )
            }
            let names = Set(self.entries.filter { $0.purpose == .enrollment }.map(\.name)).sorted()
            throw AuthorityError(
                .missing,
                "there is no member \(name); known: \(names.isEmpty ? "none" : names.joined(separator: ", "))"
            )
        }
        return (enrollment, tls)
    }

    mutating func supersede(_ name: String) {
        for index in self.entries.indices where self.entries[index].name == name {
            if self.entries[index].status == .issued { self.entries[index].status = .superseded }
        }
    }
}
