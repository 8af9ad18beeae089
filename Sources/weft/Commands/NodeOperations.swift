import Logging
import Operations
import ServiceLifecycle

/// What a node process has besides the node: its metrics, health checks, logs, and the services that show or send them.
struct NodeOperations {
    /// What runs beside the node.
    struct Services {
        var server: HTTPServer?
        var sender: StatsDSender?

        var all: [any Service] {
            let all: [(any Service)?] = [self.server, self.sender]
            return all.compactMap(\.self)
        }
    }

    let metrics: Metrics
    let health = HealthChecks()
    let logging: NodeLogging
    private let files: OperationsFiles?

    /// - Parameters:
    ///   - logging: What makes the node's loggers.
    ///   - files: Where and how the node shows how it fares; `nil` for nowhere.
    init(logging: NodeLogging, files: OperationsFiles?) {
        self.logging = logging
        self.files = files
        if case .statsD = files?.metrics {
            self.metrics = Metrics(keepsSamples: true)
        } else {
            self.metrics = Metrics()
        }
    }

    /// Puts the operations service together, and what sends the metrics.
    ///
    /// - Parameters:
    ///   - data: The folder whose disk must have room.
    ///   - routes: What the node has to tell besides.
    /// - Returns: Those that the configuration has.
    /// - Throws: `HTTPServerError` or ``Failure`` when the address or the TLS files can't be used.
    func services(data: String, routes: [HTTPRoute] = []) throws -> Services {
        guard let files else { return Services() }
        let disk = DiskCheck(folder: data)
        self.health.register("disk") { try disk.run() }
        let endpoints = OperationsEndpoints(
            health: self.health,
            metrics: self.metrics,
            logging: self.logging,
            provider: files.metrics,
            version: Weft.version,
            further: routes
        )
        if files.metrics != .disabled { endpoints.countProcess() }
        let logger = self.logging.logger("operations.runner")
        var services = Services()
        if case .statsD(let settings) = files.metrics {
            services.sender = StatsDSender(settings, metrics: self.metrics, logger: logger)
        }
        if let address = files.listen {
            services.server = try endpoints.server(
                listeningOn: address,
                tls: files.tls.map { try $0.server() },
                logger: logger
            )
        }
        return services
    }
}
