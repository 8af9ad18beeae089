package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// One change that an operator wants to make to a channel's configuration.
package enum ConfigurationEdit: Sendable {
    /// A place where organizations are listed.
    package enum Section: String, Sendable, CaseIterable {
        case application = "Application", orderer = "Orderer"
    }

    case addOrganization(ChannelProfile.OrganizationProfile, to: Section)
    case removeOrganization(String, from: Section)
    /// Wherever an organization with the MSP's identifier is listed.
    case replaceMSP(Msp_MSPConfig)
    /// Revocation lists, PEM, for the organization with this group name or MSP identifier.
    case addRevocationList(Data, of: String)
    case setAnchorPeers([ApplicationOrganization.AnchorPeer], of: String)
    case setPolicy(path: String, ChannelProfile.PolicyDefinition)
    case removePolicy(path: String)
    /// Who may change a group, value or policy.
    case setModificationPolicy(path: String, String)
    /// `nil` takes the resource off the list, so that the default holds again.
    case setAccess(resource: String, policy: String?)
    /// Whether a capability is required at a level.
    case setCapability(Capabilities.Level, String, isRequired: Bool)
    case setBatch(BatchChange)
    case addConsenter(Consenter)
    /// `host:port`.
    case removeConsenter(String)
    /// Certificates, PEM, of the consenter at `host:port`; `nil` for one that stays.
    case setConsenterCertificates(String, client: Data?, server: Data?)
    /// Whether only organizations of orderers may use the channel, so that its consensus type can change.
    case setMaintenance(Bool)
    /// How the consenters of a BFT channel keep time, and how much they keep.
    case setBFTOptions([BFTOption])
    /// Raft's consenters become BFT's.
    case changeToBFT([BFTIdentity], Orderer_Smartbft_Options)
    case addOrdererEndpoint(String, of: String)
    case removeOrdererEndpoint(String, of: String)

    /// Bounds of blocks; `nil` for one that stays.
    package struct BatchChange: Equatable, Sendable {
        package var maxMessageCount: UInt32?
        package var absoluteMaxBytes: UInt32?
        package var preferredMaxBytes: UInt32?
        package var timeout: Duration?

        package init(
            maxMessageCount: UInt32? = nil,
            absoluteMaxBytes: UInt32? = nil,
            preferredMaxBytes: UInt32? = nil,
            timeout: Duration? = nil
        ) {
            self.maxMessageCount = maxMessageCount
            self.absoluteMaxBytes = absoluteMaxBytes
            self.preferredMaxBytes = preferredMaxBytes
            self.timeout = timeout
        }
    }

    /// A node that takes part in ordering.
    package struct Consenter: Sendable {
        package var host: String
        package var port: UInt32
        /// PEM.
        package var clientTLSCertificate: Data
        /// PEM.
        package var serverTLSCertificate: Data
        /// Only on a BFT channel: the node's number, organization and enrollment certificate (PEM).
        package var identity: (number: UInt32, mspID: String, certificate: Data)?

        package init(
            host: String,
            port: UInt32,
            clientTLSCertificate: Data,
            serverTLSCertificate: Data,
            identity: (number: UInt32, mspID: String, certificate: Data)? = nil
        ) {
            self.host = host
            self.port = port
            self.clientTLSCertificate = clientTLSCertificate
            self.serverTLSCertificate = serverTLSCertificate
            self.identity = identity
        }

        package var address: String { "\(self.host):\(self.port)" }
    }
}

/// A change that cannot be made to a configuration.
package struct ConfigurationEditError: Error, Equatable, Sendable, CustomStringConvertible {
    /// The element at fault.
    package var path: String
    /// What is wrong and what would be right, as a clause.
    package var reason: String

    init(_ path: String, _ reason: String) {
        self.path = path
        self.reason = reason
    }

    package var description: String { "\(self.path): \(self.reason)" }
}

/// A configuration while changes are made to it, one after the other.
///
/// ```swift
/// var editor = ConfigurationEditor(channel.config.channelGroup)
/// try editor.apply(.setBatch(.init(maxMessageCount: 100)))
/// let update = try Common_ConfigUpdate.computing(from: before, to: editor.channelGroup, channelID: id)
/// ```
package struct ConfigurationEditor: Sendable {
    package internal(set) var channelGroup: Common_ConfigGroup

    package init(_ channelGroup: Common_ConfigGroup) {
        self.channelGroup = channelGroup
    }

    /// Makes a change.
    ///
    /// Each change checks what it touches; whether the configuration as a whole holds together is asked at the
    /// end, since several changes may have to be made together.
    ///
    /// - Throws: ``ConfigurationEditError``, also for a change that changes nothing; the configuration is as it
    ///   was then.
    package mutating func apply(_ edit: ConfigurationEdit) throws(ConfigurationEditError) {
        var copy = self
        try copy.make(edit)
        guard copy.channelGroup != self.channelGroup else {
            throw ConfigurationEditError(PolicyTree.root, "\(edit.summary) changes nothing: it is so already")
        }
        self = copy
    }

    private mutating func make(_ edit: ConfigurationEdit) throws(ConfigurationEditError) {
        switch edit {
        case .addOrganization(let profile, let section): try self.add(profile, to: section)
        case .removeOrganization(let name, let section): try self.remove(name, from: section)
        case .replaceMSP(let msp): try self.replace(msp)
        case .addRevocationList(let bytes, let organization): try self.add(list: bytes, of: organization)
        case .setAnchorPeers(let peers, let organization): try self.set(peers, of: organization)
        case .setPolicy(let path, let definition): try self.set(definition, at: path)
        case .removePolicy(let path): try self.removePolicy(at: path)
        case .setModificationPolicy(let path, let policy): try self.setModificationPolicy(policy, of: path)
        case .setAccess(let resource, let policy): try self.setAccess(to: resource, policy)
        case .setCapability(let level, let name, let isRequired):
            try self.setCapability(name, at: level, isRequired)
        case .setBatch(let change): try self.set(change)
        case .addConsenter(let consenter): try self.add(consenter)
        case .removeConsenter(let address): try self.removeConsenter(address)
        case .setConsenterCertificates(let address, let client, let server):
            try self.setCertificates(of: address, client, server)
        case .setMaintenance(let isOn): try self.setMaintenance(isOn)
        case .setBFTOptions(let options): try self.set(options)
        case .changeToBFT(let identities, let options): try self.changeToBFT(identities, options)
        case .addOrdererEndpoint(let address, let organization):
            try self.addEndpoint(address, of: organization)
        case .removeOrdererEndpoint(let address, let organization):
            try self.removeEndpoint(address, of: organization)
        }
    }
}

extension ConfigurationEdit {
    /// The change in a few words.
    package var summary: String {
        switch self {
        case .addOrganization(let profile, let section): "adding \(profile.name) to \(section.rawValue)"
        case .removeOrganization(let name, let section): "removing \(name) from \(section.rawValue)"
        case .replaceMSP: "replacing the MSP"
        case .addRevocationList(_, let organization): "adding a revocation list of \(organization)"
        case .setAnchorPeers(_, let organization): "setting the anchor peers of \(organization)"
        case .setPolicy(let path, _): "setting the policy \(path)"
        case .removePolicy(let path): "removing the policy \(path)"
        case .setModificationPolicy(let path, _): "setting who may change \(path)"
        case .setAccess(let resource, _): "setting the access to \(resource)"
        case .setCapability(let level, let name, _): "setting capability \(name) of \(level.rawValue)"
        case .setBatch: "setting the bounds of blocks"
        case .addConsenter(let consenter): "adding consenter \(consenter.address)"
        case .removeConsenter(let address): "removing consenter \(address)"
        case .setConsenterCertificates(let address, _, _): "setting the certificates of consenter \(address)"
        case .setMaintenance(let isOn): "\(isOn ? "entering" : "leaving") maintenance mode"
        case .setBFTOptions: "setting the options of BFT"
        case .changeToBFT: "changing the consensus type to BFT"
        case .addOrdererEndpoint(let address, _): "adding endpoint \(address)"
        case .removeOrdererEndpoint(let address, _): "removing endpoint \(address)"
        }
    }
}

// MARK: - Reading and writing elements

extension ConfigurationEditor {
    static func path(_ parts: String...) -> String { ([PolicyTree.root] + parts).joined(separator: "/") }

    /// The serialized message; equal messages give equal bytes.
    static func bytes(_ message: some Message, _ path: String) throws(ConfigurationEditError) -> Data {
        var options = BinaryEncodingOptions()
        options.useDeterministicOrdering = true
        do {
            return try message.serializedBytes(options: options)
        } catch {
            throw ConfigurationEditError(path, "\(error)")
        }
    }

    /// Changes a value of a group, which is made if it is missing.
    static func update<Value: Message & Equatable>(
        _ key: String,
        _ type: Value.Type,
        of group: inout Common_ConfigGroup,
        at path: String,
        _ change: (inout Value) throws(ConfigurationEditError) -> Void
    ) throws(ConfigurationEditError) {
        var entry = group.values[key] ?? .with { $0.modPolicy = "Admins" }
        var value: Value
        do {
            value = try Value(serializedBytes: entry.value)
        } catch {
            throw ConfigurationEditError(
                "\(path)/\(key)",
                "its bytes are no \(Value.protoMessageName): \(error)"
            )
        }
        let before = value
        try change(&value)
        guard value != before else { return }
        entry.value = try Self.bytes(value, "\(path)/\(key)")
        group.values[key] = entry
    }

    /// Changes a section, which must be there.
    mutating func update(
        _ section: ConfigurationEdit.Section,
        _ change: (inout Common_ConfigGroup) throws(ConfigurationEditError) -> Void
    ) throws(ConfigurationEditError) {
        guard var group = self.channelGroup.groups[section.rawValue] else {
            throw ConfigurationEditError(
                Self.path(section.rawValue),
                "the channel has no \(section.rawValue) group"
            )
        }
        try change(&group)
        self.channelGroup.groups[section.rawValue] = group
    }

    /// Changes an organization's group in a section; `name` is the group's name or its MSP identifier.
    mutating func update(
        _ name: String,
        in section: ConfigurationEdit.Section,
        _ change: (inout Common_ConfigGroup, _ path: String) throws(ConfigurationEditError) -> Void
    ) throws(ConfigurationEditError) {
        try self.update(section) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            let key = try Self.organization(name, in: group, section)
            guard var child = group.groups[key] else { return }
            try change(&child, Self.path(section.rawValue, key))
            group.groups[key] = child
        }
    }

    /// The name of the group of an organization.
    static func organization(
        _ name: String,
        in group: Common_ConfigGroup,
        _ section: ConfigurationEdit.Section
    ) throws(ConfigurationEditError) -> String {
        if group.groups[name] != nil { return name }
        let matching = group.groups.filter { Self.mspIdentifier(of: $0.value) == name }.keys.sorted()
        if let key = matching.first { return key }
        let known = group.groups.sorted { $0.key < $1.key }.map { key, child in
            "\(key) (\(Self.mspIdentifier(of: child) ?? "no MSP"))"
        }
        throw ConfigurationEditError(
            Self.path(section.rawValue),
            "there is no organization \"\(name)\"; there are: \(known.joined(separator: ", "))"
        )
    }

    static func mspIdentifier(of group: Common_ConfigGroup) -> String? {
        guard let value = group.values[ConfigurationKey.msp],
            let outer = try? Msp_MSPConfig(serializedBytes: value.value),
            let inner = try? Msp_FabricMSPConfig(serializedBytes: outer.config)
        else { return nil }
        return inner.name
    }
}
