internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

extension ConfigurationEditor {
    mutating func add(
        _ profile: ChannelProfile.OrganizationProfile,
        to section: ConfigurationEdit.Section
    ) throws(ConfigurationEditError) {
        let path = Self.path(section.rawValue, profile.name)
        if let fault = ConfigurationName.fault(of: profile.name) { throw ConfigurationEditError(path, fault) }
        var group: Common_ConfigGroup
        do {
            group = try profile.group(in: Self.path(section.rawValue))
        } catch {
            throw ConfigurationEditError(error.path, error.reason)
        }
        if section == .application, !profile.anchorPeers.isEmpty {
            try Self.set(profile.anchorPeers, in: &group, at: path)
        }
        if section == .orderer, !profile.ordererEndpoints.isEmpty {
            try Self.update(ConfigurationKey.endpoints, Common_OrdererAddresses.self, of: &group, at: path) {
                $0.addresses = profile.ordererEndpoints
            }
        }
        let identifier = Self.mspIdentifier(of: group)
        try self.update(section) { (parent: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            guard parent.groups[profile.name] == nil else {
                throw ConfigurationEditError(path, "the organization is there already")
            }
            let twin = parent.groups.first {
                Self.mspIdentifier(of: $0.value) == identifier && identifier != nil
            }
            guard twin == nil else {
                throw ConfigurationEditError(
                    path,
                    "\(identifier ?? "") is there already, as organization \(twin?.key ?? "")"
                )
            }
            parent.groups[profile.name] = group
        }
    }

    mutating func remove(
        _ name: String,
        from section: ConfigurationEdit.Section
    ) throws(ConfigurationEditError) {
        try self.update(section) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            let key = try Self.organization(name, in: group, section)
            guard group.groups.count > 1 else {
                throw ConfigurationEditError(
                    Self.path(section.rawValue, key),
                    "it is the last organization of \(section.rawValue); a channel without any can't be used or "
                        + "changed again"
                )
            }
            group.groups[key] = nil
        }
    }

    mutating func replace(_ msp: Msp_MSPConfig) throws(ConfigurationEditError) {
        guard let config = try? Msp_FabricMSPConfig(serializedBytes: msp.config), !config.name.isEmpty else {
            throw ConfigurationEditError(PolicyTree.root, "the new MSP can't be read")
        }
        try self.updateMSP(of: config.name) { _, _ in config }
    }

    /// Changes the MSP of an organization wherever the organization is listed: all definitions of an MSP must be
    /// the same.
    private mutating func updateMSP(
        of name: String,
        _ change: (Msp_FabricMSPConfig, _ path: String) throws(ConfigurationEditError) -> Msp_FabricMSPConfig
    ) throws(ConfigurationEditError) {
        let identifiers = ConfigurationEdit.Section.allCases.compactMap { section in
            self.channelGroup.groups[section.rawValue]?.groups[name].flatMap(Self.mspIdentifier)
        }
        let identifier = identifiers.first ?? name
        var isFound = false
        for section in ConfigurationEdit.Section.allCases {
            guard var group = self.channelGroup.groups[section.rawValue] else { continue }
            for (key, child) in group.groups where Self.mspIdentifier(of: child) == identifier {
                isFound = true
                var child = child
                let path = Self.path(section.rawValue, key)
                try Self.update(ConfigurationKey.msp, Msp_MSPConfig.self, of: &child, at: path) {
                    (msp: inout Msp_MSPConfig) throws(ConfigurationEditError) in
                    let old: Msp_FabricMSPConfig
                    do { old = try Msp_FabricMSPConfig(serializedBytes: msp.config) } catch {
                        throw ConfigurationEditError("\(path)/MSP", "\(error)")
                    }
                    let new = try change(old, "\(path)/MSP")
                    if new != old { msp.config = try Self.bytes(new, "\(path)/MSP") }
                }
                group.groups[key] = child
            }
            self.channelGroup.groups[section.rawValue] = group
        }
        guard isFound else {
            let known = ConfigurationEdit.Section.allCases.flatMap { section in
                self.channelGroup.groups[section.rawValue]?.groups.values.compactMap(Self.mspIdentifier) ?? []
            }
            throw ConfigurationEditError(
                PolicyTree.root,
                "there is no organization \"\(name)\"; MSPs are \(Set(known).sorted().joined(separator: ", "))"
            )
        }
    }

    /// Adds the revocation lists in `bytes`.
    ///
    /// A list without an authority key identifier would make every identity of the organization invalid, its
    /// administrators too, so nobody could undo it: it is refused here, though Fabric takes it.
    mutating func add(list bytes: Data, of organization: String) throws(ConfigurationEditError) {
        let blocks = PEMBlock.all(in: bytes).filter { $0.type == "X509 CRL" }
        let lists = blocks.isEmpty ? [bytes] : blocks.map { PEMBlock.encode($0.contents, type: $0.type) }
        try self.updateMSP(of: organization) {
            (config: Msp_FabricMSPConfig, path: String) throws(ConfigurationEditError) in
            var config = config
            let authorities = (config.rootCerts + config.intermediateCerts).compactMap {
                try? Certificate(pem: $0)
            }
            for bytes in lists {
                let list: CertificateRevocationList
                do { list = try CertificateRevocationList(bytes) } catch {
                    throw ConfigurationEditError(path, "this is no revocation list: \(error)")
                }
                guard let key = list.authorityKeyIdentifier else {
                    throw ConfigurationEditError(
                        path,
                        "the revocation list of \(list.issuer) has no authority key identifier; with it, every "
                            + "identity of the organization would be invalid, and nobody could undo that"
                    )
                }
                guard
                    authorities.contains(where: {
                        $0.subjectKeyIdentifier == key && list.isSigned(by: $0.publicKey)
                    })
                else {
                    throw ConfigurationEditError(
                        path,
                        "the revocation list of \(list.issuer) is not signed by an authority of \(config.name), so "
                            + "it would revoke nothing"
                    )
                }
                let known = config.revocationList.compactMap { try? CertificateRevocationList($0).der }
                if !known.contains(list.der) { config.revocationList.append(list.pem) }
            }
            return config
        }
    }

    mutating func set(
        _ peers: [ApplicationOrganization.AnchorPeer],
        of organization: String
    ) throws(ConfigurationEditError) {
        try self.update(organization, in: .application) {
            (group: inout Common_ConfigGroup, path: String) throws(ConfigurationEditError) in
            try Self.set(peers, in: &group, at: path)
        }
    }

    private static func set(
        _ peers: [ApplicationOrganization.AnchorPeer],
        in group: inout Common_ConfigGroup,
        at path: String
    ) throws(ConfigurationEditError) {
        for peer in peers where peer.host.isEmpty || !(1...65535).contains(peer.port) {
            throw ConfigurationEditError(
                "\(path)/AnchorPeers",
                "\"\(peer.host):\(peer.port)\" is no host and port"
            )
        }
        guard !peers.isEmpty else {
            group.values[ConfigurationKey.anchorPeers] = nil
            return
        }
        try Self.update(ConfigurationKey.anchorPeers, Protos_AnchorPeers.self, of: &group, at: path) {
            $0.anchorPeers = peers.map { peer in
                .with {
                    $0.host = peer.host
                    $0.port = Int32(clamping: peer.port)
                }
            }
        }
    }
}
