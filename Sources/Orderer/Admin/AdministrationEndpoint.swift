internal import Logging
package import Operations
package import RPC

/// Where an ordering node is administered, apart from where clients and operators reach it.
package struct AdministrationEndpoint: Sendable {
    /// The port on loopback that Fabric's configuration has.
    package static let defaultAddress = "127.0.0.1:9443"

    /// `host:port`; port 0 takes any that is free.
    package var listenAddress: String
    /// `nil` for plaintext, by which everybody who reaches the port administers the node.
    package var tls: ServerTLS?
    /// Whether the channel participation API is served; otherwise every request is answered with 503.
    package var isEnabled: Bool
    /// The longest body of a request, in bytes.
    package var maximumBodyBytes: Int

    package init(
        listenAddress: String = defaultAddress,
        tls: ServerTLS?,
        isEnabled: Bool = true,
        maximumBodyBytes: Int = ParticipationAPI.defaultMaximumBodyBytes
    ) {
        self.listenAddress = listenAddress
        self.tls = tls
        self.isEnabled = isEnabled
        self.maximumBodyBytes = maximumBodyBytes
    }
}

extension OrdererNode {
    /// The server of the channel participation API; to be run beside the node.
    ///
    /// - Throws: `HTTPServerError` for an address or TLS files that can't be used, ``OrdererError`` for TLS that doesn't
    ///   ask for client certificates.
    package func administrationServer(_ endpoint: AdministrationEndpoint) throws -> HTTPServer {
        if let tls = endpoint.tls, tls.clientCertificates != .required {
            throw OrdererError.administrationWithoutCertificates(endpoint.listenAddress)
        }
        if endpoint.tls == nil {
            self.logger.warning(
                "the channel participation API has no TLS: everybody who reaches its port administers this node",
                metadata: ["address": "\(endpoint.listenAddress)"]
            )
        }
        let api = ParticipationAPI(
            registrar: self.registrar,
            isEnabled: endpoint.isEnabled,
            logger: self.logger
        )
        return try HTTPServer(
            listeningOn: endpoint.listenAddress,
            tls: endpoint.tls,
            routes: [api.route(maximumBodyBytes: endpoint.maximumBodyBytes)],
            name: "channel participation",
            logger: self.logger
        )
    }
}
