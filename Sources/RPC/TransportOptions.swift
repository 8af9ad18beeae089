internal import CGRPC

/// Limits and timings of a client or server transport.
///
/// The defaults are Fabric's where Fabric has one (message size, keepalive).
package struct TransportOptions: Equatable, Sendable {
    /// The largest message that is accepted, in bytes.
    ///
    /// A larger one ends its call with `resourceExhausted`.
    package var maxReceiveMessageBytes = 100 * 1024 * 1024

    /// The largest message that is sent, in bytes.
    ///
    /// A larger one fails its call with `resourceExhausted`.
    package var maxSendMessageBytes = 100 * 1024 * 1024

    /// The largest sum of metadata entries of one direction of a call, in bytes.
    package var maxMetadataBytes = 256 * 1024

    /// How many calls a server lets one connection have open; further ones wait in the client.
    package var maxConcurrentStreams = 4096

    /// Whether flow control windows are wide: 4 MiB for each stream and for the connection.
    ///
    /// A stream may carry as much in each round trip, and a slow reader has as much in memory. Otherwise both are 64 KiB,
    /// and core doesn't measure bandwidth with pings while it receives.
    package var widensWindows = true

    /// How long a connection may be silent before its other end is asked whether it is still there.
    ///
    /// `nil`: 1 minute for a client, 2 hours for a server.
    package var keepaliveInterval: Duration?

    /// How long the answer may take before the connection counts as lost.
    package var keepaliveTimeout: Duration = .seconds(20)

    /// Whether a client also asks while it has no call open.
    package var keepaliveWithoutCalls = true

    /// A client that asks a server more often than this is disconnected.
    package var minimumPingInterval: Duration = .seconds(30)

    /// The pause before the second attempt to connect; it doubles from there.
    package var initialReconnectDelay: Duration = .milliseconds(200)

    /// The longest pause between two attempts to connect.
    package var maxReconnectDelay: Duration = .seconds(5)

    /// How long one attempt to connect may take, TLS included.
    package var connectTimeout: Duration = .seconds(10)

    /// Whether a server's handlers run on the threads that wait for core, or on Swift's own.
    ///
    /// The former saves the changes of threads, and asks handlers to give way: see ``PollerGroup``.
    package var runsHandlersOnPollers = true

    /// How long a server that shuts down waits for running calls before it cancels them.
    package var gracefulShutdownTimeout: Duration = .seconds(10)

    package init() {}
}

// MARK: - As arguments of C core

extension TransportOptions {
    var serverArguments: ChannelArguments {
        var arguments = self.commonArguments
        arguments["grpc.max_concurrent_streams"] = .integer(self.maxConcurrentStreams)
        arguments["grpc.so_reuseport"] = .integer(0)  // or a second server on the port would go unnoticed
        arguments["grpc.keepalive_time_ms"] = .milliseconds(self.keepaliveInterval ?? .seconds(7200))
        arguments["grpc.http2.min_ping_interval_without_data_ms"] = .milliseconds(self.minimumPingInterval)
        arguments["grpc.keepalive_permit_without_calls"] = .integer(1)
        arguments["grpc.server_handshake_timeout_ms"] = .milliseconds(self.connectTimeout)
        // Core keeps account of connections, for ``ServerConnections``, and no diary.
        arguments["grpc.enable_channelz"] = .integer(1)
        arguments["grpc.max_channel_trace_event_memory_per_node"] = .integer(0)
        return arguments
    }

    var clientArguments: ChannelArguments {
        var arguments = self.commonArguments
        arguments["grpc.keepalive_time_ms"] = .milliseconds(self.keepaliveInterval ?? .seconds(60))
        arguments["grpc.keepalive_permit_without_calls"] = .integer(self.keepaliveWithoutCalls ? 1 : 0)
        arguments["grpc.http2.max_pings_without_data"] = .integer(0)
        arguments["grpc.initial_reconnect_backoff_ms"] = .milliseconds(self.initialReconnectDelay)
        arguments["grpc.max_reconnect_backoff_ms"] = .milliseconds(self.maxReconnectDelay)
        arguments["grpc.min_reconnect_backoff_ms"] = .milliseconds(self.connectTimeout)
        arguments["grpc.use_local_subchannel_pool"] = .integer(1)  // a connection of its own
        // The environment's `http_proxy` is not meant for a consortium's peers.
        arguments["grpc.enable_http_proxy"] = .integer(0)
        arguments["grpc.enable_retries"] = .integer(0)  // GRPCCore retries
        arguments["grpc.service_config_disable_resolution"] = .integer(1)
        return arguments
    }

    private var commonArguments: ChannelArguments {
        [
            "grpc.max_receive_message_length": .integer(self.maxReceiveMessageBytes),
            "grpc.max_send_message_length": .integer(self.maxSendMessageBytes),
            "grpc.max_metadata_size": .integer(self.maxMetadataBytes),
            "grpc.keepalive_timeout_ms": .milliseconds(self.keepaliveTimeout),
            "grpc.http2.bdp_probe": .integer(self.widensWindows ? 1 : 0),
            "grpc.enable_channelz": .integer(0),
            // No compression: Fabric uses none, and no small message may unfold to a large one.
            "grpc.compression_enabled_algorithms_bitset": .integer(1),
            "grpc.per_message_compression": .integer(0),
        ]
    }
}

/// Arguments of a channel or server, by C core's names.
typealias ChannelArguments = [String: ChannelArgument]

/// The value of one argument of a channel or server.
enum ChannelArgument {
    case integer(Int)
    case string(String)

    static func milliseconds(_ duration: Duration) -> ChannelArgument {
        let (seconds, attoseconds) = duration.components
        guard seconds < Int64(Int32.max) / 1000 else { return .integer(Int(Int32.max)) }
        return .integer(Int(seconds) * 1000 + Int(attoseconds / 1_000_000_000_000_000))
    }
}

extension ChannelArguments {
    /// Calls `body` with the arguments in C's form, which live until it returns.
    func withChannelArguments<Made>(_ body: (UnsafePointer<grpc_channel_args>) -> Made) -> Made {
        var strings: [UnsafeMutablePointer<CChar>] = []
        defer { strings.forEach { gpr_free($0) } }
        func copy(_ text: String) -> UnsafeMutablePointer<CChar>? {
            let copy = gpr_strdup(text)
            if let copy { strings.append(copy) }
            return copy
        }
        var list = self.map { key, value in
            switch value {
            case .integer(let number): weft_integer_argument(copy(key), Int32(clamping: number))
            case .string(let text): weft_string_argument(copy(key), copy(text))
            }
        }
        return list.withUnsafeMutableBufferPointer { buffer in
            var arguments = grpc_channel_args(num_args: buffer.count, args: buffer.baseAddress)
            return body(&arguments)
        }
    }
}
