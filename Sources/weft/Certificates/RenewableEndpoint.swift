import Operations
import RPC

/// A server of a node beside its gRPC port, whose certificate is renewed while it runs: the operations service, and an
/// orderer's channel participation.
struct RenewableEndpoint: Sendable {
    /// What logs call it.
    let name: String
    let tls: TLSFiles
    /// Has new connections use renewed files.
    let renew: @Sendable (ServerTLS) throws -> Void

    init(name: String, tls: TLSFiles, renew: @escaping @Sendable (ServerTLS) throws -> Void) {
        self.name = name
        self.tls = tls
        self.renew = renew
    }

    /// An HTTP server; `nil` when it serves plaintext, or there is none.
    init?(_ server: HTTPServer?, _ tls: TLSFiles?) {
        guard let server, let tls else { return nil }
        self.init(name: server.description, tls: tls) { try server.replaceTLS($0) }
    }

    /// What a node shows other orderers, from files of its own.
    init?(_ identity: RenewableTLSIdentity?, _ tls: TLSFiles?) {
        guard let identity, let tls else { return nil }
        self.init(name: "connections to other orderers", tls: tls) { try identity.replace(with: $0.identity) }
    }
}
