package import Channel
package import Cryptography
package import FabricProtos
package import FoundationEssentials

/// What a node or a client needs of its own MSP folder, checked.
package struct LocalMember: Sendable {
    /// What the folder says about the organization.
    package let config: Msp_MSPConfig
    package let msp: MSP
    /// Whom the process signs as.
    package let signer: SigningIdentity
    /// What the operator should know: files passed over, and a certificate that expires soon.
    package let warnings: [String]

    /// Warnings begin a week before a certificate expires, as Fabric's do.
    package static let warningPeriod: TimeInterval = 7 * 86_400

    /// Reads and checks a folder.
    ///
    /// - Parameters:
    ///   - folder: an MSP folder with `signcerts` and `keystore`.
    ///   - mspID: the organization's MSP.
    ///   - keys: where the private key is.
    ///   - now: the current time.
    /// - Throws: ``AuthorityError`` if the MSP is not valid, or its member is not one, is revoked or has expired.
    /// - Source: Fabric v3.1, `msp` package, the set-up of the local MSP.
    package init(
        _ folder: MSPFolder,
        mspID: MSPID,
        keys: KeyProvider = .files(),
        now: Date
    ) throws(AuthorityError) {
        var (config, warnings) = try folder.configuration(mspID: mspID)
        let signer = try folder.signingIdentity(mspID: mspID, keys: keys)
        do throws(MSPError) {
            self.msp = try MSP(config, version: .v3_0)
        } catch {
            throw AuthorityError(.malformed, "\(folder.path): \(error)")
        }
        do throws(IdentityError) {
            try self.msp.validate(self.msp.identity(from: signer.serialized))
        } catch {
            throw AuthorityError(
                .malformed,
                "\(folder.path): the certificate in signcerts is not valid for \(mspID): \(error)"
            )
        }
        let what = "the enrollment certificate in \(folder.path)/signcerts"
        guard !signer.certificate.isExpired(at: now) else {
            throw AuthorityError(
                .expired,
                """
                \(what) expired at \(CivilTime(signer.certificate.notAfter)); renew it with weft ca renew, \
                and copy the folder here
                """
            )
        }
        warnings += [Self.expiryWarning(signer.certificate, what, now: now)].compactMap(\.self)
        self.config = config
        self.signer = signer
        self.warnings = warnings
    }

    /// A sentence about a certificate that has expired or expires within ``warningPeriod``; `nil` if it does not.
    package static func expiryWarning(_ certificate: Certificate, _ what: String, now: Date) -> String? {
        let left = certificate.notAfter.timeIntervalSince(now)
        guard left < Self.warningPeriod else { return nil }
        let end = CivilTime(certificate.notAfter)
        return left < 0
            ? "\(what) expired at \(end); renew it" : "\(what) expires at \(end); renew it before then"
    }
}
