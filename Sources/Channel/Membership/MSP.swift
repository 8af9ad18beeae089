internal import Cryptography
package import FabricProtos
package import FoundationEssentials
internal import SwiftProtobuf

/// A membership service provider: says who belongs to an organization, and in which role.
///
/// Made from an organization's configuration and immutable; a changed configuration makes a new one.
///
/// ```swift
/// let msp = try MSP(config, version: .v3_0)
/// let identity = try msp.identity(from: creator)
/// try msp.validate(identity)
/// try identity.verify(signature, of: payload)
/// ```
///
/// - Source: Fabric v3.1, `msp` package and `docs/source/msp.rst`.
package final class MSP: Sendable {
    package let id: MSPID
    package let version: MSPVersion
    /// PEM of the certificate authorities of the organization's TLS certificates.
    package let tlsRootCertificates: [Data]
    package let tlsIntermediateCertificates: [Data]

    let tree: CertificationTree
    let signatureHash: HashFunction?
    let identifierHash: HashFunction
    /// Units of which a member needs one, if there are any.
    let requiredUnits: [OrganizationalUnit]
    /// `nil` if roles are not told apart.
    let nodeOUs: NodeOUs?
    /// Certificates that are administrators by being listed.
    let admins: Set<Certificate>
    let origin = MSPOrigin()

    /// Sets an MSP up, and checks its whole configuration.
    ///
    /// - Parameters:
    ///   - config: the value `MSP` of an organization's group, or what an MSP folder holds.
    ///   - version: the rules to follow, by the channel's capabilities.
    /// - Throws: ``MSPError`` if Fabric would refuse the configuration.
    package convenience init(_ config: Msp_MSPConfig, version: MSPVersion) throws(MSPError) {
        guard config.type == 0 else {
            // Both kinds of configuration begin with the name.
            let name = (try? Msp_FabricMSPConfig(serializedBytes: config.config))?.name ?? ""
            let kind = config.type == 1 ? "an Idemix MSP (type 1)" : "of type \(config.type)"
            throw MSPError(
                msp: name,
                reason: """
                    it is \(kind), and only X.509 MSPs (type 0) are supported; Fabric refuses Idemix MSPs, too, on \
                    channels with capability V3_0
                    """
            )
        }
        let fabric: Msp_FabricMSPConfig
        do {
            fabric = try Msp_FabricMSPConfig(serializedBytes: config.config)
        } catch {
            throw MSPError(msp: "", reason: "the configuration is not a FabricMSPConfig message: \(error)")
        }
        try self.init(MSPSetup(fabric, version: version))
    }

    private init(_ setup: MSPSetup) throws(MSPError) {
        self.id = setup.id
        self.version = setup.version
        self.tlsRootCertificates = setup.config.tlsRootCerts
        self.tlsIntermediateCertificates = setup.config.tlsIntermediateCerts
        self.tree = setup.tree
        self.signatureHash = setup.signatureHash
        self.identifierHash = setup.identifierHash
        self.requiredUnits = setup.requiredUnits
        self.nodeOUs = setup.nodeOUs
        self.admins = Set(try setup.adminCertificates())
        try self.checkAdmins(setup)
    }

    /// Administrators listed in the configuration must be members, or have a fitting role.
    private func checkAdmins(_ setup: MSPSetup) throws(MSPError) {
        if self.version >= .v1_4_3, self.admins.isEmpty, self.nodeOUs?.rule(for: .admin) == nil {
            throw MSPError(
                msp: self.id.description,
                reason:
                    "there is no administrator; enable the NodeOU \"admin\" or list certificates in admincerts"
            )
        }
        for (index, certificate) in try setup.adminCertificates().enumerated() {
            let identity = self.identity(certificate, chain: nil, received: certificate, serialized: Data())
            do throws(IdentityError) {
                switch self.nodeOUs {
                case nil:
                    if let fault = identity.fault { throw fault }
                case let rules? where self.version >= .v1_4_3:
                    let units = identity.organizationalUnits
                    guard rules.has(.client, units) || rules.has(.admin, units) else {
                        throw IdentityError(
                            .organizationalUnit,
                            "it has neither the OU client nor the OU admin"
                        )
                    }
                case _?:
                    try self.satisfies(identity, .role(mspID: self.id.description, role: .client))
                }
            } catch {
                throw MSPError(
                    msp: self.id.description,
                    reason: "administrator \(index) (\(certificate)) cannot be one: \(error)"
                )
            }
        }
    }

    /// Reads a serialized identity of this MSP.
    ///
    /// - Parameter serialized: a `SerializedIdentity`, as transmitted.
    /// - Returns: the identity, which need not be valid: see ``validate(_:)``.
    /// - Throws: ``IdentityError`` if it is malformed, of another MSP, or signed with ECDSA by an unknown authority.
    package func identity(from serialized: Data) throws(IdentityError) -> Identity {
        try self.identity(from: Self.decode(serialized), serialized: serialized)
    }

    static func decode(_ serialized: Data) throws(IdentityError) -> Msp_SerializedIdentity {
        do {
            return try Msp_SerializedIdentity(serializedBytes: serialized)
        } catch {
            throw IdentityError(.malformed, "not a SerializedIdentity message: \(error)")
        }
    }

    func identity(
        from message: Msp_SerializedIdentity,
        serialized: Data
    ) throws(IdentityError) -> Identity {
        guard sameText(message.mspid, self.id.description) else {
            throw IdentityError(
                .unknownMSP,
                "expected an identity of \(self.id), received one of \(message.mspid)"
            )
        }
        let received: Certificate
        do throws(CryptographyError) {
            received = try Certificate(pem: message.idBytes)
        } catch {
            throw IdentityError(.malformed, "\(self.id): \(error)")
        }
        if case .other(let algorithm) = received.publicKey.algorithm {
            throw IdentityError(
                .unsupportedKey,
                "\(received) has a key of the unknown algorithm \(algorithm)"
            )
        }
        guard received.needsSanitising, !received.isCA else {
            let certificate = try self.tree.sanitised(received)
            return self.identity(certificate, chain: nil, received: received, serialized: serialized)
        }
        // One search serves both for sanitising and for validating.
        var chain = try self.tree.uniqueChain(for: received)
        guard chain.count >= 2 else {
            throw IdentityError(.untrusted, "\(received) is a root, but no certificate authority")
        }
        do throws(CryptographyError) {
            chain[0] = try received.sanitised(issuer: chain[1].publicKey)
        } catch {
            throw IdentityError(.untrusted, error.message)
        }
        return self.identity(chain[0], chain: chain, received: received, serialized: serialized)
    }

    /// The identity of a sanitised certificate, with its verdict.
    private func identity(
        _ certificate: Certificate,
        chain: [Certificate]?,
        received: Certificate,
        serialized: Data
    ) -> Identity {
        let digest = Digest.hash(certificate.der, with: self.identifierHash)
        let units: [OrganizationalUnit]
        var fault: IdentityError?
        do throws(IdentityError) {
            let members = try self.memberChain(certificate, known: chain)
            units = self.units(of: members)
            fault = self.fault(of: members, units: units)
        } catch {
            units = []
            fault = error
        }
        if let unsupported = self.checkKey(certificate) { fault = unsupported }
        return Identity(
            mspID: self.id,
            serialized: serialized,
            received: received,
            certificate: certificate,
            identifier: IdentityIdentifier(mspID: self.id, id: hexadecimal(digest)),
            organizationalUnits: units,
            signatureHash: self.signatureHash,
            fault: fault,
            origin: self.origin
        )
    }

    /// Checks that `identity` is a member: rightly issued, not revoked, and with organizational units as asked for.
    ///
    /// Does not look at the clock.
    package func validate(_ identity: Identity) throws(IdentityError) {
        guard identity.origin !== self.origin else {
            if let fault = identity.fault { throw fault }
            return
        }
        // Read by another MSP, or by this one under an earlier configuration.
        let again = try self.identity(from: identity.serialized)
        if let fault = again.fault { throw fault }
    }

    /// Checks that `serialized` is in the one form that peers accept from the creators of transactions.
    ///
    /// Nothing may follow the PEM block, its label is `CERTIFICATE` or empty, and the certificate's own ECDSA
    /// signature is minimal DER: otherwise one identity would have several serialized forms.
    ///
    /// - Source: Fabric v3.1, `msp` package, `IsWellFormed`.
    package static func checkWellFormed(_ serialized: Data) throws(IdentityError) {
        let message = try Self.decode(serialized)
        guard let block = PEMBlock(firstIn: message.idBytes) else {
            throw IdentityError(.malformed, "the identity of \(message.mspid) holds no PEM block")
        }
        guard block.rest.isEmpty else {
            throw IdentityError(
                .malformed,
                "bytes follow the certificate in the identity of \(message.mspid)"
            )
        }
        guard block.type == "CERTIFICATE" || block.type.isEmpty else {
            throw IdentityError(.malformed, "the PEM label is \"\(block.type)\", expected \"CERTIFICATE\"")
        }
        let certificate: Certificate
        do throws(CryptographyError) {
            certificate = try Certificate(der: block.contents)
        } catch {
            throw IdentityError(.malformed, "\(message.mspid): \(error)")
        }
        guard certificate.hasCanonicalSignature else {
            throw IdentityError(.malformed, "the signature of \(certificate) is not minimal DER")
        }
    }
}
