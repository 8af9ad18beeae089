import Channel
import Foundation
import Peer
import RPC

/// How one peer process runs.
///
/// ```yaml
/// listen: 127.0.0.1:7051
/// advertise: peer.utility.example:7051    # how others reach it; the listen address when left out
/// data: data
/// identity: { mspID: UtilityMSP, folder: msp }
/// tls: { certificate: tls/server.crt, key: tls/server.key, roots: [tls/ca.crt], clients: required }
/// channels: [emissions.block]
/// operations: { listen: 127.0.0.1:9443 }  # metrics, health, logging; see OperationsFiles
/// logging: { spec: info }                 # see LoggingSettings
/// orderers:                               # addresses to use in place of those of the channel configuration
///   orderer.example:7050: 127.0.0.1:7050
/// delivery:                               # from the orderers of BFT channels; see ClusterDeliveryOptions
///   policy: cluster                       # or simple: one orderer at a time, and nobody notices what it withholds
///   blockCensorshipTimeout: 30s           # how long an orderer may owe a block that another one has shown
///   minimalReconnectInterval: 100ms
/// gossip:                                 # with other peers; the keys are Fabric's, see GossipKey
///   bootstrap: [peer1.utility.example:7051]  # peers of the own organization; anchor peers are known anyhow
///   externalEndpoint: peer.utility.example:7051  # as above when left out; "" to stay unseen by other organizations
///   state: { enabled: true }
/// limits: { endorser: 2500, gateway: 500 } # calls at once; 0 for no limit
/// contracts: { executeTimeout: 30s }      # of contracts in processes of their own; see `readContracts`
/// ```
///
/// Paths are meant from the file's own folder. Read once at start; a plain value from then on.
struct PeerConfiguration: Equatable {
    /// Where to listen, as `host:port`.
    var listen: String
    /// How other nodes reach this peer.
    var advertise: String
    /// The folder that holds the ledgers; made when missing.
    var data: String
    var identity: IdentityFiles
    /// Plaintext when left out.
    var tls: TLSFiles?
    /// Files with the genesis blocks of the channels to join.
    var channels: [String]
    /// Addresses of orderers to use in place of those that the channel configuration names.
    var orderers: [String: String]
    /// How many calls each service takes at once.
    var limits: ConcurrencyLimits
    /// Files with the TLS roots of orderers whose address is replaced, by the address in the channel's configuration.
    var ordererRoots: [String: String] = [:]
    /// How blocks of BFT channels are taken.
    var delivery = ClusterDeliveryOptions()
    /// How the peer finds others, and who may see it.
    var gossip: GossipSettings
    /// Whom the peer tells of other peers.
    var discovery = DiscoverySettings()
    /// Bounds and timeouts of contracts in processes of their own.
    var contracts = ChaincodeStreamRules.Options()
    /// How contracts are built and started.
    var launching = LaunchOptions()
    /// Limits and timings of connections.
    var transport = TransportOptions()
    /// Where metrics and health are shown; nowhere when left out.
    var operations: OperationsFiles?
    var logging = LoggingSettings()

    init(
        listen: String,
        advertise: String,
        data: String,
        identity: IdentityFiles,
        tls: TLSFiles?,
        channels: [String],
        orderers: [String: String],
        limits: ConcurrencyLimits = ConcurrencyLimits()
    ) {
        self.listen = listen
        self.advertise = advertise
        self.data = data
        self.identity = identity
        self.tls = tls
        self.channels = channels
        self.orderers = orderers
        self.limits = limits
        self.gossip = GossipSettings()
        self.gossip.endpoint = advertise
        self.gossip.externalEndpoint = advertise
    }

    init(file: String) throws {
        try self.init(ConfigurationSection(file: file))
    }

    init(_ root: ConfigurationSection) throws(ConfigurationError) {
        try root.allow(keys: [
            "listen", "advertise", "data", "identity", "tls", "channels", "orderers", "delivery",
            "limits", "contracts", "operations", "logging", "gossip",
        ])
        self.listen = try root.value("listen", expected: "host:port", configuredAddress)
        self.advertise =
            try root.optionalValue("advertise", expected: "host:port", configuredAddress) ?? self.listen
        self.gossip = try GossipSettings(root.optionalSection("gossip"), address: self.advertise)
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
        self.limits = ConcurrencyLimits()
        if let section = try root.optionalSection("limits") {
            try section.allow(keys: ["endorser", "gateway"])
            let expected = "how many calls at once, 0 for no limit"
            let count: (String) -> Int? = { Int($0).flatMap { $0 >= 0 ? $0 : nil } }
            self.limits.endorser =
                try section.optionalValue("endorser", expected: expected, count) ?? self.limits.endorser
            self.limits.gateway =
                try section.optionalValue("gateway", expected: expected, count) ?? self.limits.gateway
        }
        self.orderers = [:]
        if let section = try root.optionalSection("contracts") {
            try self.readContracts(section)
        }
        if let section = try root.optionalSection("delivery") {
            self.delivery = try ClusterDeliveryOptions(section)
        }
        if let section = try root.optionalSection("orderers") {
            for address in section.keys {
                self.orderers[address] = try section.value(address, expected: "host:port", configuredAddress)
            }
        }
    }
}

extension ClusterDeliveryOptions {
    fileprivate init(_ section: ConfigurationSection) throws(ConfigurationError) {
        try section.allow(keys: ["policy", "blockCensorshipTimeout", "minimalReconnectInterval"])
        self.init()
        self.policy =
            try section.optionalValue("policy", expected: "simple or cluster", Policy.init(rawValue:))
            ?? self.policy
        let duration: (String) -> Duration? = { GoDuration.parse($0).flatMap { $0 > .zero ? $0 : nil } }
        let expected = "a duration above zero, such as 30s"
        self.timeouts = BFTDeliveryTimeouts(
            censorship: try section.optionalValue("blockCensorshipTimeout", expected: expected, duration)
                ?? self.timeouts.censorship,
            firstPause: try section.optionalValue("minimalReconnectInterval", expected: expected, duration)
                ?? self.timeouts.firstPause
        )
    }
}
