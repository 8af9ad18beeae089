internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import GRPCCore
package import RPC

/// A connection to one node, shared by everything that talks to it.
///
/// It connects when it is first used, and again after a failure. Make one with
/// ``withConnection(to:security:_:)``, which also closes it.
public struct Connection: Sendable {
    /// The node's address.
    public let endpoint: Endpoint
    let security: ConnectionSecurity
    let client: GRPCClient<CoreClientTransport>
    let transport: CoreClientTransport

    /// The hash that binds a Deliver request to this connection's client certificate; empty without one.
    var certificateHash: Data {
        self.security.clientCertificateDER.map { Digest.sha256($0) } ?? Data()
    }

    /// The gateway of a peer: the usual way to submit transactions and ask questions.
    ///
    /// - Parameters:
    ///   - channel: The channel's name.
    ///   - identity: Who signs.
    /// - Returns: The gateway, which is as cheap to make as to keep.
    public func gateway(channel: String, as identity: ClientIdentity) -> Gateway {
        Gateway(connection: self, channel: channel, identity: identity)
    }

    /// The services of a peer that stand below the gateway: proposals to this very peer, and its blocks.
    ///
    /// - Parameters:
    ///   - channel: The channel's name; empty for calls that concern the peer as a whole.
    ///   - identity: Who signs.
    /// - Returns: The peer as seen by `identity`.
    public func peer(channel: String, as identity: ClientIdentity) -> PeerNode {
        PeerNode(connection: self, channel: channel, identity: identity)
    }

    /// The services of an orderer.
    package func orderer(channel: String, as identity: ClientIdentity) -> OrderingNode {
        OrderingNode(connection: self, channel: channel, identity: identity)
    }
}

/// Calls `body` with a connection, which is closed when it returns.
///
/// - Parameters:
///   - endpoint: The node's address.
///   - security: Whom to trust and how to present oneself.
///   - body: What to do over the connection.
/// - Returns: What `body` returns.
/// - Throws: What `body` throws, and ``ClientError`` when the certificates can't be used.
public func withConnection<Value: Sendable>(
    to endpoint: Endpoint,
    security: ConnectionSecurity,
    _ body: (Connection) async throws -> Value
) async throws -> Value {
    try await withConnection(to: endpoint, security: security, options: TransportOptions(), body)
}

/// The same with other limits and timings than the usual ones.
package func withConnection<Value: Sendable>(
    to endpoint: Endpoint,
    security: ConnectionSecurity,
    options: TransportOptions,
    _ body: (Connection) async throws -> Value
) async throws -> Value {
    let transport: CoreClientTransport
    do {
        transport = try CoreClientTransport(
            target: endpoint.description,
            tls: security.tls,
            options: options
        )
    } catch {
        throw ClientError(.invalidArgument, "can't make a connection to \(endpoint): \(error)")
    }
    return try await withGRPCClient(transport: transport) { client in
        try await body(
            Connection(endpoint: endpoint, security: security, client: client, transport: transport)
        )
    }
}
