internal import NIOCore
internal import NIOSSL
internal import RPC
internal import Synchronization

/// The TLS context that new connections get.
///
/// BoringSSL, through swift-nio-ssl, is used for the TLS of HTTP servers only; identities, signatures and gRPC are
/// OpenSSL's.
final class ReloadableTLS: Sendable {
    private let context: Mutex<NIOSSLContext>

    /// - Throws: ``HTTPServerError`` when the certificate, key or roots can't be used.
    init(_ tls: ServerTLS) throws(HTTPServerError) {
        self.context = Mutex(try Self.context(tls))
    }

    var current: NIOSSLContext { self.context.withLock { $0 } }

    /// Has new connections use other certificates; those that are open stay as they are.
    func replace(_ tls: ServerTLS) throws(HTTPServerError) {
        let context = try Self.context(tls)
        self.context.withLock { $0 = context }
    }

    private static func context(_ tls: ServerTLS) throws(HTTPServerError) -> NIOSSLContext {
        let chain = try Self.certificates(tls.identity.certificateChainPEM, "the TLS certificate")
        let key: NIOSSLPrivateKey
        do {
            key = try NIOSSLPrivateKey(bytes: Array(tls.identity.privateKeyPEM.utf8), format: .pem)
        } catch {
            throw HTTPServerError("the TLS private key of the HTTP server can't be read as PEM: \(error)")
        }
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: .privateKey(key)
        )
        configuration.minimumTLSVersion = .tlsv12
        configuration.applicationProtocols = ["http/1.1"]
        switch tls.clientCertificates {
        case .none: configuration.certificateVerification = .none
        case .requested: configuration.certificateVerification = .optionalVerification
        case .required: configuration.certificateVerification = .noHostnameVerification
        }
        if tls.clientCertificates != .none {
            let roots = try Self.certificates(tls.clientRootsPEM, "the roots of clients' certificates")
            configuration.trustRoots = .certificates(roots)
            configuration.sendCANameList = true
        }
        do {
            return try NIOSSLContext(configuration: configuration)
        } catch {
            throw HTTPServerError(
                "the TLS certificate and key of the HTTP server can't be used together: \(error); "
                    + "check that the key belongs to the certificate"
            )
        }
    }

    private static func certificates(
        _ pem: String,
        _ what: String
    ) throws(HTTPServerError) -> [NIOSSLCertificate] {
        do {
            let certificates = try NIOSSLCertificate.fromPEMBytes(Array(pem.utf8))
            if !certificates.isEmpty { return certificates }
        } catch {
            throw HTTPServerError("\(what) of the HTTP server can't be read as PEM: \(error)")
        }
        throw HTTPServerError("\(what) of the HTTP server is missing: give a file with CERTIFICATE blocks")
    }
}
