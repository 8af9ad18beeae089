internal import CGRPC
internal import Synchronization

/// TLS of servers or clients that can be replaced while transports use it, for instance when a certificate is
/// renewed or an organization joins.
///
/// Connections that exist go on as they are; what is made after ``update(_:)`` uses the new material: new
/// connections to a server, and new calls of a client, which connects anew for them.
package final class TLSSource<TLS: TLSMaterial>: Sendable {
    private let state: Mutex<(tls: TLS, version: Int)>
    private let latest = Atomic<Int>(0)

    /// - Throws: ``TransportError`` if the certificates or the key can't be used.
    package init(_ tls: TLS) throws(TransportError) {
        try tls.check()
        self.state = Mutex((tls, 0))
    }

    /// What new connections use.
    package var current: TLS { self.state.withLock { $0.tls } }

    /// Replaces parts of the material; what `change` leaves alone stays.
    ///
    /// Everything is looked at as far as PEM goes. Whether a key belongs to its certificate is for the caller to
    /// know: if it doesn't, C core keeps to what it had, and says so on standard error.
    ///
    /// - Throws: ``TransportError`` if a part can't be used; then nothing changes.
    package func update(_ change: @Sendable (inout TLS) -> Void) throws(TransportError) {
        try self.state.withLock { (state) throws(TransportError) in
            var tls = state.tls
            change(&tls)
            try tls.check()
            state = (tls, state.version + 1)
            self.latest.store(state.version, ordering: .releasing)
        }
    }

    /// Which material is current; another number after each update.
    var version: Int { self.latest.load(ordering: .acquiring) }

    /// The current material, with its version.
    var versioned: (tls: TLS, version: Int) { self.state.withLock { $0 } }
}

/// ``ServerTLS`` or ``ClientTLS``.
package protocol TLSMaterial: Sendable {
    /// - Throws: ``TransportError`` that names what can't be used.
    func check() throws(TransportError)
}

/// Gives C core the TLS of a server, again whenever it has changed.
///
/// Core asks before each handshake.
final class ServerTLSFetcher: Sendable {
    private let source: TLSSource<ServerTLS>
    /// What core has; `nil` at first.
    private let fetched = Mutex<Int?>(nil)
    private let fetches = Atomic<Int>(0)

    init(_ source: TLSSource<ServerTLS>) {
        self.source = source
    }

    /// How many handshakes have begun.
    ///
    /// Core asks a first time when it binds the port, which is none.
    var handshakes: Int { max(0, self.fetches.load(ordering: .relaxed) - 1) }

    /// Credentials that refer to this object, for the caller to release.
    ///
    /// The object must outlive them.
    func makeCredentials() -> OpaquePointer? {
        let request: grpc_ssl_client_certificate_request_type =
            switch self.source.current.clientCertificates {
            case .none where self.source.current.asksForAnyCertificate:
                GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_BUT_DONT_VERIFY
            case .none: GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE
            case .requested: GRPC_SSL_REQUEST_CLIENT_CERTIFICATE_AND_VERIFY
            case .required: GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY
            }
        let options = grpc_ssl_server_credentials_create_options_using_config_fetcher(
            request,
            { fetcher, configuration in
                guard let fetcher, let configuration else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL }
                return Unmanaged<ServerTLSFetcher>.fromOpaque(fetcher).takeUnretainedValue()
                    .fetch(into: configuration)
            },
            Unmanaged.passUnretained(self).toOpaque()
        )
        // Takes the options over.
        return grpc_ssl_server_credentials_create_with_options(options)
    }

    private func fetch(into configuration: UnsafeMutablePointer<OpaquePointer?>)
        -> grpc_ssl_certificate_config_reload_status
    {
        self.fetches.wrappingAdd(1, ordering: .relaxed)
        return self.fetched.withLock { fetched in
            guard fetched != self.source.version else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_UNCHANGED }
            let (tls, version) = self.source.versioned
            // Core insists on roots, also where it won't ask clients for a certificate and so never looks at them.
            let roots =
                tls.clientCertificates == .none ? tls.identity.certificateChainPEM : tls.clientRootsPEM
            let made = withKeyCertificatePair(tls.identity) { pair in
                grpc_ssl_server_certificate_config_create(roots, pair, 1)
            }
            guard let made else { return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_FAIL }
            configuration.pointee = made
            fetched = version
            return GRPC_SSL_CERTIFICATE_CONFIG_RELOAD_NEW
        }
    }
}
