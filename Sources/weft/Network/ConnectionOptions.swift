import ArgumentParser
import CertificateAuthority
import Foundation
import WeftClient

/// The flags that say which peer to talk to, and as whom.
///
/// Beside a network made by `weft network up` none is needed. For any other Fabric network give `--peer`, `--tls-root`,
/// `--identity`, `--msp-id` and, where clients need a certificate, `--tls-certificate` and `--tls-key`.
struct ConnectionOptions: ParsableArguments {
    @Option(help: ArgumentHelp("The folder of a network made by `weft network up`.", valueName: "folder"))
    var network = NetworkDescription.defaultFolder

    @Option(
        name: .customLong("as"),
        help: ArgumentHelp("An identity of that network, such as utility/user.", valueName: "identity")
    )
    var identityName: String?

    @Option(help: ArgumentHelp("The peer: a name in that network, or host:port.", valueName: "peer"))
    var peer: String?

    @Option(help: ArgumentHelp("The channel.", valueName: "name"))
    var channel: String?

    @Option(help: ArgumentHelp("Root certificates of the nodes' TLS (PEM).", valueName: "file"))
    var tlsRoot: String?

    @Option(help: ArgumentHelp("The client's TLS certificate (PEM).", valueName: "file"))
    var tlsCertificate: String?

    @Option(help: ArgumentHelp("The private key of that certificate (PEM).", valueName: "file"))
    var tlsKey: String?

    @Option(help: ArgumentHelp("The name in the peer's TLS certificate, if not its host.", valueName: "name"))
    var tlsName: String?

    @Option(help: ArgumentHelp("The MSP folder of the identity that signs.", valueName: "folder"))
    var identity: String?

    @Option(help: ArgumentHelp("The MSP identifier of that identity's organization.", valueName: "id"))
    var mspID: String?

    @Option(
        help: ArgumentHelp(
            "A YAML file with a section BCCSP, if the key of --identity is in a hardware token.",
            valueName: "file"
        )
    )
    var bccsp: String?

    /// What the flags and the network's description amount to.
    struct Target {
        var endpoint: Endpoint
        var security: ConnectionSecurity
        var signer: ClientIdentity
        var channel: String
    }

    func resolve() throws -> Target {
        if let identity = self.identity { return try self.explicitTarget(identity, self.peer, "--peer") }
        let description = try NetworkDescription(folder: self.network)
        let node: NetworkDescription.Node
        if let peer = self.peer, let listed = description.nodes.first(where: { $0.endpoint == peer }) {
            node = listed
        } else if let peer = self.peer {
            node = try description.node(peer)
        } else if let organization = self.identityName?.split(separator: "/").first,
            let own = description.peers.first(where: { $0.name == organization })
        {
            node = own
        } else if let first = description.peers.first {
            node = first
        } else {
            throw Failure("the network in \(description.folder) has no peer", code: .configuration)
        }
        let identity =
            try self.identityName.map(description.identity) ?? description.identity("user", of: node)
        return try self.target(node, identity, description)
    }

    /// An orderer, as the flags and the network's description say; `nil` when they name none.
    ///
    /// - Parameter orderer: Its address, if it isn't the one of the network's description.
    /// - Returns: The orderer, and as whom it is asked.
    /// - Throws: ``Failure`` when files or flags are missing, or can't be used.
    func ordererTarget(_ orderer: String?) throws -> Target? {
        if let identity = self.identity {
            guard let orderer else { return nil }
            return try self.explicitTarget(identity, orderer, "--orderer")
        }
        guard let description = try? NetworkDescription(folder: self.network) else { return nil }
        let orderers = description.nodes.filter { $0.role == .orderer }
        guard var node = orderers.first(where: { $0.endpoint == orderer }) ?? orderers.first else {
            return nil
        }
        node.endpoint = orderer ?? node.endpoint
        let identity =
            try self.identityName.map { try description.identity($0) } ?? description.identities.first
        guard let identity else { return nil }
        return try self.target(node, identity, description)
    }

    private func target(
        _ node: NetworkDescription.Node,
        _ identity: NetworkDescription.Identity,
        _ description: NetworkDescription
    ) throws -> Target {
        Target(
            endpoint: try Endpoint(node.endpoint),
            security: try description.security(of: node, as: identity),
            signer: try description.signer(identity),
            channel: self.channel ?? description.channel
        )
    }

    private func explicitTarget(_ identity: String, _ node: String?, _ flag: String) throws -> Target {
        guard let node, let mspID = self.mspID, let channel = self.channel else {
            throw Failure(
                "--identity needs \(flag) host:port, --msp-id and --channel beside it",
                code: .usage
            )
        }
        let security: ConnectionSecurity
        if let tlsRoot {
            security = try ConnectionSecurity(
                roots: readArgument(tlsRoot, as: "the TLS roots"),
                clientCertificate: self.tlsCertificate.map {
                    try readArgument($0, as: "the TLS certificate")
                },
                clientKey: self.tlsKey.map { try readArgument($0, as: "the TLS private key") },
                serverName: flag == "--peer" ? self.tlsName : nil
            )
        } else {
            security = .plaintext
        }
        return Target(
            endpoint: try Endpoint(node),
            security: security,
            signer: try ClientIdentity(
                mspFolder: identity,
                mspID: mspID,
                provider: self.bccsp.map { try ProviderSettings(file: $0) } ?? ProviderSettings()
            ),
            channel: channel
        )
    }

    /// How to connect to another node whose TLS certificate leads to `roots`, as the same client.
    func security(trusting roots: Data) throws -> ConnectionSecurity {
        if self.identity != nil {
            guard self.tlsRoot != nil else { return .plaintext }
            return try ConnectionSecurity(
                roots: roots,
                clientCertificate: self.tlsCertificate.map {
                    try readArgument($0, as: "the TLS certificate")
                },
                clientKey: self.tlsKey.map { try readArgument($0, as: "the TLS private key") }
            )
        }
        let description = try NetworkDescription(folder: self.network)
        let name = self.identityName ?? description.peers.first.map { "\($0.name)/user" } ?? ""
        let identity = try description.identity(name)
        return try ConnectionSecurity(
            roots: roots,
            clientCertificate: readBytes(
                description.path(identity.tlsCertificate),
                as: "the TLS certificate"
            ),
            clientKey: readBytes(description.path(identity.tlsKey), as: "the TLS private key")
        )
    }

    /// Connects as the flags say.
    func withTarget<Value: Sendable>(
        _ body: (Connection, Target) async throws -> Value
    ) async throws -> Value {
        let target = try self.resolve()
        return try await withConnection(to: target.endpoint, security: target.security) { connection in
            try await body(connection, target)
        }
    }
}

extension ClientError: FailureCoded {
    var failureCode: Failure.Code {
        switch self.code {
        case .unavailable: .unavailable
        case .invalidArgument: .usage
        default: .failed
        }
    }
}
