import Orderer
import RPC

/// How an orderer reaches others, and where they come in, as Fabric's `General.Cluster` has it.
///
/// ```yaml
/// cluster:
///   listener: { listen: 127.0.0.1:7052, certificate: cluster/server.crt, key: cluster/server.key }
///   certificate: cluster/client.crt
///   key: cluster/client.key
///   roots: [other-ca.crt]
///   sendBufferSize: 100
///   dialTimeout: 3s
/// ```
struct ClusterFiles: Equatable {
    /// A listener that other orderers have to themselves.
    struct Listener: Equatable {
        /// Where to listen, as `host:port`.
        var listen: String
        var certificate: String
        var key: String
    }

    /// Other orderers come in where clients do when left out.
    var listener: Listener?
    /// What it shows them; its TLS certificate when left out.
    var certificate: String?
    var key: String?
    /// Authorities of other orderers besides those of their channels.
    var roots: [String] = []
    /// Messages that may wait for one other consenter of one channel.
    var sendBufferSize: Int?
    /// How long one attempt to connect may take.
    var dialTimeout: Duration?

    init() {}

    init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["listener", "certificate", "key", "roots", "sendBufferSize", "dialTimeout"])
        self.listener = try section.optionalSection("listener").map { section throws(ConfigurationError) in
            try section.allow(keys: ["listen", "certificate", "key"])
            return Listener(
                listen: try section.value("listen", expected: "host:port", configuredAddress),
                certificate: try section.value("certificate", expected: "a PEM file") {
                    $0.isEmpty ? nil : configuredPath($0, from: section.file)
                },
                key: try section.value("key", expected: "a PEM file") {
                    $0.isEmpty ? nil : configuredPath($0, from: section.file)
                }
            )
        }
        self.certificate = try section.optionalValue("certificate", expected: "a PEM file") {
            $0.isEmpty ? nil : configuredPath($0, from: section.file)
        }
        self.key = try section.optionalValue("key", expected: "a PEM file") {
            $0.isEmpty ? nil : configuredPath($0, from: section.file)
        }
        guard (self.certificate == nil) == (self.key == nil) else {
            throw section.error(self.key == nil ? "key" : "certificate", "missing; give both or none")
        }
        self.roots = try section.texts("roots").map { configuredPath($0, from: section.file) }
        self.sendBufferSize = try section.optionalValue(
            "sendBufferSize",
            expected: "a whole number, 1 or more"
        ) { Int($0).flatMap { $0 >= 1 ? $0 : nil } }
        self.dialTimeout = try section.optionalValue(
            "dialTimeout",
            expected: "a number with a unit, above zero, such as 3s"
        ) { Duration(configured: $0).flatMap { $0 > .zero ? $0 : nil } }
    }

    /// The listener's certificate, as files to renew.
    var listenerTLS: TLSFiles? {
        self.listener.map {
            TLSFiles(certificate: $0.certificate, key: $0.key, roots: [], clients: .none)
        }
    }

    /// What the node shows other orderers, where that is not its TLS certificate, as files to renew.
    var tls: TLSFiles? {
        guard let certificate, let key else { return nil }
        return TLSFiles(certificate: certificate, key: key, roots: [], clients: .none)
    }

    /// Reads the files into a node's settings.
    func apply(to settings: inout ClusterSettings) throws {
        if let listener {
            settings.listener = ClusterListener(
                address: listener.listen,
                identity: try Self.identity(listener.certificate, listener.key)
            )
        }
        if let certificate, let key {
            settings.identity = RenewableTLSIdentity(try Self.identity(certificate, key))
            settings.followsServerIdentity = false
        }
        settings.rootsPEM = try self.roots.map { try readText($0, as: "the roots of other orderers") }
            .joined(separator: "\n")
        settings.sendBufferSize = self.sendBufferSize ?? settings.sendBufferSize
        settings.transport.connectTimeout = self.dialTimeout ?? settings.transport.connectTimeout
    }

    private static func identity(_ certificate: String, _ key: String) throws -> TLSIdentity {
        TLSIdentity(
            certificateChainPEM: try readText(certificate, as: "the certificate for other orderers"),
            privateKeyPEM: try readText(key, as: "the key of the certificate for other orderers")
        )
    }
}
