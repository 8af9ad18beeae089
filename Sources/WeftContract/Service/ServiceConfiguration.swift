package import Foundation
package import RPC

/// Where a contract's process runs and how it meets peers, as environment and arguments say it.
///
/// The names are those of Fabric's shims and samples.
///
/// - Source: Fabric v3.1 documentation, "Running chaincode as an external service"; `fabric-chaincode-go/shim`.
package struct ServiceConfiguration: Sendable {
    /// Who connects to whom.
    package enum Meeting: Sendable {
        /// Peers connect to this address.
        case listen(address: String, tls: ServerTLS?)
        /// The contract connects to the peer that has started it.
        case register(peer: String, tls: ClientTLS?)
    }

    /// The identifier of the installed package.
    package var packageID: String
    package var meeting: Meeting

    /// Reads environment and arguments.
    ///
    /// - Throws: ``ContractError`` that names the variable that is missing or can't be used.
    package init(
        environment: [String: String],
        arguments: [String],
        read: @escaping (String) throws -> Data = { try Data(contentsOf: URL(fileURLWithPath: $0)) }
    ) throws {
        let settings = Settings(environment: environment, read: read)
        guard let packageID = settings["CHAINCODE_ID", "CORE_CHAINCODE_ID_NAME", "CORE_CHAINCODE_ID"] else {
            throw ContractError(
                "CHAINCODE_ID is not set: give the identifier of the installed package, such as asset:1f3c…, "
                    + "which `peer lifecycle chaincode queryinstalled` shows"
            )
        }
        self.packageID = packageID
        if let peer = try Self.peerAddress(arguments) {
            self.meeting = .register(peer: peer, tls: try settings.clientTLS())
        } else if let address = settings["CHAINCODE_SERVER_ADDRESS", "CORE_CHAINCODE_ADDRESS"] {
            self.meeting = .listen(address: address, tls: try settings.serverTLS())
        } else {
            throw ContractError(
                "neither CHAINCODE_SERVER_ADDRESS (where peers connect to, such as 0.0.0.0:9999) "
                    + "nor the argument -peer.address is given"
            )
        }
    }

    /// The value of `-peer.address`, with one hyphen or two, and with or without "=".
    private static func peerAddress(_ arguments: [String]) throws -> String? {
        for (index, argument) in arguments.enumerated() {
            let name = argument.drop { $0 == "-" }
            guard argument.hasPrefix("-"), name.hasPrefix("peer.address") else { continue }
            let rest = name.dropFirst("peer.address".count)
            if rest.hasPrefix("=") { return String(rest.dropFirst()) }
            guard rest.isEmpty else { continue }
            guard index + 1 < arguments.count else {
                throw ContractError("-peer.address needs an address after it")
            }
            return arguments[index + 1]
        }
        return nil
    }
}

/// Environment variables and the files that they name.
private struct Settings {
    let environment: [String: String]
    let read: (String) throws -> Data

    /// The first of these variables that is set and not empty.
    subscript(_ names: String...) -> String? { self.first(names) }

    private func first(_ names: [String]) -> String? {
        names.lazy.compactMap { self.environment[$0] }.first { !$0.isEmpty }
    }

    private func text(_ names: String...) throws -> String? {
        guard let path = self.first(names) else { return nil }
        do {
            return String(decoding: try self.read(path), as: UTF8.self)
        } catch {
            throw ContractError(
                "\(names.first { self.environment[$0] == path } ?? ""): can't read \(path): \(error)"
            )
        }
    }

    /// What a file holds in base64, as Fabric's peer writes some for chaincode that it starts.
    private func decodedText(_ name: String) throws -> String? {
        guard let text = try self.text(name) else { return nil }
        guard let data = Data(base64Encoded: text, options: .ignoreUnknownCharacters) else {
            throw ContractError("\(name): the file is not base64")
        }
        return String(decoding: data, as: UTF8.self)
    }

    func serverTLS() throws -> ServerTLS? {
        if self["CHAINCODE_TLS_DISABLED"]?.lowercased() == "true" { return nil }
        let key = try self.text("CHAINCODE_TLS_KEY", "CHAINCODE_TLS_KEY_FILE", "CORE_CHAINCODE_TLS_KEY_FILE")
        let certificate = try self.text(
            "CHAINCODE_TLS_CERT",
            "CHAINCODE_TLS_CERT_FILE",
            "CORE_CHAINCODE_TLS_CERT_FILE"
        )
        let roots = try self.text(
            "CHAINCODE_CLIENT_CA_CERT",
            "CHAINCODE_TLS_CLIENT_CACERT_FILE",
            "CORE_CHAINCODE_TLS_CLIENT_CACERT_FILE"
        )
        guard let key, let certificate else {
            let wantsTLS = key != nil || certificate != nil || roots != nil
            guard !wantsTLS, self["CHAINCODE_TLS_DISABLED"] == nil else {
                throw ContractError(
                    "TLS needs CHAINCODE_TLS_KEY and CHAINCODE_TLS_CERT, files in PEM; "
                        + "without TLS set CHAINCODE_TLS_DISABLED=true"
                )
            }
            return nil
        }
        let tls = ServerTLS(
            identity: TLSIdentity(certificateChainPEM: certificate, privateKeyPEM: key),
            clientRootsPEM: roots ?? "",
            clientCertificates: roots == nil ? .none : .required
        )
        try tls.check()
        return tls
    }

    func clientTLS() throws -> ClientTLS? {
        guard self["CORE_PEER_TLS_ENABLED"]?.lowercased() == "true" else { return nil }
        guard let roots = try self.text("CORE_PEER_TLS_ROOTCERT_FILE") else {
            throw ContractError("CORE_PEER_TLS_ENABLED is true, but CORE_PEER_TLS_ROOTCERT_FILE is not set")
        }
        let key = try self.text("CORE_TLS_CLIENT_KEY_FILE") ?? self.decodedText("CORE_TLS_CLIENT_KEY_PATH")
        let certificate =
            try self.text("CORE_TLS_CLIENT_CERT_FILE") ?? self.decodedText("CORE_TLS_CLIENT_CERT_PATH")
        var tls = ClientTLS(rootsPEM: roots)
        if let key, let certificate {
            tls.identity = TLSIdentity(certificateChainPEM: certificate, privateKeyPEM: key)
        }
        try tls.check()
        return tls
    }
}
