import Channel
import FabricProtos
import Foundation
import SwiftProtobuf

/// The section `Orderer` of a profile.
extension ConfigtxFile {
    func orderer(_ section: ConfigurationSection) throws -> ChannelProfile.OrdererProfile {
        let section = try section.spelled([
            "OrdererType", "Addresses", "BatchTimeout", "BatchSize", "ConsenterMapping", "EtcdRaft",
            "SmartBFT",
            "Organizations", "MaxChannels", "Capabilities", "Policies",
        ])
        let type = try section.value("OrdererType", expected: "etcdraft or BFT", nonEmpty)
        let consensus: ChannelProfile.Consensus
        switch type {
        case "etcdraft": consensus = .raft(try self.raft(section.section("EtcdRaft")))
        case "BFT": consensus = .bft(options: try self.bft(section), consenters: try self.consenters(section))
        case "solo", "kafka":
            throw section.error(
                "OrdererType",
                "Fabric 3 has no consensus of type \(type) any more; use etcdraft, with one consenter if you like"
            )
        default: throw section.error("OrdererType", "\"\(type)\" is not known; expected etcdraft or BFT")
        }
        let timeout = try section.optionalValue(
            "BatchTimeout",
            expected: "a number with a unit, such as 250ms or 2s",
            GoDuration.parse
        )
        return ChannelProfile.OrdererProfile(
            consensus: consensus,
            organizations: try self.organizations(section),
            addresses: try section.list("Addresses"),
            batchTimeout: timeout.flatMap { $0 == .zero ? nil : $0 } ?? .seconds(2),
            batchSize: try section.optionalSection("BatchSize").map(self.batchSize) ?? .fabricDefault,
            maximumChannels: try section.optionalValue("MaxChannels", expected: "a whole number") {
                UInt64($0)
            } ?? 0,
            policies: try self.policies(section) ?? .ordererDefaults,
            capabilities: try self.capabilities(section)
        )
    }

    /// Zero counts as not set, as with all numbers of this file.
    private func batchSize(_ section: ConfigurationSection) throws -> Orderer_BatchSize {
        let section = try section.spelled(["MaxMessageCount", "AbsoluteMaxBytes", "PreferredMaxBytes"])
        var size = Orderer_BatchSize.fabricDefault
        let count =
            try section.optionalValue("MaxMessageCount", expected: "a whole number") { UInt32($0) } ?? 0
        if count > 0 { size.maxMessageCount = count }
        let most = try section.byteCount("AbsoluteMaxBytes")
        if most > 0 { size.absoluteMaxBytes = most }
        let wanted = try section.byteCount("PreferredMaxBytes")
        if wanted > 0 { size.preferredMaxBytes = wanted }
        return size
    }

    private func raft(_ section: ConfigurationSection) throws -> Etcdraft_ConfigMetadata {
        let section = try section.spelled(["Consenters", "Options"])
        var metadata = Etcdraft_ConfigMetadata()
        metadata.options = try section.optionalSection("Options").map(self.raftOptions) ?? .fabricDefault
        for entry in try section.sections("Consenters") {
            let entry = try entry.spelled(["Host", "Port", "ClientTLSCert", "ServerTLSCert"])
            var consenter = Etcdraft_Consenter()
            consenter.host = try entry.value("Host", expected: "a host", nonEmpty)
            consenter.port = try entry.value("Port", expected: "a port, 1 to 65535", port)
            consenter.clientTlsCert = try self.fileContent(entry, "ClientTLSCert")
            consenter.serverTlsCert = try self.fileContent(entry, "ServerTLSCert")
            metadata.consenters.append(consenter)
        }
        guard !metadata.consenters.isEmpty else {
            throw section.error("Consenters", "etcdraft configuration did not specify any consenter")
        }
        return metadata
    }

    private func raftOptions(_ section: ConfigurationSection) throws -> Etcdraft_Options {
        let section = try section.spelled([
            "TickInterval", "ElectionTick", "HeartbeatTick", "MaxInflightBlocks", "SnapshotIntervalSize",
        ])
        var options = Etcdraft_Options.fabricDefault
        if let interval = try section.duration("TickInterval") { options.tickInterval = interval }
        let election = try section.number("ElectionTick", UInt32.self)
        if election > 0 { options.electionTick = election }
        let heartbeat = try section.number("HeartbeatTick", UInt32.self)
        if heartbeat > 0 { options.heartbeatTick = heartbeat }
        let blocks = try section.number("MaxInflightBlocks", UInt32.self)
        if blocks > 0 { options.maxInflightBlocks = blocks }
        let size = try section.byteCount("SnapshotIntervalSize")
        if size > 0 { options.snapshotIntervalSize = size }
        guard options.electionTick > options.heartbeatTick else {
            throw section.error("ElectionTick", "election tick must be greater than heartbeat tick")
        }
        return options
    }

    /// The options of a BFT channel: all defaults without the section, and no default for what the section leaves out.
    private func bft(_ orderer: ConfigurationSection) throws -> Orderer_Smartbft_Options {
        guard let given = try orderer.optionalSection("SmartBFT") else { return .fabricDefault }
        let section = try given.spelled([
            "RequestBatchMaxCount", "RequestBatchMaxBytes", "RequestBatchMaxInterval",
            "IncomingMessageBufferSize", "RequestPoolSize", "RequestForwardTimeout", "RequestComplainTimeout",
            "RequestAutoRemoveTimeout", "RequestMaxBytes", "ViewChangeResendInterval", "ViewChangeTimeout",
            "LeaderHeartbeatTimeout", "LeaderHeartbeatCount", "CollectTimeout", "SyncOnStart",
            "SpeedUpViewChange", "LeaderRotation", "DecisionsPerLeader",
        ])
        var options = Orderer_Smartbft_Options()
        options.requestBatchMaxCount = try section.number("RequestBatchMaxCount")
        options.requestBatchMaxBytes = try section.number("RequestBatchMaxBytes")
        options.requestBatchMaxInterval = try section.duration("RequestBatchMaxInterval") ?? ""
        options.incomingMessageBufferSize = try section.number("IncomingMessageBufferSize")
        options.requestPoolSize = try section.number("RequestPoolSize")
        options.requestForwardTimeout = try section.duration("RequestForwardTimeout") ?? ""
        options.requestComplainTimeout = try section.duration("RequestComplainTimeout") ?? ""
        options.requestAutoRemoveTimeout = try section.duration("RequestAutoRemoveTimeout") ?? ""
        options.requestMaxBytes = try section.number("RequestMaxBytes")
        options.viewChangeResendInterval = try section.duration("ViewChangeResendInterval") ?? ""
        options.viewChangeTimeout = try section.duration("ViewChangeTimeout") ?? ""
        options.leaderHeartbeatTimeout = try section.duration("LeaderHeartbeatTimeout") ?? ""
        options.leaderHeartbeatCount = try section.number("LeaderHeartbeatCount")
        options.collectTimeout = try section.duration("CollectTimeout") ?? ""
        options.syncOnStart = try section.flag("SyncOnStart")
        options.speedUpViewChange = try section.flag("SpeedUpViewChange")
        options.leaderRotation =
            try section.optionalValue("LeaderRotation", expected: "0 (not said), 1 (off) or 2 (on)") {
                Int($0).flatMap(Orderer_Smartbft_Options.Rotation.init)
            } ?? .unspecified
        options.decisionsPerLeader = try section.number("DecisionsPerLeader")
        return options
    }

    private func consenters(_ section: ConfigurationSection) throws -> [Common_Consenter] {
        let consenters = try section.sections("ConsenterMapping").map { entry in
            let entry = try entry.spelled([
                "ID", "Host", "Port", "MSPID", "Identity", "ClientTLSCert", "ServerTLSCert",
            ])
            var consenter = Common_Consenter()
            consenter.id = try entry.number("ID", UInt32.self)
            consenter.host = try entry.value("Host", expected: "a host", nonEmpty)
            consenter.port = try entry.value("Port", expected: "a port, 1 to 65535", port)
            consenter.mspID = try entry.value("MSPID", expected: "an MSP identifier", nonEmpty)
            consenter.identity = try self.fileContent(entry, "Identity")
            consenter.clientTlsCert = try self.fileContent(entry, "ClientTLSCert")
            consenter.serverTlsCert = try self.fileContent(entry, "ServerTLSCert")
            return consenter
        }
        guard !consenters.isEmpty else {
            throw section.error("ConsenterMapping", "BFT configuration did not specify any consenter")
        }
        return consenters
    }
}

extension ConfigurationSection {
    /// A whole number; 0 when it is left out.
    fileprivate func number<Number: FixedWidthInteger>(
        _ key: String,
        _ type: Number.Type = UInt64.self
    ) throws -> Number {
        try self.optionalValue(key, expected: "a whole number, 0 or more") { Number($0) } ?? 0
    }

    fileprivate func flag(_ key: String) throws -> Bool {
        try self.optionalValue(key, expected: "true or false", configuredFlag) ?? false
    }

    /// A number of bytes with or without a unit; 0 when it is left out.
    fileprivate func byteCount(_ key: String) throws -> UInt32 {
        let count = try self.optionalValue(
            key,
            expected: "a number of bytes, such as 2 MB",
            ByteCount.init(configured:)
        )
        return count?.bytes ?? 0
    }

    /// A duration as it is written, since it goes into the configuration unchanged.
    fileprivate func duration(_ key: String) throws -> String? {
        try self.optionalValue(key, expected: "a duration, such as 500ms") { text in
            GoDuration.parse(text).map { _ in text }
        }
    }
}
