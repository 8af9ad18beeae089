internal import CGRPC
package import Foundation
internal import GRPCCore

/// The certificate that a client presented in the TLS handshake, as `ServerContext.transportSpecific` of its
/// calls; absent if it presented none.
///
/// What the server's ``ClientCertificatePolicy`` promises about a presented certificate holds for it: it leads
/// to one of the client roots.
package struct PeerCertificate: Sendable, ServerContext.TransportSpecific {
    /// The leaf certificate in PEM.
    package let pem: String

    /// The leaf certificate in DER; its SHA-256 is what Fabric's `tls_cert_hash` binds a request to.
    package var der: Data {
        let lines = self.pem.split(whereSeparator: \.isNewline).filter { !$0.hasPrefix("-----") }
        return Data(Base64.decode(lines.joined()) ?? [])
    }

    init?(call: OpaquePointer) {
        guard let context = grpc_call_auth_context(call) else { return nil }
        defer { grpc_auth_context_release(context) }
        // The iterator keeps the pointer to the name, so the name has to outlive it.
        let pem: String? = GRPC_X509_PEM_CERT_PROPERTY_NAME.withCString { name in
            var properties = grpc_auth_context_find_properties_by_name(context, name)
            guard let property = grpc_auth_property_iterator_next(&properties),
                let value = property.pointee.value
            else { return nil }
            let bytes = UnsafeRawBufferPointer(start: value, count: property.pointee.value_length)
            return String(decoding: bytes, as: UTF8.self)
        }
        guard let pem else { return nil }
        self.pem = pem
    }
}
