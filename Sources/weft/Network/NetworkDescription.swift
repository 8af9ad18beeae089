import CertificateAuthority
import Channel
import Foundation
import WeftClient

/// The network that was made in a folder.
///
/// Its file `network.json` says who listens where, and where the identities are, so that commands need no flags. Paths
/// are meant from the network's folder.
struct NetworkDescription {
    /// One process.
    struct Node {
        enum Role: String { case orderer, peer }

        var name: String
        var role: Role
        var mspID: String
        var endpoint: String
        /// Where metrics and health are shown, over plain HTTP; `nil` in networks of older versions.
        var operations: String?
        /// Where the configuration file, the log and the data are.
        var folder: String
        /// The root certificates that the node's TLS certificate leads to.
        var tlsRoots: String
        /// Where an orderer's channels are joined and removed: for `osnadmin`.
        var administration: String?

        /// The port of ``endpoint``, which is checked to have one.
        var port: Int { self.endpoint.split(separator: ":").last.flatMap { Int($0) } ?? 0 }

        /// Whether anybody listens at the node's port.
        var isListening: Bool { !LoopbackPorts.isFree(self.port) }
    }

    /// One person or program that may sign.
    struct Identity {
        /// `organization/name`, such as `utility/user`.
        var name: String
        var mspID: String
        var msp: String
        var tlsCertificate: String
        var tlsKey: String
    }

    static let fileName = "network.json"
    static let defaultFolder = "weft-network"

    /// The network's folder, absolute.
    var folder: String
    var channel: String
    var contracts: [String]
    var nodes: [Node]
    var identities: [Identity]

    var peers: [Node] { self.nodes.filter { $0.role == .peer } }

    /// The first peer of each organization.
    var leadingPeers: [Node] {
        var seen: Set<String> = []
        return self.peers.filter { seen.insert($0.mspID).inserted }
    }

    func node(_ name: String) throws(Failure) -> Node {
        guard let node = self.nodes.first(where: { $0.name == name }) else {
            let known = self.nodes.map(\.name).joined(separator: ", ")
            throw Failure("there is no node \"\(name)\" in \(self.folder); there are: \(known)", code: .usage)
        }
        return node
    }

    func identity(_ name: String) throws(Failure) -> Identity {
        let names = [name, name + "/user"]
        guard let identity = self.identities.first(where: { names.contains($0.name) }) else {
            let known = self.identities.map(\.name).joined(separator: ", ")
            throw Failure(
                "there is no identity \"\(name)\" in \(self.folder); there are: \(known)",
                code: .usage
            )
        }
        return identity
    }

    /// A person or program of a node's own organization, such as `admin`.
    func identity(_ user: String, of node: Node) throws(Failure) -> Identity {
        let found = self.identities.first { $0.mspID == node.mspID && $0.name.hasSuffix("/\(user)") }
        guard let found else {
            throw Failure(
                "there is no identity of \(node.mspID) named \(user) in \(self.folder)",
                code: .usage
            )
        }
        return found
    }

    func process(of node: Node) -> NodeProcess {
        NodeProcess(name: node.name, folder: self.path(node.folder))
    }

    func path(_ relative: String) -> String {
        relative.hasPrefix("/") ? relative : self.folder + "/" + relative
    }
}

// MARK: - Its file

extension NetworkDescription {
    /// Reads the description in a network's folder.
    init(folder: String) throws {
        self.folder = URL(fileURLWithPath: folder).standardizedFileURL.path
        let file = self.folder + "/" + Self.fileName
        guard FileManager.default.fileExists(atPath: file) else {
            throw Failure(
                "there is no network in \(self.folder); make one with: weft network up --folder \(folder)"
            )
        }
        let root = try ConfigurationSection(file: file)
        self.channel = try root.value("channel", expected: "a channel's name") { $0 }
        self.contracts = try root.texts("contracts")
        self.nodes = try root.sections("nodes").map { section throws(ConfigurationError) in
            Node(
                name: try section.value("name", expected: "a name") { $0 },
                role: try section.value("role", expected: "orderer or peer", Node.Role.init(rawValue:)),
                mspID: try section.value("mspID", expected: "an MSP identifier") { $0 },
                endpoint: try section.value("endpoint", expected: "host:port", configuredAddress),
                operations: try section.optionalValue("operations", expected: "host:port", configuredAddress),
                folder: try section.value("folder", expected: "a folder") { $0 },
                tlsRoots: try section.value("tlsRoots", expected: "a PEM file") { $0 },
                administration: try section.optionalValue(
                    "administration",
                    expected: "host:port",
                    configuredAddress
                )
            )
        }
        self.identities = try root.sections("identities").map { section throws(ConfigurationError) in
            Identity(
                name: try section.value("name", expected: "a name") { $0 },
                mspID: try section.value("mspID", expected: "an MSP identifier") { $0 },
                msp: try section.value("msp", expected: "an MSP folder") { $0 },
                tlsCertificate: try section.value("tlsCertificate", expected: "a PEM file") { $0 },
                tlsKey: try section.value("tlsKey", expected: "a PEM file") { $0 }
            )
        }
    }

    var json: JSONValue {
        .object([
            "channel": .string(self.channel),
            "contracts": .array(self.contracts.map { .string($0) }),
            "nodes": .array(
                self.nodes.map { node in
                    .members(
                        [
                            ("name", .string(node.name)),
                            ("role", .string(node.role.rawValue)),
                            ("mspID", .string(node.mspID)),
                            ("endpoint", .string(node.endpoint)),
                            ("folder", .string(node.folder)),
                            ("tlsRoots", .string(node.tlsRoots)),
                        ] + (node.operations.map { [("operations", .string($0))] } ?? [])
                            + (node.administration.map { [("administration", .string($0))] } ?? [])
                    )
                }
            ),
            "identities": .array(
                self.identities.map { identity in
                    .object([
                        "name": .string(identity.name),
                        "mspID": .string(identity.mspID),
                        "msp": .string(identity.msp),
                        "tlsCertificate": .string(identity.tlsCertificate),
                        "tlsKey": .string(identity.tlsKey),
                    ])
                }
            ),
        ])
    }

    func write() throws {
        let file = URL(fileURLWithPath: self.folder + "/" + Self.fileName)
        try Data((self.json.indented() + "\n").utf8).write(to: file)
    }
}

// MARK: - Connecting to it

extension NetworkDescription {
    /// The identity's signing half.
    func signer(_ identity: Identity) throws -> ClientIdentity {
        try ClientIdentity(mspFolder: self.path(identity.msp), mspID: identity.mspID)
    }

    /// How `identity` connects to `node`.
    func security(of node: Node, as identity: Identity) throws -> ConnectionSecurity {
        try ConnectionSecurity(
            roots: readBytes(self.path(node.tlsRoots), as: "the TLS roots of \(node.name)"),
            clientCertificate: readBytes(self.path(identity.tlsCertificate), as: "the TLS certificate"),
            clientKey: readBytes(self.path(identity.tlsKey), as: "the TLS private key")
        )
    }

    /// Calls `body` with a connection to a node.
    func withNode<Value: Sendable>(
        _ node: Node,
        as identity: Identity,
        _ body: (Connection) async throws -> Value
    ) async throws -> Value {
        let security = try self.security(of: node, as: identity)
        return try await withConnection(to: Endpoint(node.endpoint), security: security, body)
    }
}

extension ClientIdentity {
    /// Reads the certificate from an MSP folder in Fabric's layout, and finds its key.
    ///
    /// A keystore may hold several keys; the one that belongs to the certificate is taken.
    ///
    /// - Parameters:
    ///   - mspFolder: the folder with `signcerts`.
    ///   - mspID: the organization's MSP identifier.
    ///   - provider: where the key is, if not in `keystore`.
    /// - Throws: `AuthorityError` if one of them is missing, or they don't belong together.
    init(mspFolder: String, mspID: String, provider: ProviderSettings = ProviderSettings()) throws {
        let folder = MSPFolder(mspFolder)
        self.init(try folder.signingIdentity(mspID: MSPID(mspID), keys: provider.open()))
    }
}
