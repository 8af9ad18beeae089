import RPC

/// What the limits and timings of a server's connections are called in `core.yaml` and in `orderer.yaml`.
///
/// - Source: Fabric v3.1, sample configuration.
struct FabricTransportKeys {
    private let received: String
    private let sent: String
    private let keepalive: (interval: String, timeout: String, minimum: String)

    static let core = Self(
        received: "peer.maxRecvMsgSize",
        sent: "peer.maxSendMsgSize",
        keepalive: ("peer.keepalive.interval", "peer.keepalive.timeout", "peer.keepalive.minInterval")
    )

    static let orderer = Self(
        received: "General.MaxRecvMsgSize",
        sent: "General.MaxSendMsgSize",
        keepalive: (
            "General.Keepalive.ServerInterval", "General.Keepalive.ServerTimeout",
            "General.Keepalive.ServerMinInterval"
        )
    )

    /// Reads the keys.
    ///
    /// - Throws: ``ConfigurationError`` for a value that is no number or no duration.
    func options(_ settings: FabricSettings) throws(ConfigurationError) -> TransportOptions {
        var options = TransportOptions()
        options.maxReceiveMessageBytes =
            try settings.integer(self.received) ?? options.maxReceiveMessageBytes
        options.maxSendMessageBytes = try settings.integer(self.sent) ?? options.maxSendMessageBytes
        options.keepaliveInterval = try settings.duration(self.keepalive.interval)
        options.keepaliveTimeout =
            try settings.duration(self.keepalive.timeout) ?? options.keepaliveTimeout
        options.minimumPingInterval =
            try settings.duration(self.keepalive.minimum) ?? options.minimumPingInterval
        return options
    }
}
