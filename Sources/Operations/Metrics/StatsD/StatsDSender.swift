internal import Glibc
package import Logging
internal import NIOCore
internal import NIOPosix
internal import ServiceLifecycle

/// Sends the metrics to a StatsD server, again and again.
///
/// What can't be sent is lost, and the log says so once: a node never waits for its metrics.
package struct StatsDSender: Service {
    /// Where to, and how often.
    package struct Settings: Sendable, Equatable {
        package enum Network: String, Sendable {
            case udp, tcp
        }

        package var network: Network
        /// `host:port`.
        package var address: String
        package var interval: Duration
        /// What all names begin with.
        package var prefix: String

        package init(
            network: Network = .udp,
            address: String = "127.0.0.1:8125",
            interval: Duration = .seconds(30),
            prefix: String = ""
        ) {
            self.network = network
            self.address = address
            self.interval = interval
            self.prefix = prefix
        }
    }

    private let settings: Settings
    private let metrics: Metrics
    private let logger: Logger

    /// - Parameters:
    ///   - settings: Where to send, and how often.
    ///   - metrics: What is sent; they keep their samples, else histograms have nothing to send.
    ///   - logger: Where it is said that nothing can be sent.
    package init(_ settings: Settings, metrics: Metrics, logger: Logger) {
        self.settings = settings
        self.metrics = metrics
        self.logger = logger
    }

    /// Sends until shutdown begins or the task is cancelled, and once more at the end.
    ///
    /// - Throws: ``StatsDError`` when the server can't be reached at the start.
    package func run() async throws {
        let group = MultiThreadedEventLoopGroup(numberOfThreads: 1)
        do {
            try await self.send(group)
        } catch {
            try? await group.shutdownGracefully()
            throw error
        }
        try await group.shutdownGracefully()
    }

    private func send(_ group: MultiThreadedEventLoopGroup) async throws {
        var line = StatsDLine(self.settings, group)
        try await line.open()
        var report = StatsDReport(prefix: self.settings.prefix)
        var isWell = true
        let interval = self.settings.interval
        var isEnding = false
        while !isEnding {
            isEnding = await !waits(interval)
            do {
                try await line.send(report.lines(self.metrics))
                if !isWell { self.logger.info("metrics reach StatsD again") }
                isWell = true
            } catch {
                if isWell { self.logger.warning("metrics can't be sent: \(error)") }
                isWell = false
            }
        }
        await line.close()
    }
}

/// Waits; not to the end when shutdown begins or the task is cancelled.
private func waits(_ interval: Duration) async -> Bool {
    let isWhole = try? await cancelWhenGracefulShutdown {
        try await Task.sleep(for: interval)
        return true
    }
    return isWhole ?? false
}

/// Why metrics can't be sent.
package struct StatsDError: Error, Equatable, CustomStringConvertible {
    package var description: String
}

/// A way to a StatsD server, which is made anew after a failure.
private struct StatsDLine {
    private let settings: StatsDSender.Settings
    private let group: MultiThreadedEventLoopGroup
    private var channel: (any Channel)?

    init(_ settings: StatsDSender.Settings, _ group: MultiThreadedEventLoopGroup) {
        self.settings = settings
        self.group = group
    }

    /// - Throws: ``StatsDError``
    mutating func open() async throws {
        let settings = self.settings
        let (host, port) = try self.target()
        do {
            switch settings.network {
            case .udp:
                // Looking up a name may take long.
                let address = try await NIOThreadPool.singleton.runIfActive { try Self.address(host, port) }
                self.channel = try await DatagramBootstrap(group: self.group).connect(to: address).get()
            case .tcp:
                self.channel = try await ClientBootstrap(group: self.group).connect(host: host, port: port)
                    .get()
            }
        } catch {
            throw StatsDError(
                description:
                    "can't reach StatsD at \(settings.address) over \(settings.network.rawValue): \(error)"
            )
        }
    }

    private func target() throws -> (host: String, port: Int) {
        let address = self.settings.address
        guard let colon = address.lastIndex(of: ":"),
            let port = UInt16(address[address.index(after: colon)...])
        else {
            throw StatsDError(description: "\"\(address)\" is no address of StatsD: give host:port")
        }
        return (address[..<colon].filter { $0 != "[" && $0 != "]" }, Int(port))
    }

    /// The address of a host; of several, one of IPv4: nobody says that a datagram came to one where nobody listens.
    private static func address(_ host: String, _ port: Int) throws -> SocketAddress {
        var hints = addrinfo()
        hints.ai_family = AF_INET
        hints.ai_socktype = Int32(SOCK_DGRAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        if getaddrinfo(host, "\(port)", &hints, &list) == 0, let first = list {
            defer { freeaddrinfo(first) }
            if let address = first.pointee.ai_addr {
                return SocketAddress(
                    address.withMemoryRebound(to: sockaddr_in.self, capacity: 1) { $0.pointee },
                    host: host
                )
            }
        }
        return try SocketAddress.makeAddressResolvingHost(host, port: port)
    }

    mutating func send(_ lines: [String]) async throws {
        if self.channel?.isActive != true { try await self.open() }
        guard let channel = self.channel else { return }
        do {
            switch self.settings.network {
            case .udp:
                for datagram in StatsDReport.datagrams(lines) {
                    try await channel.writeAndFlush(ByteBuffer(string: datagram))
                }
            case .tcp:
                try await channel.writeAndFlush(ByteBuffer(string: lines.map { $0 + "\n" }.joined()))
            }
        } catch {
            self.channel = nil
            try? await channel.close()
            throw StatsDError(description: "StatsD at \(self.settings.address) takes nothing: \(error)")
        }
    }

    func close() async { try? await self.channel?.close() }
}
