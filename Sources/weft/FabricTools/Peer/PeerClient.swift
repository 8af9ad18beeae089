import CertificateAuthority
import Channel
import Foundation
import GRPCCore
import RPC
import WeftClient

/// What the client commands of Fabric's `peer` have in common: `core.yaml`, who signs, and how nodes are reached.
struct PeerClient: Sendable {
    /// A node to talk to.
    struct Target: Sendable {
        var address: String
        var endpoint: Endpoint
        var security: ConnectionSecurity
        var options: TransportOptions
    }

    let settings: FabricSettings
    let flags: ToolFlags
    let identity: ClientIdentity
    let log: ToolLog

    /// The flags that say how the orderer is reached.
    static let ordererFlags = [
        ToolFlag("orderer", "o", "the orderer to send to, as host:port"),
        ToolFlag("tls", nil, .flag, "talk to the orderer over TLS"),
        ToolFlag("clientauth", nil, .flag, "show the orderer a client certificate"),
        ToolFlag(
            "cafile",
            nil,
            "file with the certificates (PEM) that the orderer's TLS certificate must lead to"
        ),
        ToolFlag("keyfile", nil, "file with the key (PEM) of the client certificate for the orderer"),
        ToolFlag("certfile", nil, "file with the client certificate (PEM) for the orderer"),
        ToolFlag("ordererTLSHostnameOverride", nil, "the name to expect in the orderer's TLS certificate"),
        ToolFlag("connTimeout", nil, .duration, standard: "3s", "how long connecting may take"),
        ToolFlag(
            "tlsHandshakeTimeShift",
            nil,
            .duration,
            "accepted for Fabric's sake; certificates are checked against the present time"
        ),
    ]

    /// Reads `core.yaml` and the identity.
    ///
    /// - Throws: ``ToolFailure`` after the reason has been logged, as Fabric's tool does it.
    init(_ call: ToolCommand.Call) throws {
        let environment = ProcessInfo.processInfo.environment
        self.flags = call.flags
        self.log = try ToolLog(environment: environment)
        do {
            self.settings = try FabricSettings(.core, environment: environment)
        } catch {
            self.log.error(.main, "InitCmd", "Fatal error when initializing core config : \(error)")
            throw ToolFailure("", advice: .said)
        }
        do {
            let files = try CoreYAML.identity(self.settings)
            var isFolder: ObjCBool = false
            guard FileManager.default.fileExists(atPath: files.folder, isDirectory: &isFolder),
                isFolder.boolValue
            else {
                throw Failure(
                    "cannot init crypto, specified path \"\(files.folder)\" does not exist or cannot be accessed, or is not a directory"
                )
            }
            self.identity = ClientIdentity(
                try LocalMember(
                    MSPFolder(files.folder),
                    mspID: MSPID(files.mspID),
                    keys: files.provider.open(),
                    now: Date()
                ).signer
            )
        } catch {
            self.log.error(.main, "InitCmd", "Cannot run peer because \(error)")
            throw ToolFailure("", advice: .said)
        }
        if self.flags.isGiven("tlsHandshakeTimeShift"), self.flags.duration("tlsHandshakeTimeShift") != .zero
        {
            self.log.warning(
                .common,
                "SetOrdererEnv",
                "--tlsHandshakeTimeShift has no effect: Weft checks certificates against the present time"
            )
        }
    }

    // MARK: - Nodes

    /// The peer of `core.yaml`, or the one at `address`, whose TLS certificate leads to those in `rootFile`.
    func peer(_ address: String = "", rootFile: String = "") throws -> Target {
        let isConfigured = address.isEmpty
        let address = try isConfigured ? self.settings.text("peer.address") ?? "" : address
        guard !address.isEmpty else { throw Failure("peer address must be set") }
        var security = ConnectionSecurity.plaintext
        if try self.settings.flag("peer.tls.enabled") ?? false {
            let roots: Data
            if isConfigured {
                roots = try Self.read(
                    self.settings.path("peer.tls.rootcert.file") ?? "",
                    "unable to load peer.tls.rootcert.file"
                )
            } else {
                guard !rootFile.isEmpty else { throw Failure("tls root cert file must be set") }
                roots = try Self.read(rootFile, "unable to load TLS root cert file from \(rootFile)")
            }
            let pair = try self.clientPair()
            security = try ConnectionSecurity(
                roots: roots,
                clientCertificate: pair?.certificate,
                clientKey: pair?.key,
                serverName: try self.settings.text("peer.tls.serverhostoverride")
            )
        }
        return Target(
            address: address,
            endpoint: try Endpoint(address),
            security: security,
            options: try self.options(timeout: self.settings.duration("peer.client.connTimeout"), for: "peer")
        )
    }

    /// The client certificate for peers, where they ask for one.
    private func clientPair() throws -> (certificate: Data, key: Data)? {
        guard try self.settings.flag("peer.tls.clientAuthRequired") ?? false else { return nil }
        return (
            try Self.read(
                self.settings.path("peer.tls.clientCert.file") ?? "",
                "unable to load peer.tls.clientCert.file"
            ),
            try Self.read(
                self.settings.path("peer.tls.clientKey.file") ?? "",
                "unable to load peer.tls.clientKey.file"
            )
        )
    }

    /// An orderer, reached as the flags say.
    func orderer(_ address: String) throws -> Target {
        var security = ConnectionSecurity.plaintext
        if self.flags.flag("tls") {
            let isMutual = self.flags.flag("clientauth")
            let name = self.flags.text("ordererTLSHostnameOverride")
            security = try ConnectionSecurity(
                roots: Self.read(self.flags.text("cafile"), "unable to load orderer.tls.rootcert.file"),
                clientCertificate: isMutual
                    ? Self.read(self.flags.text("certfile"), "unable to load orderer.tls.clientCert.file")
                    : nil,
                clientKey: isMutual
                    ? Self.read(self.flags.text("keyfile"), "unable to load orderer.tls.clientKey.file")
                    : nil,
                serverName: name.isEmpty ? nil : name
            )
        }
        return Target(
            address: address,
            endpoint: try Endpoint(address),
            security: security,
            options: try self.options(timeout: self.flags.duration("connTimeout"), for: "orderer")
        )
    }

    private func options(timeout: Duration?, for prefix: String) throws -> TransportOptions {
        var options = TransportOptions()
        options.connectTimeout = timeout.flatMap { $0 == .zero ? nil : $0 } ?? .seconds(3)
        options.maxReceiveMessageBytes =
            try self.settings.integer("\(prefix).maxRecvMsgSize") ?? options.maxReceiveMessageBytes
        options.maxSendMessageBytes =
            try self.settings.integer("\(prefix).maxSendMsgSize") ?? options.maxSendMessageBytes
        return options
    }

    private static func read(_ path: String, _ problem: String) throws -> Data {
        do throws(Failure) {
            return try GoText.file(path)
        } catch {
            throw Failure("\(problem): \(error)")
        }
    }

    // MARK: - Calls

    /// Calls `body` with a connection to each node.
    func connecting<Value: Sendable>(
        to targets: [Target],
        _ body: ([Connection]) async throws -> Value
    ) async throws -> Value {
        try await self.connecting(to: targets[...], having: [], body)
    }

    private func connecting<Value: Sendable>(
        to targets: ArraySlice<Target>,
        having connections: [Connection],
        _ body: ([Connection]) async throws -> Value
    ) async throws -> Value {
        guard let target = targets.first else { return try await body(connections) }
        return try await withConnection(
            to: target.endpoint,
            security: target.security,
            options: target.options
        ) { connection in
            try await self.connecting(to: targets.dropFirst(), having: connections + [connection], body)
        }
    }
}

/// Runs a call, and says in Fabric's words when the node can't be reached.
///
/// - Parameters:
///   - role: `endorser`, `deliver` or `orderer`.
///   - address: The node's address.
///   - context: What the words begin with then, such as `error getting endorser client for channel`.
///   - body: The call.
/// - Returns: What `body` returns.
/// - Throws: ``ToolFailure`` when the node can't be reached, and what else `body` throws.
func reaching<Value>(
    _ role: String,
    _ address: String,
    _ context: String,
    _ body: () async throws -> Value
) async throws -> Value {
    do {
        return try await body()
    } catch let error as RPCError where error.code == .unavailable {
        throw ToolFailure(
            "\(context): \(role) client failed to connect to \(address): failed to create new connection: \(error.message)"
        )
    }
}
