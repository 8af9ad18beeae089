internal import FabricProtos
internal import SwiftProtobuf

extension ConfigurationEdit {
    /// A new value of one of `orderer.smartbft.Options`; durations are above zero.
    ///
    /// Source: Fabric v3.1, `orderer.smartbft.Options`. `leader_rotation` is missing: Fabric refuses it.
    package enum BFTOption: Equatable, Sendable {
        case requestBatchMaxCount(UInt64)
        case requestBatchMaxBytes(UInt64)
        case requestBatchMaxInterval(Duration)
        case incomingMessageBufferSize(UInt64)
        case requestPoolSize(UInt64)
        case requestForwardTimeout(Duration)
        case requestComplainTimeout(Duration)
        case requestAutoRemoveTimeout(Duration)
        /// 0 for as many as a block may have.
        case requestMaxBytes(UInt64)
        case viewChangeResendInterval(Duration)
        case viewChangeTimeout(Duration)
        case leaderHeartbeatTimeout(Duration)
        case leaderHeartbeatCount(UInt64)
        case collectTimeout(Duration)
        case syncOnStart(Bool)
        case speedUpViewChange(Bool)
        case decisionsPerLeader(UInt64)

        fileprivate func set(in options: inout Orderer_Smartbft_Options) {
            switch self {
            case .requestBatchMaxCount(let value): options.requestBatchMaxCount = value
            case .requestBatchMaxBytes(let value): options.requestBatchMaxBytes = value
            case .requestBatchMaxInterval(let value): options.requestBatchMaxInterval = GoDuration.text(value)
            case .incomingMessageBufferSize(let value): options.incomingMessageBufferSize = value
            case .requestPoolSize(let value): options.requestPoolSize = value
            case .requestForwardTimeout(let value): options.requestForwardTimeout = GoDuration.text(value)
            case .requestComplainTimeout(let value): options.requestComplainTimeout = GoDuration.text(value)
            case .requestAutoRemoveTimeout(let value):
                options.requestAutoRemoveTimeout = GoDuration.text(value)
            case .requestMaxBytes(let value): options.requestMaxBytes = value
            case .viewChangeResendInterval(let value):
                options.viewChangeResendInterval = GoDuration.text(value)
            case .viewChangeTimeout(let value): options.viewChangeTimeout = GoDuration.text(value)
            case .leaderHeartbeatTimeout(let value): options.leaderHeartbeatTimeout = GoDuration.text(value)
            case .leaderHeartbeatCount(let value): options.leaderHeartbeatCount = value
            case .collectTimeout(let value): options.collectTimeout = GoDuration.text(value)
            case .syncOnStart(let value): options.syncOnStart = value
            case .speedUpViewChange(let value): options.speedUpViewChange = value
            case .decisionsPerLeader(let value): options.decisionsPerLeader = value
            }
        }
    }
}

extension ConfigurationEditor {
    /// Sets options of a BFT channel; the others stay.
    ///
    /// - Throws: ``ConfigurationEditError`` for another kind of channel, and for options that orderers refuse.
    mutating func set(_ changes: [ConfigurationEdit.BFTOption]) throws(ConfigurationEditError) {
        let path = Self.path("Orderer", "ConsensusType")
        try self.update(.orderer) { (group: inout Common_ConfigGroup) throws(ConfigurationEditError) in
            try Self.update(
                ConfigurationKey.consensusType,
                Orderer_ConsensusType.self,
                of: &group,
                at: Self.path("Orderer")
            ) { (consensus: inout Orderer_ConsensusType) throws(ConfigurationEditError) in
                guard consensus.type == "BFT" else {
                    throw ConfigurationEditError(
                        path,
                        "the channel's consensus type is \(consensus.type), which has no such options; only BFT does"
                    )
                }
                var options: Orderer_Smartbft_Options
                do { options = try Orderer_Smartbft_Options(serializedBytes: consensus.metadata) } catch {
                    throw ConfigurationEditError(path, "its metadata can't be read: \(error)")
                }
                let before = options
                for change in changes { change.set(in: &options) }
                guard options != before else { return }
                try Self.check(options)
                consensus.metadata = try Self.bytes(options, path)
            }
        }
    }

    /// Refuses options that no orderer takes.
    static func check(_ options: Orderer_Smartbft_Options) throws(ConfigurationEditError) {
        do { _ = try BFTOptions(options) } catch {
            throw ConfigurationEditError(Self.path("Orderer", "ConsensusType"), error.reason)
        }
    }
}
