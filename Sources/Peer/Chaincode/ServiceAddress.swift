internal import Channel
package import Foundation
package import RPC

/// Where a contract that runs as a service listens, and how it is reached: `connection.json` of a package.
///
/// - Source: Fabric v3.1 documentation, "Running chaincode as an external service"; package
///   `core/container/externalbuilder`.
package struct ServiceAddress: Sendable {
    /// `host:port`.
    package var address: String
    /// How long connecting may take, 3 s unless the file says otherwise.
    package var dialTimeout: Duration
    /// `nil` for plaintext.
    package var tls: ClientTLS?

    private struct File: Decodable {
        var address: String?
        var dial_timeout: DialTimeout?
        var tls_required: Bool?
        var client_auth_required: Bool?
        var client_key: String?
        var client_cert: String?
        var root_cert: String?
        var domain: String?
    }

    /// A duration as Go writes it, or a number of nanoseconds.
    private struct DialTimeout: Decodable {
        var duration: Duration?

        init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            if let number = try? value.decode(Int64.self) {
                self.duration = .nanoseconds(number)
            } else {
                self.duration = GoDuration.parse(try value.decode(String.self))
            }
        }
    }

    init(address: String, dialTimeout: Duration, tls: ClientTLS?) {
        self.address = address
        self.dialTimeout = dialTimeout
        self.tls = tls
    }

    /// Reads `connection.json`.
    ///
    /// - Throws: ``ContractError`` that names the field that can't be used.
    package init(json: Data) throws(ContractError) {
        let file: File
        do {
            file = try JSONDecoder().decode(File.self, from: json)
        } catch {
            throw ContractError("connection.json is not the JSON object that it should be: \(error)")
        }
        guard let address = file.address, let (host, port) = Self.parts(address), !host.isEmpty, port > 0
        else {
            throw ContractError(
                """
                connection.json: address is "\(file.address?.prefix(200) ?? "")", but must be host:port of the \
                running contract
                """
            )
        }
        self.address = address
        let timeout = file.dial_timeout.map { $0.duration ?? .zero } ?? .seconds(3)
        guard timeout > .zero, timeout <= .seconds(300) else {
            throw ContractError(
                "connection.json: dial_timeout must be a duration up to 300s, such as \"10s\""
            )
        }
        self.dialTimeout = timeout
        guard file.tls_required == true else { return }
        guard let roots = file.root_cert, !roots.isEmpty else {
            throw ContractError(
                "connection.json: tls_required needs root_cert, the certificate (PEM) behind the contract's"
            )
        }
        var tls = ClientTLS(rootsPEM: roots)
        if file.client_auth_required == true {
            guard let key = file.client_key, let certificate = file.client_cert, !key.isEmpty,
                !certificate.isEmpty
            else {
                throw ContractError(
                    "connection.json: client_auth_required needs client_key and client_cert (PEM)"
                )
            }
            tls.identity = TLSIdentity(certificateChainPEM: certificate, privateKeyPEM: key)
            if let domain = file.domain, !domain.isEmpty { tls.serverNameOverride = domain }
        }
        do {
            try tls.check()
        } catch {
            throw ContractError("connection.json: \(error)")
        }
        self.tls = tls
    }

    private static func parts(_ address: String) -> (host: Substring, port: UInt16)? {
        guard let colon = address.lastIndex(of: ":"), let port = UInt16(address[colon...].dropFirst()),
            !address.contains("{{")
        else { return nil }
        return (address[..<colon], port)
    }
}
