package import Channel
package import Cryptography
package import FabricProtos
internal import FoundationEssentials
internal import SwiftProtobuf

/// An MSP as a folder of files, in Fabric's layout.
///
/// ```
/// cacerts/ intermediatecerts/ admincerts/ signcerts/ keystore/
/// tlscacerts/ tlsintermediatecerts/ crls/ config.yaml
/// ```
///
/// - Source: Fabric v3.1, `docs/source/membership/membership.md` and `msp` package, `configbuilder`.
package struct MSPFolder: Sendable {
    package let path: String

    package init(_ path: String) { self.path = path }

    /// What the folder says about the organization: the value `MSP` of a channel's configuration.
    ///
    /// - Parameter mspID: the MSP's name, which the folder does not hold.
    /// - Returns: the configuration, and what in the folder was passed over and why.
    /// - Throws: ``AuthorityError`` if there is no root certificate or `config.yaml` is malformed.
    package func configuration(
        mspID: MSPID
    ) throws(AuthorityError) -> (config: Msp_MSPConfig, warnings: [String]) {
        var warnings: [String] = []
        var fabric = Msp_FabricMSPConfig()
        fabric.name = mspID.description
        fabric.cryptoConfig.signatureHashFamily = "SHA2"
        fabric.cryptoConfig.identityIdentifierHashFunction = "SHA256"
        fabric.rootCerts = try self.files("cacerts", &warnings)
        guard !fabric.rootCerts.isEmpty else {
            throw AuthorityError(
                .missing,
                "there is no CA certificate in \(self.path)/cacerts; put the organization's root certificate there"
            )
        }
        fabric.intermediateCerts = try self.files("intermediatecerts", &warnings)
        fabric.admins = try self.files("admincerts", &warnings)
        fabric.revocationList = try self.files("crls", &warnings)
        fabric.tlsRootCerts = try self.files("tlscacerts", &warnings)
        if !fabric.tlsRootCerts.isEmpty {
            fabric.tlsIntermediateCerts = try self.files("tlsintermediatecerts", &warnings)
        }
        try self.applyConfigurationFile(to: &fabric, &warnings)
        var config = Msp_MSPConfig()
        do {
            config.config = try fabric.serializedData()
        } catch {
            throw AuthorityError(.malformed, "\(self.path): \(error)")
        }
        return (config, warnings)
    }

    /// The member whose certificate is in `signcerts` and whose key is in `keystore`, or where `keys` says.
    ///
    /// - Throws: ``AuthorityError`` if either is missing or they do not belong together.
    package func signingIdentity(
        mspID: MSPID,
        keys: KeyProvider = .files()
    ) throws(AuthorityError) -> SigningIdentity {
        let certificate = try self.memberCertificate()
        do throws(CryptographyError) {
            switch keys {
            case .files(let keystore):
                let folder = keystore ?? "\(self.path)/keystore"
                return try self.join(certificate, Self.privateKey(of: certificate, in: folder), mspID)
            case .token(let token):
                return try self.join(certificate, token.key(of: certificate.publicKey), mspID)
            }
        } catch {
            throw AuthorityError(.malformed, "\(self.path)/signcerts: \(error)")
        }
    }

    /// The certificate in `signcerts`.
    ///
    /// - Throws: ``AuthorityError`` if there is none, or it cannot be read.
    package func memberCertificate() throws(AuthorityError) -> Certificate {
        var warnings: [String] = []
        let folder = "\(self.path)/signcerts"
        guard let pem = try self.files("signcerts", &warnings).first else {
            throw AuthorityError(
                .missing,
                "there is no certificate in \(folder); enroll this node or user, or point to its own MSP folder"
            )
        }
        do throws(CryptographyError) {
            return try Certificate(pem: pem)
        } catch {
            throw AuthorityError(.malformed, "\(folder): \(error)")
        }
    }

    private func join(
        _ certificate: Certificate,
        _ key: any SigningKey,
        _ mspID: MSPID
    ) throws(CryptographyError) -> SigningIdentity {
        do throws(IdentityError) {
            return try SigningIdentity(mspID: mspID, certificate: certificate, key: key)
        } catch {
            throw CryptographyError(code: .malformedKey, message: error.reason)
        }
    }

    /// The key in `folder` that belongs to `certificate`, whatever its file is called.
    private static func privateKey(
        of certificate: Certificate,
        in folder: String
    ) throws(CryptographyError) -> PrivateKey {
        let identifier = hexadecimal(certificate.publicKey.subjectKeyIdentifier)
        let names = Files.names(in: folder) ?? []
        let byName = names.filter { $0.hasPrefix(identifier) }
        for name in byName + names.filter({ !$0.hasPrefix(identifier) }) {
            guard let pem = try? Files.read("\(folder)/\(name)"), pem.count <= Self.maximumKeyFileSize,
                let key = try? PrivateKey(pem: pem), key.publicKey == certificate.publicKey
            else { continue }
            return key
        }
        throw CryptographyError(
            code: .malformedKey,
            message: """
                none of the \(names.count) files in \(folder) is the private key of \(certificate.subject), \
                whose key identifier is \(identifier)
                """
        )
    }

    /// Larger files are no keys (Fabric's key store has the same bound).
    package static let maximumKeyFileSize = 65_536

    /// The contents of a folder's PEM files, by name; a missing folder is empty, other files are passed over.
    private func files(_ name: String, _ warnings: inout [String]) throws(AuthorityError) -> [Data] {
        let folder = "\(self.path)/\(name)"
        guard let names = Files.names(in: folder) else {
            guard !Files.exists(folder) else { throw AuthorityError(.inputOutput, "cannot list \(folder)") }
            return []
        }
        var contents: [Data] = []
        for file in names {
            guard let data = try? Files.read("\(folder)/\(file)") else {
                warnings.append("\(folder)/\(file) cannot be read and is passed over; check its permissions")
                continue
            }
            guard PEMBlock(firstIn: data) != nil else {
                warnings.append("\(folder)/\(file) holds no PEM block and is passed over")
                continue
            }
            contents.append(data)
        }
        return contents
    }

    private func applyConfigurationFile(
        to fabric: inout Msp_FabricMSPConfig,
        _ warnings: inout [String]
    ) throws(AuthorityError) {
        let file = "\(self.path)/config.yaml"
        guard Files.exists(file) else { return }
        let rules = try UnitConfiguration(yaml: Files.read(file), file: file)
        for unit in rules.required {
            guard let certificate = try? Files.read("\(self.path)/\(unit.certificate)"), !certificate.isEmpty
            else {
                throw AuthorityError(
                    .missing,
                    """
                    \(file): OrganizationalUnitIdentifiers: the certificate \"\(unit.certificate)\" of the unit \
                    \"\(unit.name)\" cannot be read
                    """
                )
            }
            fabric.organizationalUnitIdentifiers.append(Self.message(unit.name, certificate))
        }
        guard rules.isEnabled else { return }
        fabric.fabricNodeOus.enable = true
        for (role, unit) in rules.roles {
            var certificate = Data()
            if !unit.certificate.isEmpty {
                certificate = (try? Files.read("\(self.path)/\(unit.certificate)")) ?? Data()
                if certificate.isEmpty {
                    warnings.append(
                        """
                        \(file): the certificate \"\(unit.certificate)\" of the NodeOU \"\(unit.name)\" cannot be \
                        read, so any certificate authority of the MSP may vouch for it
                        """
                    )
                }
            }
            let message = Self.message(unit.name, certificate)
            switch role {
            case .client: fabric.fabricNodeOus.clientOuIdentifier = message
            case .peer: fabric.fabricNodeOus.peerOuIdentifier = message
            case .admin: fabric.fabricNodeOus.adminOuIdentifier = message
            case .orderer: fabric.fabricNodeOus.ordererOuIdentifier = message
            }
        }
    }

    private static func message(_ name: String, _ certificate: Data) -> Msp_FabricOUIdentifier {
        var message = Msp_FabricOUIdentifier()
        message.organizationalUnitIdentifier = name
        message.certificate = certificate
        return message
    }
}
