internal import CGRPC

/// A certificate with its private key, as a TLS endpoint presents it.
package struct TLSIdentity: Sendable {
    /// The leaf certificate and, after it, intermediates up to but without the root.
    package var certificateChainPEM: String
    package var privateKeyPEM: String

    package init(certificateChainPEM: String, privateKeyPEM: String) {
        self.certificateChainPEM = certificateChainPEM
        self.privateKeyPEM = privateKeyPEM
    }
}

/// What a server asks of clients during the TLS handshake.
package enum ClientCertificatePolicy: Sendable {
    /// No certificate is asked for.
    case none
    /// A certificate is asked for; one that is presented must be valid, and none is accepted too.
    case requested
    /// Only clients with a valid certificate get in.
    case required
}

/// TLS of a server.
package struct ServerTLS: Sendable {
    package var identity: TLSIdentity
    /// The certificates that clients' certificates must lead to; may be empty only with
    /// ``ClientCertificatePolicy/none``.
    package var clientRootsPEM: String
    package var clientCertificates: ClientCertificatePolicy
    /// With ``ClientCertificatePolicy/none``: a certificate is asked for all the same, and whatever is presented is taken
    /// without looking where it leads, for services that compare its key.
    package var asksForAnyCertificate = false

    package init(identity: TLSIdentity, clientRootsPEM: String, clientCertificates: ClientCertificatePolicy) {
        self.identity = identity
        self.clientRootsPEM = clientRootsPEM
        self.clientCertificates = clientCertificates
    }
}

/// TLS of a client.
package struct ClientTLS: Sendable {
    /// The certificates that the server's certificate must lead to.
    package var rootsPEM: String
    /// What the client presents when the server asks for it.
    package var identity: TLSIdentity?
    /// The name to look for in the server's certificate, instead of the host that is connected to.
    package var serverNameOverride: String?
    /// Decides, besides the roots and the name, whether this is the server that is meant; it is given the server's
    /// certificate in PEM.
    ///
    /// Called during the handshake, on a thread of C core: it must be quick.
    package var acceptsServer: (@Sendable (_ certificatePEM: String) -> Bool)?

    package init(
        rootsPEM: String,
        identity: TLSIdentity? = nil,
        serverNameOverride: String? = nil,
        acceptsServer: (@Sendable (_ certificatePEM: String) -> Bool)? = nil
    ) {
        self.rootsPEM = rootsPEM
        self.identity = identity
        self.serverNameOverride = serverNameOverride
        self.acceptsServer = acceptsServer
    }
}

// MARK: - Credentials of C core

extension ServerTLS: TLSMaterial {
    package func check() throws(TransportError) {
        try self.identity.check("the server")
        guard self.clientCertificates != .none else { return }
        try checkCertificates(self.clientRootsPEM, "the roots for client certificates")
    }
}

extension Optional<ServerTLSFetcher> {
    /// Calls `body` with server credentials, which are released when it returns (a server keeps its own
    /// reference).
    ///
    /// No TLS gives plaintext.
    func withCredentials<Value>(
        _ body: (OpaquePointer) throws(TransportError) -> Value
    ) throws(TransportError) -> Value {
        let credentials: OpaquePointer?
        switch self {
        case .none: credentials = grpc_insecure_server_credentials_create()
        case .some(let fetcher): credentials = fetcher.makeCredentials()
        }
        guard let credentials else { throw TransportError(.tls, "C core refused the server's TLS identity") }
        defer { grpc_server_credentials_release(credentials) }
        return try body(credentials)
    }
}

extension ClientTLS: TLSMaterial {
    package func check() throws(TransportError) {
        // Without roots core would trust those of the operating system.
        try checkCertificates(self.rootsPEM, "the roots for the server's certificate")
        try self.identity?.check("the client")
    }
}

extension Optional<ClientTLS> {
    /// Calls `body` with channel credentials, which are released when it returns (a channel keeps its own
    /// reference).
    ///
    /// No TLS gives plaintext.
    func withCredentials<Value>(
        _ body: (OpaquePointer) throws(TransportError) -> Value
    ) throws(TransportError) -> Value {
        let credentials: OpaquePointer?
        switch self {
        case .none:
            credentials = grpc_insecure_credentials_create()
        case .some(let tls):
            credentials = tls.withVerification { verification in
                if let identity = tls.identity {
                    withKeyCertificatePair(identity) { pair in
                        grpc_ssl_credentials_create_ex(tls.rootsPEM, pair, verification, nil)
                    }
                } else {
                    grpc_ssl_credentials_create_ex(tls.rootsPEM, nil, verification, nil)
                }
            }
        }
        guard let credentials else { throw TransportError(.tls, "C core refused the client's TLS identity") }
        defer { grpc_channel_credentials_release(credentials) }
        return try body(credentials)
    }
}

extension ClientTLS {
    /// What core calls with the server's certificate.
    private final class Verification {
        let accepts: @Sendable (String) -> Bool

        init(_ accepts: @escaping @Sendable (String) -> Bool) { self.accepts = accepts }
    }

    /// Calls `body` with core's form of ``acceptsServer``, or `nil` without one; the credentials that `body` makes own
    /// what it refers to.
    fileprivate func withVerification<Value>(
        _ body: (UnsafePointer<grpc_ssl_verify_peer_options>?) -> Value
    ) -> Value {
        guard let acceptsServer else { return body(nil) }
        var options = grpc_ssl_verify_peer_options(
            verify_peer_callback: { _, certificate, pointer in
                guard let certificate, let pointer else { return 1 }
                let verification = Unmanaged<Verification>.fromOpaque(pointer).takeUnretainedValue()
                return verification.accepts(String(cString: certificate)) ? 0 : 1
            },
            verify_peer_callback_userdata: Unmanaged.passRetained(Verification(acceptsServer)).toOpaque(),
            verify_peer_destruct: { pointer in
                guard let pointer else { return }
                Unmanaged<Verification>.fromOpaque(pointer).release()
            }
        )
        return body(&options)
    }
}

extension TLSIdentity {
    fileprivate func check(_ owner: String) throws(TransportError) {
        try checkCertificates(self.certificateChainPEM, "the certificate chain of \(owner)")
        guard self.privateKeyPEM.contains("PRIVATE KEY-----") else {
            throw TransportError(
                .tls,
                "the private key of \(owner) isn't PEM: give a file that has a PRIVATE KEY block"
            )
        }
    }
}

private func checkCertificates(_ pem: String, _ what: String) throws(TransportError) {
    guard pem.contains("-----BEGIN CERTIFICATE-----") else {
        throw TransportError(.tls, "\(what) isn't PEM: give a file that has CERTIFICATE blocks")
    }
}

func withKeyCertificatePair<Value>(
    _ identity: TLSIdentity,
    _ body: (UnsafeMutablePointer<grpc_ssl_pem_key_cert_pair>) -> Value
) -> Value {
    identity.privateKeyPEM.withCString { key in
        identity.certificateChainPEM.withCString { chain in
            var pair = grpc_ssl_pem_key_cert_pair(private_key: key, cert_chain: chain)
            return body(&pair)
        }
    }
}
