import Foundation
import RPC

/// How one orderer process runs.
///
/// ```yaml
/// listen: 127.0.0.1:7050
/// data: data
/// identity: { mspID: OrdererMSP, folder: msp }
/// tls: { certificate: tls/server.crt, key: tls/server.key, roots: [tls/ca.crt], clients: required }
/// channels: [emissions.block]
/// ```
///
/// Paths are meant from the file's own folder. Read once at start; a plain value from then on.
struct OrdererConfiguration: Equatable {
    /// Where to listen, as `host:port`.
    var listen: String
    /// The folder that holds the ledgers; made when missing.
    var data: String
    var identity: IdentityFiles
    /// Plaintext when left out.
    var tls: TLSFiles?
    /// Files with the genesis blocks of the channels to serve.
    var channels: [String]
    /// Whether clients whose certificates have expired are refused.
    var checksExpiration = true
    /// How far a request's timestamp may be from this node's clock; the usual 15 minutes when nil.
    var timeWindow: Duration?
    /// Limits and timings of connections.
    var transport = TransportOptions()

    init(listen: String, data: String, identity: IdentityFiles, tls: TLSFiles?, channels: [String]) {
        self.listen = listen
        self.data = data
        self.identity = identity
        self.tls = tls
        self.channels = channels
    }

    init(file: String) throws {
        try self.init(ConfigurationSection(file: file))
    }

    init(_ root: ConfigurationSection) throws(ConfigurationError) {
        try root.allow(keys: ["listen", "data", "identity", "tls", "channels"])
        self.listen = try root.value("listen", expected: "host:port", configuredAddress)
        self.data = try root.value("data", expected: "a folder") {
            $0.isEmpty ? nil : configuredPath($0, from: root.file)
        }
        self.identity = try IdentityFiles(root.section("identity"))
        self.tls = try root.optionalSection("tls").map { section throws(ConfigurationError) in
            try TLSFiles(section)
        }
        self.channels = try root.texts("channels").map { configuredPath($0, from: root.file) }
    }
}
