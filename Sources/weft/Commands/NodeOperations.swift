import Logging
import Operations

/// What a node process has besides the node: its metrics, health checks, logs, and the service that shows them.
struct NodeOperations {
    let metrics = Metrics()
    let health = HealthChecks()
    let logging: NodeLogging

    /// Puts the operations service together.
    ///
    /// - Parameters:
    ///   - files: Where it listens, and its TLS files.
    ///   - data: The folder whose disk must have room.
    /// - Returns: The service; `nil` when the configuration has none.
    /// - Throws: `HTTPServerError` or ``Failure`` when the address or the TLS files can't be used.
    func server(_ files: OperationsFiles?, data: String) throws -> HTTPServer? {
        guard let files else { return nil }
        let disk = DiskCheck(folder: data)
        self.health.register("disk") { try disk.run() }
        let endpoints = OperationsEndpoints(
            health: self.health,
            metrics: self.metrics,
            logging: self.logging,
            provider: files.metrics,
            version: Weft.version
        )
        return try endpoints.server(
            listeningOn: files.listen,
            tls: files.tls.map { try $0.server() },
            logger: self.logging.logger("operations.runner")
        )
    }
}
