internal import CGRPC
package import Foundation
internal import GRPCCore

/// The certificate that a client presented in the TLS handshake, as `ServerContext.transportSpecific` of its
/// calls; absent if it presented none.
///
/// What the server's ``ClientCertificatePolicy`` promises about a presented certificate holds for it: it leads
/// to one of the client roots.
package struct PeerCertificate: Sendable, ServerContext.TransportSpecific {
    private let connection: Connection

    /// The leaf certificate in PEM.
    package var pem: String { self.connection.certificate ?? "" }

    /// The leaf certificate in DER; its SHA-256 is what Fabric's `tls_cert_hash` binds a request to.
    package var der: Data {
        let lines = self.pem.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") }
        return Data(Base64.decode(lines.joined()) ?? [])
    }

    /// Absent if the client of the call presented none.
    init?(call: OpaquePointer, pollers: PollerGroup) {
        guard let context = grpc_call_auth_context(call) else { return nil }
        self.connection = Connection(context, pollers)
        guard self.connection.hasCertificate else { return nil }
    }

    /// What core knows of the other end of a connection.
    private final class Connection: @unchecked Sendable {
        // Why `@unchecked`: core doesn't change the context after the handshake; `deinit` gives back the only
        // reference that this object has.
        private let context: OpaquePointer
        /// Keeps core alive for as long as the context is.
        private let pollers: PollerGroup

        init(_ context: OpaquePointer, _ pollers: PollerGroup) {
            self.context = context
            self.pollers = pollers
        }

        deinit {
            grpc_auth_context_release(self.context)
        }

        var hasCertificate: Bool { self.withCertificate { _ in true } ?? false }

        var certificate: String? { self.withCertificate { String(decoding: $0, as: UTF8.self) } }

        private func withCertificate<Value>(_ body: (UnsafeRawBufferPointer) -> Value) -> Value? {
            // The iterator keeps the pointer to the name, so the name has to outlive it.
            GRPC_X509_PEM_CERT_PROPERTY_NAME.withCString { name in
                var properties = grpc_auth_context_find_properties_by_name(self.context, name)
                guard let property = grpc_auth_property_iterator_next(&properties),
                    let value = property.pointee.value
                else { return nil }
                return body(UnsafeRawBufferPointer(start: value, count: property.pointee.value_length))
            }
        }
    }
}
