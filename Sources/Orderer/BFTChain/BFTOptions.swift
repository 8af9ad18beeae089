internal import Channel
internal import FabricProtos

/// How the consenters of a BFT channel keep time, and how much they keep.
///
/// Batches are bounded by the channel's BatchSize and not by these options, as in Fabric.
///
/// Source: Fabric v3.1, `orderer.smartbft.Options` and package `orderer/consensus/smartbft/util`.
struct BFTOptions: Equatable, Sendable {
    /// The longest that a leader waits before it makes a block of what it has.
    var requestBatchMaxInterval: Duration
    /// Messages of one consenter that wait.
    var incomingMessageBufferSize: Int
    /// Requests that wait for their block.
    var requestPoolSize: Int
    /// After this long a waiting request is given to the leader again.
    var requestForwardTimeout: Duration
    /// After this much longer a waiting request is held against the leader.
    var requestComplainTimeout: Duration
    /// After this much longer a waiting request is given up.
    var requestAutoRemoveTimeout: Duration
    var viewChangeResendInterval: Duration
    /// How long a view change may take before the next one is tried.
    var viewChangeTimeout: Duration
    /// How long a leader may be silent.
    var leaderHeartbeatTimeout: Duration
    /// Signs of life of a leader in that time.
    var leaderHeartbeatCount: Int
    var collectTimeout: Duration
}

extension BFTOptions {
    /// - Throws: ``InvalidConsensusMetadata`` with the field that is wrong.
    init(_ options: Orderer_Smartbft_Options) throws(InvalidConsensusMetadata) {
        guard options.leaderRotation != .on else {
            throw InvalidConsensusMetadata(
                "leader_rotation must be turned off (ROTATION_OFF) or unspecified"
            )
        }
        self.requestBatchMaxInterval = try Self.duration(
            options.requestBatchMaxInterval,
            "request_batch_max_interval"
        )
        self.incomingMessageBufferSize = try Self.count(
            options.incomingMessageBufferSize,
            "incoming_message_buffer_size"
        )
        self.requestPoolSize = try Self.count(options.requestPoolSize, "request_pool_size")
        self.requestForwardTimeout = try Self.duration(
            options.requestForwardTimeout,
            "request_forward_timeout"
        )
        self.requestComplainTimeout = try Self.duration(
            options.requestComplainTimeout,
            "request_complain_timeout"
        )
        self.requestAutoRemoveTimeout = try Self.duration(
            options.requestAutoRemoveTimeout,
            "request_auto_remove_timeout"
        )
        self.viewChangeResendInterval = try Self.duration(
            options.viewChangeResendInterval,
            "view_change_resend_interval"
        )
        self.viewChangeTimeout = try Self.duration(options.viewChangeTimeout, "view_change_timeout")
        self.leaderHeartbeatTimeout = try Self.duration(
            options.leaderHeartbeatTimeout,
            "leader_heartbeat_timeout"
        )
        self.leaderHeartbeatCount = try Self.count(options.leaderHeartbeatCount, "leader_heartbeat_count")
        self.collectTimeout = try Self.duration(options.collectTimeout, "collect_timeout")
        _ = try Self.count(options.requestBatchMaxCount, "request_batch_max_count")
        _ = try Self.count(options.requestBatchMaxBytes, "request_batch_max_bytes")
        try Self.check(
            self.requestForwardTimeout,
            "request_forward_timeout",
            isAtMost: self.requestComplainTimeout,
            "request_complain_timeout"
        )
        try Self.check(
            self.requestComplainTimeout,
            "request_complain_timeout",
            isAtMost: self.requestAutoRemoveTimeout,
            "request_auto_remove_timeout"
        )
        try Self.check(
            self.viewChangeResendInterval,
            "view_change_resend_interval",
            isAtMost: self.viewChangeTimeout,
            "view_change_timeout"
        )
    }

    private static func duration(_ text: String, _ field: String) throws(InvalidConsensusMetadata) -> Duration
    {
        guard let duration = GoDuration.parse(text), duration > .zero else {
            throw InvalidConsensusMetadata("\(field) \"\(text)\" is no duration above 0, such as \"500ms\"")
        }
        return duration
    }

    private static func count(_ number: UInt64, _ field: String) throws(InvalidConsensusMetadata) -> Int {
        guard number > 0 else { throw InvalidConsensusMetadata("\(field) must be above 0") }
        return Int(clamping: number)
    }

    private static func check(
        _ shorter: Duration,
        _ field: String,
        isAtMost longer: Duration,
        _ bound: String
    ) throws(InvalidConsensusMetadata) {
        guard shorter <= longer else {
            throw InvalidConsensusMetadata(
                "\(field) (\(GoDuration.text(shorter))) must be at most \(bound) (\(GoDuration.text(longer)))"
            )
        }
    }
}
