import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

/// Fabric's `configtx.yaml`: profiles of channels, and organizations.
///
/// Keys are taken in any case, as Fabric takes them, and one that is not known is refused.
///
/// - Source: Fabric v3.1, `configtx.yaml` and package `internal/configtxgen/genesisconfig`.
struct ConfigtxFile {
    let file: String
    /// Reads the MSP folder of an organization, given its path and identifier.
    private let readMSP: (_ folder: String, _ mspID: String) throws -> Msp_MSPConfig
    private let root: ConfigurationSection

    /// Finds the file: `configtx.yaml` or `configtx.yml` in the first of some folders that has one.
    ///
    /// - Parameters:
    ///   - folder: The only folder to look in; else `FABRIC_CFG_PATH`, the present folder, `/etc/hyperledger/fabric`.
    ///   - environment: The environment of the process.
    /// - Returns: The path of the file.
    /// - Throws: ``Failure`` when there is none.
    static func find(in folder: String?, environment: [String: String]) throws(Failure) -> String {
        let named = environment["FABRIC_CFG_PATH"].flatMap { $0.isEmpty ? nil : $0 }
        let folders = folder.map { [$0] } ?? [named, ".", "/etc/hyperledger/fabric"].compactMap(\.self)
        for folder in folders {
            for name in ["configtx.yaml", "configtx.yml"] {
                let path = URL(fileURLWithPath: folder).appendingPathComponent(name).path
                if FileManager.default.fileExists(atPath: path) { return path }
            }
        }
        throw Failure(
            """
            could not find configtx.yaml in \(folders.joined(separator: ", ")); make sure that FABRIC_CFG_PATH or \
            -configPath names the folder that has it
            """,
            code: .configuration
        )
    }

    /// Opens the file.
    ///
    /// - Parameters:
    ///   - file: The path of `configtx.yaml`.
    ///   - environment: The environment, whose `CONFIGTX_…` win over values of the file.
    ///   - readMSP: Reads an MSP folder.
    /// - Throws: ``ConfigurationError`` when it can't be read.
    init(
        file: String,
        environment: [String: String] = [:],
        readMSP: @escaping (_ folder: String, _ mspID: String) throws -> Msp_MSPConfig
    ) throws {
        try self.init(root: ConfigurationSection(file: file), environment: environment, readMSP: readMSP)
    }

    /// Takes the root of a file that was read.
    init(
        root: ConfigurationSection,
        environment: [String: String] = [:],
        readMSP: @escaping (_ folder: String, _ mspID: String) throws -> Msp_MSPConfig
    ) throws {
        self.file = root.file
        self.readMSP = readMSP
        self.root = try root.merged().overridden(by: environment, prefix: "CONFIGTX").spelled([
            "Profiles", "Organizations", "Channel", "Application", "Orderer", "Capabilities",
        ])
    }

    /// Reads the profile of the given name.
    func profile(_ name: String) throws -> ChannelProfile {
        let profiles = try self.root.section("Profiles")
        guard profiles.contains(name) else {
            throw profiles.error(
                name,
                "Could not find profile: \(name); there are: \(profiles.keys.joined(separator: ", "))"
            )
        }
        let profile = try profiles.section(name).spelled([
            "Consortium", "Application", "Orderer", "Consortiums", "Capabilities", "Policies",
        ])
        return ChannelProfile(
            policies: try self.policies(profile) ?? .channelDefaults,
            capabilities: try self.capabilities(profile),
            orderer: try profile.optionalSection("Orderer").map(self.orderer),
            application: try profile.optionalSection("Application").map(self.application),
            consortium: try profile.optionalValue("Consortium", expected: "a name") { $0 },
            consortiums: try profile.optionalSection("Consortiums").map(self.consortiums)
        )
    }

    /// The organization of this name in the list at the top of the file.
    func organization(named name: String) throws -> ChannelProfile.OrganizationProfile {
        var names: [String] = []
        for section in try self.root.sections("Organizations") {
            let spelled = try self.spelledOrganization(section)
            let other = try spelled.value("Name", expected: "a name", nonEmpty)
            if other == name { return try self.organization(spelled) }
            names.append(other)
        }
        throw self.root.error(
            "Organizations",
            "organization \(name) not found; there are: \(names.joined(separator: ", "))"
        )
    }

    // MARK: - Parts

    private func application(_ section: ConfigurationSection) throws -> ChannelProfile.ApplicationProfile {
        let section = try section.spelled(["Organizations", "Capabilities", "Policies", "ACLs"])
        var acls: [String: String] = [:]
        if let list = try section.optionalSection("ACLs") {
            for resource in list.keys {
                acls[resource] = try list.value(resource, expected: "a policy's path", nonEmpty)
            }
        }
        return ChannelProfile.ApplicationProfile(
            organizations: try self.organizations(section),
            policies: try self.policies(section) ?? .applicationDefaults,
            capabilities: try self.capabilities(section),
            acls: acls
        )
    }

    private func consortiums(
        _ section: ConfigurationSection
    ) throws -> [String: [ChannelProfile.OrganizationProfile]] {
        var consortiums: [String: [ChannelProfile.OrganizationProfile]] = [:]
        for name in section.keys {
            consortiums[name] =
                try section.optionalSection(name).map { section in
                    try self.organizations(section.spelled(["Organizations"]))
                } ?? []
        }
        return consortiums
    }

    func organizations(_ section: ConfigurationSection) throws -> [ChannelProfile.OrganizationProfile] {
        try section.sections("Organizations").map { try self.organization(self.spelledOrganization($0)) }
    }

    private func spelledOrganization(_ section: ConfigurationSection) throws -> ConfigurationSection {
        try section.spelled([
            "Name", "ID", "MSPDir", "MSPType", "Policies", "AnchorPeers", "OrdererEndpoints",
            "AdminPrincipal",
            "SkipAsForeign",
        ])
    }

    private func organization(_ section: ConfigurationSection) throws -> ChannelProfile.OrganizationProfile {
        let name = try section.value("Name", expected: "a name", nonEmpty)
        let isForeign =
            try section.optionalValue("SkipAsForeign", expected: "true or false", configuredFlag) ?? false
        _ = try section.optionalValue("MSPType", expected: "bccsp; Weft has no other kind of MSP") {
            $0.isEmpty || $0.lowercased() == "bccsp" ? $0 : nil
        }
        return ChannelProfile.OrganizationProfile(
            name: name,
            msp: isForeign ? nil : try self.membership(section),
            policies: try self.policies(section) ?? [:],
            ordererEndpoints: try section.list("OrdererEndpoints"),
            anchorPeers: try section.sections("AnchorPeers").map { entry in
                let entry = try entry.spelled(["Host", "Port"])
                return ApplicationOrganization.AnchorPeer(
                    host: try entry.value("Host", expected: "a host", nonEmpty),
                    port: try entry.value("Port", expected: "a port, 1 to 65535") { port($0).map(Int.init) }
                )
            }
        )
    }

    private func membership(_ section: ConfigurationSection) throws -> Msp_MSPConfig {
        let mspID = try section.value("ID", expected: "an MSP identifier", nonEmpty)
        let folder = try section.value("MSPDir", expected: "an MSP folder", nonEmpty)
        do {
            return try self.readMSP(configuredPath(folder, from: self.file), mspID)
        } catch {
            throw section.error("MSPDir", "\(error)")
        }
    }

    func policies(
        _ section: ConfigurationSection
    ) throws -> [String: ChannelProfile.PolicyDefinition]? {
        guard let list = try section.optionalSection("Policies") else { return nil }
        var result: [String: ChannelProfile.PolicyDefinition] = [:]
        for name in list.keys {
            let entry = try list.section(name).spelled(["Type", "Rule"])
            let rule = try entry.value("Rule", expected: "a rule, such as \"MAJORITY Admins\"", nonEmpty)
            result[name] = try entry.value("Type", expected: "Signature or ImplicitMeta") {
                ChannelProfile.PolicyDefinition(type: $0, rule: rule)
            }
        }
        return result
    }

    func capabilities(_ section: ConfigurationSection) throws -> [String] {
        guard let list = try section.optionalSection("Capabilities") else { return [] }
        return try list.keys.filter { try list.value($0, expected: "true or false", configuredFlag) }
    }

    func fileContent(_ section: ConfigurationSection, _ key: String) throws -> Data {
        let path = try section.value(key, expected: "a PEM file", nonEmpty)
        do {
            return try readBytes(configuredPath(path, from: self.file), as: "the certificate")
        } catch {
            throw section.error(key, "\(error)")
        }
    }
}

func nonEmpty(_ text: String) -> String? { text.isEmpty ? nil : text }

func port(_ text: String) -> UInt32? {
    UInt32(text).flatMap { (1...65535).contains($0) ? $0 : nil }
}
