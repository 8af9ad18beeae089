internal import Synchronization

/// The certificates that clients' TLS certificates must lead to: those of a node's files, and those that the
/// organizations of its channels bring.
///
/// So an organization that joins a channel can connect at once, and one that left all channels can't any more.
/// Servers that ask for no certificates take no notice.
///
/// - Source: Fabric v3, packages `core/peer` and `orderer/common/server`, update of trusted roots.
package final class ClientRoots: Sendable {
    private struct State {
        var own: String
        /// Certificates, PEM, by channel.
        var channels: [String: Set<String>] = [:]
    }

    private let source: TLSSource<ServerTLS>
    private let state: Mutex<State>

    /// - Parameter source: the server's TLS; the roots that it has are the node's own.
    package init(_ source: TLSSource<ServerTLS>) {
        self.source = source
        self.state = Mutex(State(own: source.current.clientRootsPEM))
    }

    /// Replaces the node's own roots.
    ///
    /// - Throws: ``TransportError`` if this is no PEM; then nothing changes.
    package func setOwn(_ pem: String) throws(TransportError) {
        try self.change { $0.own = pem }
    }

    /// Shows new connections another certificate, and replaces the node's own roots.
    ///
    /// - Throws: ``TransportError`` if one of them can't be used; then nothing changes.
    package func renew(_ identity: TLSIdentity, ownRoots pem: String) throws(TransportError) {
        try self.state.withLock { (state) throws(TransportError) in
            var next = state
            next.own = pem
            let roots = Self.bundle(next)
            try self.source.update { tls in
                tls.identity = identity
                if tls.clientCertificates != .none { tls.clientRootsPEM = roots }
            }
            state = next
        }
    }

    /// Replaces the roots that the organizations of a channel bring; none when the channel is gone.
    ///
    /// - Throws: ``TransportError`` if one of them is no PEM; then nothing changes.
    package func set(_ certificates: [String], of channel: String) throws(TransportError) {
        try self.change { $0.channels[channel] = certificates.isEmpty ? nil : Set(certificates) }
    }

    private func change(_ change: (inout State) -> Void) throws(TransportError) {
        try self.state.withLock { (state) throws(TransportError) in
            var next = state
            change(&next)
            let before = Self.bundle(state)
            let after = Self.bundle(next)
            if after != before, self.source.current.clientCertificates != .none {
                try self.source.update { $0.clientRootsPEM = after }
            }
            state = next
        }
    }

    private static func bundle(_ state: State) -> String {
        let others = state.channels.values.reduce(into: Set<String>()) { $0.formUnion($1) }
        return ([state.own] + others.filter { !state.own.contains($0) }.sorted()).joined(separator: "\n")
    }
}
