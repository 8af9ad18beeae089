package import FabricProtos

/// How the consenters of a BFT channel keep time, and how much they keep.
///
/// Batches are bounded by the channel's BatchSize and not by these options, as in Fabric.
///
/// Source: Fabric v3.1, `orderer.smartbft.Options` and package `orderer/consensus/smartbft/util`.
package struct BFTOptions: Equatable, Sendable {
    /// The longest that a leader waits before it makes a block of what it has.
    package private(set) var requestBatchMaxInterval: Duration
    /// Messages of one consenter that wait.
    package private(set) var incomingMessageBufferSize: Int
    /// Requests that wait for their block.
    package private(set) var requestPoolSize: Int
    /// After this long a waiting request is given to the leader again.
    package private(set) var requestForwardTimeout: Duration
    /// After this much longer a waiting request is held against the leader.
    package private(set) var requestComplainTimeout: Duration
    /// After this much longer a waiting request is given up.
    package private(set) var requestAutoRemoveTimeout: Duration
    package private(set) var viewChangeResendInterval: Duration
    /// How long a view change may take before the next one is tried.
    package private(set) var viewChangeTimeout: Duration
    /// How long a leader may be silent.
    package private(set) var leaderHeartbeatTimeout: Duration
    /// Signs of life of a leader in that time.
    package private(set) var leaderHeartbeatCount: Int
    package private(set) var collectTimeout: Duration
}

/// Options of a BFT channel that no consenter can order with.
package struct InvalidBFTOptions: Error, Equatable, CustomStringConvertible {
    /// Which option is wrong, and what would be right.
    package let reason: String

    init(_ reason: String) { self.reason = reason }

    package var description: String { self.reason }
}

extension BFTOptions {
    /// - Throws: ``InvalidBFTOptions`` with the field that is wrong.
    package init(_ options: Orderer_Smartbft_Options) throws(InvalidBFTOptions) {
        guard options.leaderRotation != .on else {
            throw InvalidBFTOptions(
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

    private static func duration(_ text: String, _ field: String) throws(InvalidBFTOptions) -> Duration {
        guard let duration = GoDuration.parse(text), duration > .zero else {
            throw InvalidBFTOptions("\(field) \"\(text)\" is no duration above 0, such as \"500ms\"")
        }
        return duration
    }

    private static func count(_ number: UInt64, _ field: String) throws(InvalidBFTOptions) -> Int {
        guard number > 0 else { throw InvalidBFTOptions("\(field) must be above 0") }
        return Int(clamping: number)
    }

    private static func check(
        _ shorter: Duration,
        _ field: String,
        isAtMost longer: Duration,
        _ bound: String
    ) throws(InvalidBFTOptions) {
        guard shorter <= longer else {
            throw InvalidBFTOptions(
                "\(field) (\(GoDuration.text(shorter))) must be at most \(bound) (\(GoDuration.text(longer)))"
            )
        }
    }
}
