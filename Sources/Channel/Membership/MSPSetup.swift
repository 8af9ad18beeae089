internal import Cryptography
internal import FabricProtos
internal import FoundationEssentials

/// What an MSP's configuration says, read and checked step by step.
///
/// - Source: Fabric v3.1, `msp` package, the set-up of each version.
struct MSPSetup {
    let id: MSPID
    let config: Msp_FabricMSPConfig
    let version: MSPVersion
    let signatureHash: HashFunction?
    let identifierHash: HashFunction
    private(set) var tree: CertificationTree
    private(set) var requiredUnits: [OrganizationalUnit] = []
    private(set) var nodeOUs: NodeOUs?

    init(_ config: Msp_FabricMSPConfig, version: MSPVersion) throws(MSPError) {
        do throws(InvalidName) {
            self.id = try MSPID(config.name)
        } catch {
            throw MSPError(msp: config.name, reason: "\(error)")
        }
        self.config = config
        self.version = version
        self.signatureHash = Self.signatureHash(config.cryptoConfig.signatureHashFamily)
        let hashName = config.cryptoConfig.identityIdentifierHashFunction
        guard let hash = HashFunction(bccspName: hashName.isEmpty ? "SHA256" : hashName) else {
            throw MSPError(
                msp: config.name,
                reason:
                    "identity_identifier_hash_function is \"\(hashName)\"; use SHA256, SHA384, SHA3_256 or SHA3_384"
            )
        }
        self.identifierHash = hash
        self.tree = try Self.authorities(config)
        self.tree.revocationLists = try Self.revocationLists(config)
        try self.checkAuthorities()
        try self.checkTLSAuthorities()
        self.requiredUnits = try self.readRequiredUnits()
        if version >= .v1_1 { self.nodeOUs = try self.readNodeOUs() }
    }

    private static func signatureHash(_ family: String) -> HashFunction? {
        switch family {
        case "", "SHA2": .sha256
        case "SHA3": .sha3_256
        default: nil
        }
    }

    private static func certificate(
        _ pem: Data,
        _ what: String,
        _ msp: String
    ) throws(MSPError) -> Certificate {
        do throws(CryptographyError) {
            return try Certificate(pem: pem)
        } catch {
            throw MSPError(msp: msp, reason: "\(what): \(error)")
        }
    }

    /// A certificate of the organization's tree, whose key must be of a kind that Fabric reads.
    private static func member(_ pem: Data, _ what: String, _ msp: String) throws(MSPError) -> Certificate {
        let certificate = try Self.certificate(pem, what, msp)
        guard case .other(let algorithm) = certificate.publicKey.algorithm else { return certificate }
        throw MSPError(
            msp: msp,
            reason: "\(what): \(certificate) has a key of the unknown algorithm \(algorithm)"
        )
    }

    /// The certificate authorities, their own signatures brought to low S.
    private static func authorities(_ config: Msp_FabricMSPConfig) throws(MSPError) -> CertificationTree {
        guard !config.rootCerts.isEmpty else {
            throw MSPError(msp: config.name, reason: "there is no root certificate; put one in cacerts")
        }
        var roots: [Certificate] = []
        for pem in config.rootCerts {
            roots.append(try Self.member(pem, "root certificate", config.name))
        }
        var intermediates: [Certificate] = []
        for pem in config.intermediateCerts {
            intermediates.append(try Self.member(pem, "intermediate certificate", config.name))
        }
        let raw = CertificationTree(CertificateAuthorities(roots: roots, intermediates: intermediates))
        do throws(IdentityError) {
            for index in roots.indices { roots[index] = try raw.sanitised(roots[index]) }
            for index in intermediates.indices {
                intermediates[index] = try raw.sanitised(intermediates[index])
            }
        } catch {
            throw MSPError(msp: config.name, reason: "certificate authority: \(error.reason)")
        }
        return CertificationTree(CertificateAuthorities(roots: roots, intermediates: intermediates))
    }

    private static func revocationLists(
        _ config: Msp_FabricMSPConfig
    ) throws(MSPError) -> [CertificateRevocationList] {
        var lists: [CertificateRevocationList] = []
        for bytes in config.revocationList {
            do throws(CryptographyError) {
                lists.append(try CertificateRevocationList(bytes))
            } catch {
                throw MSPError(msp: config.name, reason: "\(error)")
            }
        }
        return lists
    }

    /// Every authority must say that it is one, and be valid and not revoked.
    private mutating func checkAuthorities() throws(MSPError) {
        for certificate in self.tree.authorities.roots + self.tree.authorities.intermediates {
            try self.check(certificate, in: self.tree)
        }
        for certificate in self.tree.authorities.intermediates {
            do throws(IdentityError) {
                self.tree.internalNodes.formUnion(try self.tree.uniqueChain(for: certificate).dropFirst())
            } catch {
                throw MSPError(msp: self.id.description, reason: "certificate authority: \(error.reason)")
            }
        }
    }

    private func checkTLSAuthorities() throws(MSPError) {
        var roots: [Certificate] = []
        var intermediates: [Certificate] = []
        for pem in self.config.tlsRootCerts {
            roots.append(try Self.certificate(pem, "TLS root certificate", self.id.description))
        }
        for pem in self.config.tlsIntermediateCerts {
            intermediates.append(
                try Self.certificate(pem, "TLS intermediate certificate", self.id.description)
            )
        }
        var tree = CertificationTree(CertificateAuthorities(roots: roots, intermediates: intermediates))
        tree.revocationLists = self.tree.revocationLists
        for certificate in roots + intermediates { try self.check(certificate, in: tree) }
    }

    private func check(_ certificate: Certificate, in tree: CertificationTree) throws(MSPError) {
        func fail(_ reason: String) -> MSPError {
            MSPError(msp: self.id.description, reason: "the certificate authority \(certificate) \(reason)")
        }
        guard certificate.isCA else { throw fail("is no CA by its basic constraints") }
        guard certificate.subjectKeyIdentifier != nil else { throw fail("has no subject key identifier") }
        do throws(IdentityError) {
            try tree.checkRevocation(of: tree.uniqueChain(for: certificate))
        } catch {
            throw fail("is not valid: \(error)")
        }
    }

    private func readRequiredUnits() throws(MSPError) -> [OrganizationalUnit] {
        var units: [OrganizationalUnit] = []
        for unit in self.config.organizationalUnitIdentifiers {
            let certifiers = try self.certifiersIdentifier(
                unit.certificate,
                unit.organizationalUnitIdentifier
            )
            units.append(
                OrganizationalUnit(name: unit.organizationalUnitIdentifier, certifiersIdentifier: certifiers)
            )
        }
        return units
    }

    /// The digest of the path from the authority in `pem` up to its root.
    private func certifiersIdentifier(_ pem: Data, _ unit: String) throws(MSPError) -> Data {
        let what = "certifier of the organizational unit \"\(unit)\""
        let certificate = try Self.certificate(pem, what, self.id.description)
        do throws(IdentityError) {
            let authority = try self.tree.sanitised(certificate)
            if self.tree.authorities.roots.contains(authority) {
                return Digest.hash(authority.der, with: self.identifierHash)
            }
            guard self.tree.authorities.intermediates.contains(authority) else {
                throw IdentityError(.untrusted, "it is none of the root and intermediate certificates")
            }
            let chain = try self.tree.uniqueChain(for: authority)
            guard !self.tree.internalNodes.contains(authority) else {
                throw IdentityError(.untrusted, "it has issued another certificate authority of this MSP")
            }
            return Digest.hash(chain.map(\.der), with: self.identifierHash)
        } catch {
            throw MSPError(msp: self.id.description, reason: "\(what): \(error.reason)")
        }
    }

    private func readNodeOUs() throws(MSPError) -> NodeOUs? {
        guard self.config.hasFabricNodeOus else { return nil }
        let message = self.config.fabricNodeOus
        let isRecent = self.version >= .v1_4_3
        var given: [(NodeRole, Msp_FabricOUIdentifier)] = []
        if message.hasClientOuIdentifier { given.append((.client, message.clientOuIdentifier)) }
        if message.hasPeerOuIdentifier { given.append((.peer, message.peerOuIdentifier)) }
        if isRecent, message.hasAdminOuIdentifier { given.append((.admin, message.adminOuIdentifier)) }
        if isRecent, message.hasOrdererOuIdentifier { given.append((.orderer, message.ordererOuIdentifier)) }
        if !isRecent {
            let named = given.filter { !$0.1.organizationalUnitIdentifier.isEmpty }
            guard named.count == 2 else {
                throw MSPError(
                    msp: self.id.description,
                    reason: "NodeOUs need both a client and a peer OU identifier at this capability level"
                )
            }
        }
        var rules: [NodeOUs.Rule] = []
        for (role, unit) in given {
            let certifiers =
                unit.certificate.isEmpty
                ? Data()
                : try self.certifiersIdentifier(unit.certificate, unit.organizationalUnitIdentifier)
            rules.append(
                NodeOUs.Rule(
                    role: role,
                    name: unit.organizationalUnitIdentifier,
                    certifiersIdentifier: certifiers
                )
            )
        }
        guard message.enable, !rules.isEmpty else { return nil }
        return NodeOUs(rules: rules, firstRuleWins: !isRecent)
    }

    /// The listed administrators' certificates, sanitised.
    func adminCertificates() throws(MSPError) -> [Certificate] {
        var admins: [Certificate] = []
        for pem in self.config.admins {
            let certificate = try Self.member(pem, "administrator's certificate", self.id.description)
            do throws(IdentityError) {
                admins.append(try self.tree.sanitised(certificate))
            } catch {
                throw MSPError(
                    msp: self.id.description,
                    reason: "administrator \(certificate): \(error.reason)"
                )
            }
        }
        return admins
    }
}
