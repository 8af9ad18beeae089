internal import Foundation
internal import RPC

/// The files that a launched contract reads: its certificate and key, and what the peer's lead to.
///
/// - Source: Fabric v3.1, `core/container/dockercontroller`, `core/container/externalbuilder`.
struct RunFiles {
    let folder: URL
    /// Who must be able to read them; `nil` for the peer's own user.
    let user: String?

    private enum Name: String {
        /// PEM in base64, as Fabric's shims for Go and Node read them.
        case key = "client.key"
        case certificate = "client.crt"
        /// PEM.
        case keyPEM = "client_pem.key"
        case certificatePEM = "client_pem.crt"
        case roots = "peer.crt"
        case metadata = "chaincode.json"
    }

    /// What an external builder's `bin/run` reads.
    struct Metadata: Encodable {
        var chaincode_id: String
        var peer_address: String
        var client_cert: String
        var client_key: String
        var root_cert: String
        var mspid: String
    }

    /// Writes the files into an empty folder; none for a contract without TLS.
    func write(identity: TLSIdentity?, rootsPEM: String?) throws(ContractError) {
        try ContractFolder.remove(self.folder)
        try ContractFolder.make(self.folder)
        try FileOwner.give(self.folder, to: self.user, mode: 0o700)
        guard let identity, let rootsPEM else { return }
        let (key, certificate) = (Data(identity.privateKeyPEM.utf8), Data(identity.certificateChainPEM.utf8))
        try self.write(Data(key.base64EncodedString().utf8), .key)
        try self.write(Data(certificate.base64EncodedString().utf8), .certificate)
        try self.write(key, .keyPEM)
        try self.write(certificate, .certificatePEM)
        try self.write(Data(rootsPEM.utf8), .roots)
    }

    func writeRunMetadata(_ metadata: Metadata) throws(ContractError) {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        do {
            try self.write(try encoder.encode(metadata), .metadata)
        } catch {
            throw ContractError("\(error)")
        }
    }

    private func write(_ contents: Data, _ name: Name) throws(ContractError) {
        let file = self.folder.appendingPathComponent(name.rawValue)
        try ContractFolder.write(contents, to: file)
        try FileOwner.give(file, to: self.user, mode: 0o600)
    }

    private func path(_ name: Name) -> String { self.folder.appendingPathComponent(name.rawValue).path }

    /// What a contract reads that registers with the peer.
    var clientVariables: [String: String] {
        [
            "CORE_PEER_TLS_ENABLED": "true",
            "CORE_TLS_CLIENT_KEY_PATH": self.path(.key),
            "CORE_TLS_CLIENT_CERT_PATH": self.path(.certificate),
            "CORE_TLS_CLIENT_KEY_FILE": self.path(.keyPEM),
            "CORE_TLS_CLIENT_CERT_FILE": self.path(.certificatePEM),
            "CORE_PEER_TLS_ROOTCERT_FILE": self.path(.roots),
        ]
    }

    /// What a contract reads that listens: by the names of Fabric's shim for Python, its samples in Go, its shim for Node.
    var serverVariables: [String: String] {
        self.clientVariables.merging([
            "CORE_TLS_CLIENT_KEY_PATH": self.path(.keyPEM),
            "CORE_TLS_CLIENT_CERT_PATH": self.path(.certificatePEM),
            "CHAINCODE_TLS_DISABLED": "false",
            "CHAINCODE_TLS_KEY": self.path(.keyPEM),
            "CHAINCODE_TLS_CERT": self.path(.certificatePEM),
            "CHAINCODE_CLIENT_CA_CERT": self.path(.roots),
            "CHAINCODE_TLS_KEY_FILE": self.path(.keyPEM),
            "CHAINCODE_TLS_CERT_FILE": self.path(.certificatePEM),
            "CHAINCODE_TLS_CLIENT_CACERT_FILE": self.path(.roots),
        ]) { $1 }
    }
}
