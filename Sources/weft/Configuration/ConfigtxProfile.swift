import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

/// Reads a profile of Fabric's `configtx.yaml`.
///
/// - Source: Fabric v3.1, `configtx.yaml` and package `internal/configtxgen/genesisconfig`.
struct ConfigtxProfile {
    private let file: String
    /// Reads the MSP folder of an organization, given its path and identifier.
    private let readMSP: (_ folder: String, _ mspID: String) throws -> Msp_MSPConfig
    private let root: ConfigurationSection

    /// Opens the file.
    ///
    /// - Parameters:
    ///   - file: The path of `configtx.yaml`.
    ///   - readMSP: Reads an MSP folder.
    /// - Throws: ``ConfigurationError`` when it can't be read.
    init(
        file: String,
        readMSP: @escaping (_ folder: String, _ mspID: String) throws -> Msp_MSPConfig
    ) throws {
        self.file = file
        self.readMSP = readMSP
        self.root = try ConfigurationSection(file: file).merged()
    }

    /// Reads the profile of the given name.
    func profile(_ name: String) throws -> ChannelProfile {
        let profiles = try self.root.section("Profiles")
        guard profiles.contains(name) else {
            throw profiles.error(name, "no such profile; there are: \(profiles.keys.joined(separator: ", "))")
        }
        let profile = try profiles.section(name)
        return ChannelProfile(
            policies: try self.policies(profile) ?? .channelDefaults,
            capabilities: try self.capabilities(profile),
            orderer: try profile.optionalSection("Orderer").map(self.orderer),
            application: try profile.optionalSection("Application").map(self.application),
            consortium: try profile.optionalValue("Consortium", expected: "a name") { $0 }
        )
    }

    // MARK: - Parts

    private func application(_ section: ConfigurationSection) throws -> ChannelProfile.ApplicationProfile {
        var acls: [String: String] = [:]
        if let list = try section.optionalSection("ACLs") {
            for resource in list.keys {
                acls[resource] = try list.value(resource, expected: "a policy's path", nonEmpty)
            }
        }
        return ChannelProfile.ApplicationProfile(
            organizations: try section.sections("Organizations").map(self.organization),
            policies: try self.policies(section) ?? .applicationDefaults,
            capabilities: try self.capabilities(section),
            acls: acls
        )
    }

    private func orderer(_ section: ConfigurationSection) throws -> ChannelProfile.OrdererProfile {
        let type = try section.value("OrdererType", expected: "etcdraft or BFT", nonEmpty)
        let consensus: ChannelProfile.Consensus
        switch type {
        case "etcdraft": consensus = .raft(try self.raft(section.section("EtcdRaft")))
        case "BFT": consensus = .bft(options: try self.bft(section), consenters: try self.consenters(section))
        default: throw section.error("OrdererType", "\"\(type)\" is not known; expected etcdraft or BFT")
        }
        var batch = Orderer_BatchSize.fabricDefault
        if let size = try section.optionalSection("BatchSize") {
            let count = try size.optionalValue("MaxMessageCount", expected: "a whole number, 1 or more") {
                UInt32($0).flatMap { $0 > 0 ? $0 : nil }
            }
            batch.maxMessageCount = count ?? batch.maxMessageCount
            let bytes = "a number of bytes, such as 2 MB"
            let most = try size.optionalValue(
                "AbsoluteMaxBytes",
                expected: bytes,
                ByteCount.init(configured:)
            )
            batch.absoluteMaxBytes = most?.bytes ?? batch.absoluteMaxBytes
            let wanted = try size.optionalValue(
                "PreferredMaxBytes",
                expected: bytes,
                ByteCount.init(configured:)
            )
            batch.preferredMaxBytes = wanted?.bytes ?? batch.preferredMaxBytes
        }
        return ChannelProfile.OrdererProfile(
            consensus: consensus,
            organizations: try section.sections("Organizations").map(self.organization),
            addresses: try section.texts("Addresses"),
            batchTimeout: try section.optionalValue(
                "BatchTimeout",
                expected: "a number with a unit, such as 250ms or 2s",
                Duration.init(configured:)
            ) ?? .seconds(2),
            batchSize: batch,
            maximumChannels: try section.optionalValue("MaxChannels", expected: "a whole number") {
                UInt64($0)
            } ?? 0,
            policies: try self.policies(section) ?? .ordererDefaults,
            capabilities: try self.capabilities(section)
        )
    }

    private func raft(_ section: ConfigurationSection) throws -> Etcdraft_ConfigMetadata {
        var metadata = Etcdraft_ConfigMetadata()
        metadata.options = .fabricDefault
        for entry in try section.sections("Consenters") {
            var consenter = Etcdraft_Consenter()
            consenter.host = try entry.value("Host", expected: "a host", nonEmpty)
            consenter.port = try entry.value("Port", expected: "a port, 1 to 65535", port)
            consenter.clientTlsCert = try self.fileContent(entry, "ClientTLSCert")
            consenter.serverTlsCert = try self.fileContent(entry, "ServerTLSCert")
            metadata.consenters.append(consenter)
        }
        guard let options = try section.optionalSection("Options") else { return metadata }
        let whole = "a whole number"
        if let interval = try options.optionalValue("TickInterval", expected: "a duration", durationText) {
            metadata.options.tickInterval = interval
        }
        if let tick = try options.optionalValue("ElectionTick", expected: whole, { UInt32($0) }) {
            metadata.options.electionTick = tick
        }
        if let tick = try options.optionalValue("HeartbeatTick", expected: whole, { UInt32($0) }) {
            metadata.options.heartbeatTick = tick
        }
        if let blocks = try options.optionalValue("MaxInflightBlocks", expected: whole, { UInt32($0) }) {
            metadata.options.maxInflightBlocks = blocks
        }
        let size = try options.optionalValue(
            "SnapshotIntervalSize",
            expected: "a number of bytes, such as 16 MB",
            ByteCount.init(configured:)
        )
        if let size { metadata.options.snapshotIntervalSize = size.bytes }
        return metadata
    }

    private func bft(_ section: ConfigurationSection) throws -> Orderer_Smartbft_Options {
        var options = Orderer_Smartbft_Options.fabricDefault
        guard let given = try section.optionalSection("SmartBFT") else { return options }
        if let count = try given.optionalValue(
            "RequestBatchMaxCount",
            expected: "a whole number",
            { UInt64($0) }
        ) {
            options.requestBatchMaxCount = count
        }
        let interval = try given.optionalValue(
            "RequestBatchMaxInterval",
            expected: "a duration",
            durationText
        )
        options.requestBatchMaxInterval = interval ?? options.requestBatchMaxInterval
        let timeout = try given.optionalValue("ViewChangeTimeout", expected: "a duration", durationText)
        options.viewChangeTimeout = timeout ?? options.viewChangeTimeout
        return options
    }

    private func consenters(_ section: ConfigurationSection) throws -> [Common_Consenter] {
        try section.sections("ConsenterMapping").map { entry in
            var consenter = Common_Consenter()
            consenter.id = try entry.value("ID", expected: "a whole number") { UInt32($0) }
            consenter.host = try entry.value("Host", expected: "a host", nonEmpty)
            consenter.port = try entry.value("Port", expected: "a port, 1 to 65535", port)
            consenter.mspID = try entry.value("MSPID", expected: "an MSP identifier", nonEmpty)
            consenter.identity = try self.fileContent(entry, "Identity")
            consenter.clientTlsCert = try self.fileContent(entry, "ClientTLSCert")
            consenter.serverTlsCert = try self.fileContent(entry, "ServerTLSCert")
            return consenter
        }
    }

    private func organization(_ section: ConfigurationSection) throws -> ChannelProfile.OrganizationProfile {
        let name = try section.value("Name", expected: "a name", nonEmpty)
        let isForeign =
            try section.optionalValue("SkipAsForeign", expected: "true or false", configuredFlag) ?? false
        var configuration: Msp_MSPConfig?
        if !isForeign {
            let mspID = try section.value("ID", expected: "an MSP identifier", nonEmpty)
            let folder = try section.value("MSPDir", expected: "an MSP folder", nonEmpty)
            do {
                configuration = try self.readMSP(configuredPath(folder, from: self.file), mspID)
            } catch {
                throw section.error("MSPDir", "\(error)")
            }
        }
        return ChannelProfile.OrganizationProfile(
            name: name,
            msp: configuration,
            policies: try self.policies(section) ?? [:],
            ordererEndpoints: try section.texts("OrdererEndpoints"),
            anchorPeers: try section.sections("AnchorPeers").map { entry in
                ApplicationOrganization.AnchorPeer(
                    host: try entry.value("Host", expected: "a host", nonEmpty),
                    port: try entry.value("Port", expected: "a port, 1 to 65535") { port($0).map(Int.init) }
                )
            }
        )
    }

    private func policies(
        _ section: ConfigurationSection
    ) throws -> [String: ChannelProfile.PolicyDefinition]? {
        guard let list = try section.optionalSection("Policies") else { return nil }
        var result: [String: ChannelProfile.PolicyDefinition] = [:]
        for name in list.keys {
            let entry = try list.section(name)
            let rule = try entry.value("Rule", expected: "a rule, such as \"MAJORITY Admins\"", nonEmpty)
            result[name] = try entry.value("Type", expected: "Signature or ImplicitMeta") {
                ChannelProfile.PolicyDefinition(type: $0, rule: rule)
            }
        }
        return result
    }

    private func capabilities(_ section: ConfigurationSection) throws -> [String] {
        guard let list = try section.optionalSection("Capabilities") else { return [] }
        return try list.keys.filter { try list.value($0, expected: "true or false", configuredFlag) }
    }

    private func fileContent(_ section: ConfigurationSection, _ key: String) throws -> Data {
        let path = try section.value(key, expected: "a PEM file", nonEmpty)
        do {
            return try readBytes(configuredPath(path, from: self.file), as: "the certificate")
        } catch {
            throw section.error(key, "\(error)")
        }
    }
}

private func nonEmpty(_ text: String) -> String? { text.isEmpty ? nil : text }

private func port(_ text: String) -> UInt32? {
    UInt32(text).flatMap { (1...65535).contains($0) ? $0 : nil }
}

private func durationText(_ text: String) -> String? { Duration(configured: text).map { _ in text } }
