package import Cryptography
package import FoundationEssentials

/// The revocation lists of an organization, as written.
package struct WrittenRevocationLists: Sendable {
    /// The number of both lists, one more than that of the lists before.
    package let number: UInt32
    /// Path of the enrollment authority's list, in the organization's MSP folder.
    package let path: String
    /// Path of the TLS authority's list.
    package let tlsPath: String
    package let enrollment: CertificateRevocationList
}

extension OrganizationAuthority {
    /// Revokes every certificate of a member, and writes the revocation lists.
    ///
    /// A list takes effect when it is part of the channel's configuration; until then nothing changes.
    ///
    /// - Parameters:
    ///   - name: the member's common name, or a serial number in hex, which revokes that certificate alone.
    ///   - now: the current time.
    /// - Returns: what is newly revoked, and the lists.
    /// - Throws: ``AuthorityError`` if there is nothing of that name to revoke.
    @discardableResult
    package func revoke(
        _ name: String,
        now: Date
    ) throws(AuthorityError) -> (revoked: [RegisterEntry], lists: WrittenRevocationLists) {
        let lock = try FolderLock(self.path)
        defer { _ = lock }
        var register = try Register.load(self.path)
        let serialNumber = name.lowercased()
        let matches = register.entries.indices.filter { index in
            let entry = register.entries[index]
            return entry.purpose != .authority && (entry.name == name || entry.serialNumber == serialNumber)
        }
        guard !matches.isEmpty else {
            throw AuthorityError(
                .missing,
                "there is no member or certificate \(name); list them with: weft ca show"
            )
        }
        let fresh = matches.filter { register.entries[$0].status != .revoked }
        guard !fresh.isEmpty else {
            throw AuthorityError(.invalidRequest, "\(name) is revoked already")
        }
        for index in fresh {
            register.entries[index].status = .revoked
            register.entries[index].revokedAt = now
        }
        let lists = try self.write(&register, now: now)
        return (fresh.map { register.entries[$0] }, lists)
    }

    /// Writes the revocation lists anew, with the next number.
    package func writeRevocationLists(now: Date) throws(AuthorityError) -> WrittenRevocationLists {
        let lock = try FolderLock(self.path)
        defer { _ = lock }
        var register = try Register.load(self.path)
        return try self.write(&register, now: now)
    }

    private func write(_ register: inout Register, now: Date) throws(AuthorityError) -> WrittenRevocationLists
    {
        let (number, overflows) = register.revocationListNumber.addingReportingOverflow(1)
        guard !overflows else {
            throw AuthorityError(.invalidRequest, "the number of revocation lists is exhausted")
        }
        let enrollment = try self.enrollment.revocationList(
            register.revoked(.enrollment),
            number: number,
            now: now
        )
        let tls = try self.tls.revocationList(register.revoked(.tls), number: number, now: now)
        register.revocationListNumber = number
        // The register first: it decides, and lists are made from it.
        try register.save(self.path)
        let path = "\(self.path)/msp/crls/\(self.organization.authorityName)-crl.pem"
        let tlsPath = "\(self.path)/tlsca/\(self.organization.tlsAuthorityName)-crl.pem"
        try Files.makeFolder("\(self.path)/msp/crls")
        try Files.replace(path, with: enrollment.pem)
        try Files.replace(tlsPath, with: tls.pem)
        return WrittenRevocationLists(number: number, path: path, tlsPath: tlsPath, enrollment: enrollment)
    }
}

extension Register {
    fileprivate func revoked(_ purpose: RegisterEntry.Purpose) -> [RevocationListTemplate.Entry] {
        self.entries.filter { $0.purpose == purpose && $0.status == .revoked }.map { entry in
            RevocationListTemplate.Entry(
                serialNumber: Self.bytes(entry.serialNumber),
                revokedAt: entry.revokedAt ?? entry.notBefore
            )
        }
    }

    private static func bytes(_ hex: String) -> Data {
        let digits = hex.compactMap(\.hexDigitValue).map(UInt8.init)
        return Data(stride(from: 0, to: digits.count - 1, by: 2).map { digits[$0] << 4 | digits[$0 + 1] })
    }
}
