/// What one client may take of an HTTP server.
package struct HTTPLimits: Sendable {
    /// Bytes of one header field, and of all of them.
    package var headerBytes = 64 * 1024
    /// Header fields of one request.
    package var headerFields = 100
    /// How long a client may say nothing, at the start (TLS handshake included), in a header or between requests.
    package var idle: Duration = .seconds(60)
    /// How long reading one body and answering may take; then the answer is 408.
    ///
    /// - Source: Fabric v3.1, package `healthz`: 30 seconds.
    package var request: Duration = .seconds(30)
    /// How long a client may take to read one answer.
    ///
    /// - Source: Fabric v3.1, package `common/fabhttp`: 2 minutes.
    package var response: Duration = .seconds(120)
    /// Connections at once; more wait to be accepted.
    package var connections = 256
    /// How long requests at hand may take when the server stops.
    ///
    /// - Source: Fabric v3.1, package `common/fabhttp`: 5 seconds.
    package var shutdown: Duration = .seconds(5)

    package init() {}
}
