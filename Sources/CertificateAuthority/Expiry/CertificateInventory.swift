package import Channel
package import Cryptography
package import FabricProtos
package import FoundationEssentials
internal import SwiftProtobuf

/// All certificates that a node uses or trusts: its own, its organization's, TLS roots, and those of its channels.
///
/// A certificate that is found in several places is listed once.
package struct CertificateInventory: Sendable {
    /// Those that expire first before the others.
    package var certificates: [TrackedCertificate] {
        self.byContents.values.sorted {
            ($0.certificate.notAfter, $0.owner, $0.use.rawValue) < (
                $1.certificate.notAfter, $1.owner, $1.use.rawValue
            )
        }
    }

    private var byContents: [Data: TrackedCertificate] = [:]

    package init() {}

    package mutating func add(_ certificate: TrackedCertificate) {
        let key = certificate.certificate.der
        guard var known = self.byContents[key] else {
            self.byContents[key] = certificate
            return
        }
        for source in certificate.sources where !known.sources.contains(source) {
            known.sources.append(source)
        }
        self.byContents[key] = known
    }

    /// Adds what another inventory lists.
    package mutating func merge(_ other: CertificateInventory) {
        for certificate in other.byContents.values { self.add(certificate) }
    }

    /// Adds every certificate in `pem`; text that holds none adds nothing.
    package mutating func add(
        pem: Data,
        _ use: TrackedCertificate.Use,
        of owner: String,
        from source: String,
        renewal: (Certificate) -> String
    ) {
        for block in PEMBlock.all(in: pem) {
            guard let certificate = try? Certificate(der: block.contents) else { continue }
            self.add(
                TrackedCertificate(
                    use: use,
                    owner: owner,
                    certificate: certificate,
                    sources: [source],
                    renewal: renewal(certificate)
                )
            )
        }
    }

    /// Adds a member's own certificate, enrollment or TLS.
    package mutating func addOwn(
        _ certificate: Certificate,
        _ use: TrackedCertificate.Use,
        of mspID: MSPID,
        from source: String
    ) {
        self.add(
            TrackedCertificate(
                use: use,
                owner: mspID.description,
                certificate: certificate,
                sources: [source],
                renewal: Self.memberRenewal(certificate)
            )
        )
    }

    /// Adds the authorities and listed administrators of an organization.
    package mutating func add(_ config: Msp_MSPConfig, from source: String) {
        guard config.type == 0, let msp = try? Msp_FabricMSPConfig(serializedBytes: config.config) else {
            return
        }
        for pem in msp.rootCerts + msp.intermediateCerts {
            self.add(pem: pem, .enrollmentAuthority, of: msp.name, from: source) { _ in
                Self.authorityRenewal(msp.name)
            }
        }
        for pem in msp.tlsRootCerts + msp.tlsIntermediateCerts {
            self.add(pem: pem, .tlsAuthority, of: msp.name, from: source) { _ in
                Self.authorityRenewal(msp.name)
            }
        }
        for pem in msp.admins {
            self.add(pem: pem, .admin, of: msp.name, from: source, renewal: Self.memberRenewal)
        }
    }

    /// Adds the certificates of a channel's organizations and ordering nodes.
    package mutating func add(_ configuration: ChannelConfiguration) {
        let source = "channel \(configuration.channelID)"
        let root = configuration.config.channelGroup
        self.addOrganizations(in: root, from: source)
        if let type = root.groups["Orderer"]?.values["ConsensusType"],
            let consensus = try? Orderer_ConsensusType(serializedBytes: type.value),
            consensus.type == "etcdraft",
            let metadata = try? Etcdraft_ConfigMetadata(serializedBytes: consensus.metadata)
        {
            for consenter in metadata.consenters {
                let owner = "\(consenter.host):\(consenter.port)"
                for pem in [consenter.clientTlsCert, consenter.serverTlsCert] {
                    self.add(pem: pem, .consenter, of: owner, from: source, renewal: Self.consenterRenewal)
                }
            }
        }
        if let value = root.values["Orderers"],
            let orderers = try? Common_Orderers(serializedBytes: value.value)
        {
            for consenter in orderers.consenterMapping {
                let owner = "\(consenter.host):\(consenter.port)"
                for pem in [consenter.clientTlsCert, consenter.serverTlsCert, consenter.identity] {
                    self.add(pem: pem, .consenter, of: owner, from: source, renewal: Self.consenterRenewal)
                }
            }
        }
    }

    private mutating func addOrganizations(in group: Common_ConfigGroup, from source: String) {
        for (_, child) in group.groups {
            if let value = child.values["MSP"], let config = try? Msp_MSPConfig(serializedBytes: value.value)
            {
                self.add(config, from: source)
            }
            self.addOrganizations(in: child, from: source)
        }
    }
}

// MARK: - What renews a certificate

extension CertificateInventory {
    private static func memberRenewal(_ certificate: Certificate) -> String {
        "weft ca renew ORGANIZATION-FOLDER \(certificate.subject.commonName ?? "NAME"), and copy the new files here"
    }

    private static func authorityRenewal(_ organization: String) -> String {
        """
        make a new authority (weft ca init), add its certificate beside the old one to \(organization) in every channel, \
        issue its members' certificates again, then take the old one out
        """
    }

    private static func consenterRenewal(_ certificate: Certificate) -> String {
        "\(Self.memberRenewal(certificate)); then put the new certificate into the channel's list of consenters"
    }
}
