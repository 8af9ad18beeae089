import Foundation
import Orderer
import RPC

/// How one orderer process runs.
///
/// ```yaml
/// listen: 127.0.0.1:7050
/// data: data
/// identity: { mspID: OrdererMSP, folder: msp }
/// tls: { certificate: tls/server.crt, key: tls/server.key, roots: [tls/ca.crt], clients: required }
/// channels: [emissions.block]
/// admin:                       # channel participation; nothing is served when left out
///   listen: 127.0.0.1:9443
///   tls: { certificate: tls/server.crt, key: tls/server.key, roots: [tls/ca.crt], clients: required }
///   enabled: true
///   maxRequestBodySize: 1 MB
/// cluster: { roots: [other-ca.crt] }      # see ClusterFiles
/// consensus: { tickInterval: 500ms }      # where Raft's tick on this node isn't the channels'
/// operations: { listen: 127.0.0.1:9443 }  # metrics, health, logging; see OperationsFiles
/// logging: { spec: info }                 # see LoggingSettings
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
    /// Where channels are joined and removed while the node runs; nowhere when left out.
    var admin: AdministrationFiles?
    /// How other orderers are reached and come in, where that isn't as clients do.
    var cluster: ClusterFiles?
    /// A tick of Raft on this node, where that isn't the channels'.
    var tickInterval: Duration?
    /// Where metrics and health are shown; nowhere when left out.
    var operations: OperationsFiles?
    var logging = LoggingSettings()

    init(
        listen: String,
        data: String,
        identity: IdentityFiles,
        tls: TLSFiles?,
        channels: [String],
        admin: AdministrationFiles? = nil
    ) {
        self.listen = listen
        self.data = data
        self.identity = identity
        self.tls = tls
        self.channels = channels
        self.admin = admin
    }

    init(file: String) throws {
        try self.init(ConfigurationSection(file: file))
    }

    init(_ root: ConfigurationSection) throws(ConfigurationError) {
        try root.allow(keys: [
            "listen", "data", "identity", "tls", "channels", "admin", "cluster", "consensus", "operations",
            "logging",
        ])
        self.listen = try root.value("listen", expected: "host:port", configuredAddress)
        self.data = try root.value("data", expected: "a folder") {
            $0.isEmpty ? nil : configuredPath($0, from: root.file)
        }
        self.identity = try IdentityFiles(root.section("identity"))
        self.tls = try root.optionalSection("tls").map { section throws(ConfigurationError) in
            try TLSFiles(section)
        }
        self.operations = try root.optionalSection("operations").map { section throws(ConfigurationError) in
            try OperationsFiles(section)
        }
        if let section = try root.optionalSection("logging") { self.logging = try LoggingSettings(section) }
        self.channels = try root.texts("channels").map { configuredPath($0, from: root.file) }
        self.admin = try root.optionalSection("admin").map { section throws(ConfigurationError) in
            try AdministrationFiles(section)
        }
        self.cluster = try root.optionalSection("cluster").map { section throws(ConfigurationError) in
            try ClusterFiles(section)
        }
        if let section = try root.optionalSection("consensus") {
            try section.allow(keys: ["tickInterval"])
            self.tickInterval = try section.optionalValue(
                "tickInterval",
                expected: "a number with a unit, above zero, such as 500ms"
            ) { Duration(configured: $0).flatMap { $0 > .zero ? $0 : nil } }
        }
    }
}

/// Where an orderer is administered, as a section of its configuration.
struct AdministrationFiles: Equatable {
    /// Where to listen, as `host:port`.
    var listen: String
    /// Plaintext when left out.
    var tls: TLSFiles?
    var isEnabled: Bool
    /// The longest body of a request, in bytes.
    var maximumBodyBytes: Int

    init(
        listen: String = AdministrationEndpoint.defaultAddress,
        tls: TLSFiles?,
        isEnabled: Bool = true,
        maximumBodyBytes: Int = ParticipationAPI.defaultMaximumBodyBytes
    ) {
        self.listen = listen
        self.tls = tls
        self.isEnabled = isEnabled
        self.maximumBodyBytes = maximumBodyBytes
    }

    init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["listen", "tls", "enabled", "maxRequestBodySize"])
        self.init(
            listen: try section.optionalValue("listen", expected: "host:port", configuredAddress)
                ?? AdministrationEndpoint.defaultAddress,
            tls: try section.optionalSection("tls").map { section throws(ConfigurationError) in
                try TLSFiles(section)
            },
            isEnabled: try section.optionalValue("enabled", expected: "true or false", configuredFlag)
                ?? true,
            maximumBodyBytes: try section.optionalValue(
                "maxRequestBodySize",
                expected: "a number of bytes, such as 1 MB"
            ) { ByteCount(configured: $0).map { Int($0.bytes) } } ?? ParticipationAPI.defaultMaximumBodyBytes
        )
        guard self.tls == nil || self.tls?.clients == .required else {
            throw section.error(
                "tls",
                "clients must be required: whoever is let in here administers the node"
            )
        }
    }

    /// The endpoint with its files read.
    func endpoint() throws -> AdministrationEndpoint {
        AdministrationEndpoint(
            listenAddress: self.listen,
            tls: try self.tls.map { try $0.server() },
            isEnabled: self.isEnabled,
            maximumBodyBytes: self.maximumBodyBytes
        )
    }
}
