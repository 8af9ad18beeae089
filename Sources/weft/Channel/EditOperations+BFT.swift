import Channel
import FabricProtos
import Foundation

/// What `weft channel edit` can change about BFT.
extension EditOperation {
    /// How the value of an option is written.
    enum BFTOptionKind {
        case count(@Sendable (UInt64) -> ConfigurationEdit.BFTOption)
        case bytes(@Sendable (UInt64) -> ConfigurationEdit.BFTOption)
        case duration(@Sendable (Duration) -> ConfigurationEdit.BFTOption)
        case flag(@Sendable (Bool) -> ConfigurationEdit.BFTOption)
    }

    /// The options by their names in Fabric's `orderer.smartbft.Options`.
    static let bftOptions: [(key: String, kind: BFTOptionKind)] = [
        ("request-batch-max-count", .count { .requestBatchMaxCount($0) }),
        ("request-batch-max-bytes", .bytes { .requestBatchMaxBytes($0) }),
        ("request-batch-max-interval", .duration { .requestBatchMaxInterval($0) }),
        ("incoming-message-buffer-size", .count { .incomingMessageBufferSize($0) }),
        ("request-pool-size", .count { .requestPoolSize($0) }),
        ("request-forward-timeout", .duration { .requestForwardTimeout($0) }),
        ("request-complain-timeout", .duration { .requestComplainTimeout($0) }),
        ("request-auto-remove-timeout", .duration { .requestAutoRemoveTimeout($0) }),
        ("request-max-bytes", .bytes { .requestMaxBytes($0) }),
        ("view-change-resend-interval", .duration { .viewChangeResendInterval($0) }),
        ("view-change-timeout", .duration { .viewChangeTimeout($0) }),
        ("leader-heartbeat-timeout", .duration { .leaderHeartbeatTimeout($0) }),
        ("leader-heartbeat-count", .count { .leaderHeartbeatCount($0) }),
        ("collect-timeout", .duration { .collectTimeout($0) }),
        ("sync-on-start", .flag { .syncOnStart($0) }),
        ("speed-up-view-change", .flag { .speedUpViewChange($0) }),
        ("decisions-per-leader", .count { .decisionsPerLeader($0) }),
    ]

    func changedBFTOptions() throws(Failure) -> [ConfigurationEdit.BFTOption] {
        var changes: [ConfigurationEdit.BFTOption] = []
        for (key, kind) in Self.bftOptions {
            let change: ConfigurationEdit.BFTOption?
            switch kind {
            case .count(let make):
                change = try self.optional(key, "a whole number") { UInt64($0) }.map(make)
            case .bytes(let make):
                change = try self.optional(key, "a number of bytes, such as 2MB", ByteCount.init(configured:))
                    .map { make(UInt64($0.bytes)) }
            case .duration(let make):
                change = try self.optional(
                    key,
                    "a number with a unit, such as 500ms",
                    Duration.init(configured:)
                ).map(make)
            case .flag(let make): change = try self.optional(key, "yes or no", configuredFlag).map(make)
            }
            if let change { changes.append(change) }
        }
        guard !changes.isEmpty else {
            throw Failure(
                "set-bft-options needs an option; it takes "
                    + Self.bftOptions.map { "\($0.key)=" }.joined(separator: ", "),
                code: .usage
            )
        }
        return changes
    }
}
