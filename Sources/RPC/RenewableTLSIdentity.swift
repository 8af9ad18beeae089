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
