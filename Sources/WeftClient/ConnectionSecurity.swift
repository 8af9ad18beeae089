public import Foundation
internal import RPC

/// How a connection is protected: whom it trusts, and as whom it presents itself.
public struct ConnectionSecurity: Sendable {
    let tls: ClientTLS?
    /// The DER of the client's TLS certificate, to which Deliver requests are bound; nil without one.
    let clientCertificateDER: Data?

    /// TLS that checks the server's certificate; with a client certificate it is mutual.
    ///
    /// - Parameters:
    ///   - roots: The certificates, in PEM, that the server's certificate must lead to.
    ///   - clientCertificate: The client's certificate chain in PEM, its own first; required by most Fabric networks.
    ///   - clientKey: The private key of that certificate, in PEM.
    ///   - serverName: The name to look for in the server's certificate instead of the host that is connected to.
    /// - Throws: ``ClientError`` when a certificate can't be read, or certificate and key don't come together.
    public init(
        roots: Data,
        clientCertificate: Data? = nil,
        clientKey: Data? = nil,
        serverName: String? = nil
    ) throws(ClientError) {
        guard (clientCertificate == nil) == (clientKey == nil) else {
            throw ClientError(
                .invalidArgument,
                "mutual TLS needs both a client certificate and its private key; only one was given"
            )
        }
        var identity: TLSIdentity?
        var certificateDER: Data?
        if let clientCertificate, let clientKey {
            certificateDER = try Self.leaf(of: clientCertificate)
            identity = TLSIdentity(
                certificateChainPEM: String(decoding: clientCertificate, as: UTF8.self),
                privateKeyPEM: String(decoding: clientKey, as: UTF8.self)
            )
        }
        self.tls = ClientTLS(
            rootsPEM: String(decoding: roots, as: UTF8.self),
            identity: identity,
            serverNameOverride: serverName
        )
        self.clientCertificateDER = certificateDER
    }

    private init() {
        self.tls = nil
        self.clientCertificateDER = nil
    }

    /// No protection at all: for tests on one machine.
    public static let plaintext = Self()
}
