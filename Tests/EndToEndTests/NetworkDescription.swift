import Foundation
import Testing
import WeftClient

/// What `network.json` says of a network of `weft network up`.
struct NetworkDescription: Decodable {
    struct Node: Decodable {
        var name, role, endpoint, tlsRoots, folder: String
        var operations: String?
        /// Where an orderer is administered.
        var administration: String?
    }

    struct Identity: Decodable { var name, mspID, msp, tlsCertificate, tlsKey: String }

    var channel: String
    var nodes: [Node]
    var identities: [Identity]

    init(_ folder: String) throws {
        let file = URL(fileURLWithPath: folder + "/network.json")
        self = try JSONDecoder().decode(Self.self, from: Data(contentsOf: file))
    }
}

extension NetworkDescription {
    /// Connects to the peer of an organization as its user.
    ///
    /// - Parameters:
    ///   - organization: The peer's name, such as `utility`.
    ///   - folder: The network's folder.
    ///   - body: Gets the connection and who signs.
    /// - Returns: What `body` returns.
    /// - Throws: When files are missing, and what `body` throws.
    func withPeer<Value: Sendable>(
        of organization: String,
        in folder: String,
        _ body: (Connection, ClientIdentity) async throws -> Value
    ) async throws -> Value {
        let node = try #require(self.nodes.first { $0.name == organization })
        let person = try #require(self.identities.first { $0.name == "\(organization)/user" })
        let identity = try ClientIdentity(
            mspID: person.mspID,
            certificate: Self.onlyFile("\(folder)/\(person.msp)/signcerts"),
            privateKey: Self.onlyFile("\(folder)/\(person.msp)/keystore")
        )
        let security = try ConnectionSecurity(
            roots: Self.file("\(folder)/\(node.tlsRoots)"),
            clientCertificate: Self.file("\(folder)/\(person.tlsCertificate)"),
            clientKey: Self.file("\(folder)/\(person.tlsKey)")
        )
        return try await withConnection(to: Endpoint(node.endpoint), security: security) { connection in
            try await body(connection, identity)
        }
    }

    private static func file(_ path: String) throws -> Data {
        try Data(contentsOf: URL(fileURLWithPath: path))
    }

    private static func onlyFile(_ folder: String) throws -> Data {
        let name = try FileManager.default.contentsOfDirectory(atPath: folder).first
        return try Self.file("\(folder)/\(try #require(name))")
    }
}
