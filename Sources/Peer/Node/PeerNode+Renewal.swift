package import Channel
package import RPC

/// What changes while a peer runs.
extension PeerNode {
    /// The configurations in force on the peer's channels.
    package var configurations: [ChannelConfiguration] { self.channels.list.map(\.configuration) }

    /// Shows new connections renewed certificates; those that are open keep theirs.
    ///
    /// - Parameters:
    ///   - server: what the peer shows clients.
    ///   - client: what the peer shows orderers and other peers.
    ///   - rootsPEM: what clients' certificates must lead to, besides the authorities of the channels.
    /// - Throws: `TransportError` if one of them can't be used.
    package func renewTLS(server: TLSIdentity, client: TLSIdentity, rootsPEM: String) throws {
        try self.parts.clientRoots?.renew(server, ownRoots: rootsPEM)
        try self.parts.configuration.clientTLSIdentity?.replace(with: client)
    }
}
