internal import Synchronization

/// The certificate that a node shows those that it connects to, which is replaced while the node runs when it is
/// renewed.
package final class RenewableTLSIdentity: Sendable {
    private struct State {
        var identity: TLSIdentity
        /// What was handed out, by the roots.
        var sources: [String: TLSSource<ClientTLS>] = [:]
    }

    private let state: Mutex<State>

    package init(_ identity: TLSIdentity) {
        self.state = Mutex(State(identity: identity))
    }

    package var current: TLSIdentity { self.state.withLock { $0.identity } }

    /// TLS of clients that trust `rootsPEM` and show the certificate, also the renewed one.
    ///
    /// - Throws: ``TransportError`` if a part can't be used.
    package func source(rootsPEM: String) throws(TransportError) -> TLSSource<ClientTLS> {
        try self.state.withLock { (state) throws(TransportError) in
            if let source = state.sources[rootsPEM] { return source }
            let source = try TLSSource(ClientTLS(rootsPEM: rootsPEM, identity: state.identity))
            state.sources[rootsPEM] = source
            return source
        }
    }

    /// The same for one server, which besides must be accepted by its certificate.
    ///
    /// - Parameters:
    ///   - rootsPEM: what the server's certificate must lead to.
    ///   - server: tells the server from others with the same roots.
    ///   - accepts: decides on its certificate, in PEM.
    /// - Returns: the TLS, which is renewed with the identity.
    /// - Throws: ``TransportError`` if a part can't be used.
    package func source(
        rootsPEM: String,
        server: String,
        accepts: @escaping @Sendable (_ certificatePEM: String) -> Bool
    ) throws(TransportError) -> TLSSource<ClientTLS> {
        try self.state.withLock { (state) throws(TransportError) in
            let name = "\(server)\n\(rootsPEM)"
            if let source = state.sources[name] { return source }
            let source = try TLSSource(
                ClientTLS(rootsPEM: rootsPEM, identity: state.identity, acceptsServer: accepts)
            )
            state.sources[name] = source
            return source
        }
    }

    /// Shows `identity` on new connections.
    ///
    /// - Throws: ``TransportError`` if it can't be used; then nothing changes.
    package func replace(with identity: TLSIdentity) throws(TransportError) {
        try self.state.withLock { (state) throws(TransportError) in
            for source in state.sources.values { try source.update { $0.identity = identity } }
            state.identity = identity
        }
    }
}

extension Optional<RenewableTLSIdentity> {
    /// TLS of clients that trust `rootsPEM`, with a certificate if there is one.
    ///
    /// - Throws: ``TransportError`` if a part can't be used.
    package func source(rootsPEM: String) throws(TransportError) -> TLSSource<ClientTLS> {
        switch self {
        case .some(let identity): try identity.source(rootsPEM: rootsPEM)
        case .none: try TLSSource(ClientTLS(rootsPEM: rootsPEM))
        }
    }
}
