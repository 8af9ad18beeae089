package import RPC
internal import Synchronization

extension Metrics {
    /// Counts the connections of a gRPC server, as long as there is one.
    ///
    /// - Source: Fabric v3.1, package `internal/pkg/comm`.
    package func countConnections(of server: CoreServerTransport) {
        let last = Mutex(ConnectionCounts(opened: 0, closed: 0))
        self.collect { [weak server] metrics in
            guard let counts = server?.connectionCounts else { return }
            let before = last.withLock { last in
                defer { last = counts }
                return last
            }
            metrics.counter(.connectionsOpened).increment(by: Int64(counts.opened - before.opened))
            metrics.counter(.connectionsClosed).increment(by: Int64(counts.closed - before.closed))
        }
    }
}
