import CertificateAuthority
import Foundation
import Orderer
import RPC

/// What Fabric's `orderer.yaml` says about an ordering node.
struct OrdererYAML {
    let settings: FabricSettings
    let configuration: OrdererConfiguration

    /// Reads the settings.
    ///
    /// - Throws: ``ConfigurationError`` when a key that Weft needs is missing or can't be used.
    /// - Source: Fabric v3.1, package `orderer/common/localconfig`, with its defaults.
    init(_ settings: FabricSettings) throws(ConfigurationError) {
        self.settings = settings
        let host = try settings.text("General.ListenAddress") ?? "127.0.0.1"
        let port = try settings.value("General.ListenPort", expected: "a port, 0 to 65535") { UInt16($0) }
        let oldBootstrap = try settings.text("General.GenesisMethod")
        let bootstrap = try settings.text("General.BootstrapMethod") ?? oldBootstrap
        if let bootstrap, bootstrap != "none" {
            throw settings.error(
                "General.BootstrapMethod",
                "\"\(bootstrap)\" is not possible: Fabric v3 and Weft have no system channel; set it to none and "
                    + "join channels with osnadmin channel join"
            )
        }
        var configuration = OrdererConfiguration(
            listen: "\(host):\(port ?? 7050)",
            data: (try settings.path("FileLedger.Location") ?? "/var/hyperledger/production/orderer")
                + "/weft",
            identity: try Self.identity(settings),
            // At least the own organization's administrators and orderers get in.
            tls: try FabricTLSKeys.orderer("General.TLS").files(settings, ownRoots: "General.TLS.RootCAs"),
            channels: []
        )
        configuration.checksExpiration =
            !(try settings.flag("General.Authentication.NoExpirationChecks") ?? false)
        configuration.timeWindow = try settings.duration("General.Authentication.TimeWindow").flatMap {
            $0 == .zero ? nil : $0
        }
        configuration.transport = try FabricTransportKeys.orderer.options(settings)
        configuration.cluster = try Self.cluster(settings)
        // Zero or nothing: the channels' own.
        configuration.tickInterval = try settings.duration("Consensus.TickIntervalOverride").flatMap {
            $0 > .zero ? $0 : nil
        }
        configuration.admin = try Self.administration(settings)
        configuration.operations = try FabricOperationsKeys.orderer.files(settings)
        self.configuration = configuration
    }

    private static func identity(_ settings: FabricSettings) throws(ConfigurationError) -> IdentityFiles {
        IdentityFiles(
            mspID: try settings.text("General.LocalMSPID") ?? "SampleOrg",
            folder: try settings.path("General.LocalMSPDir") ?? configuredPath("msp", from: settings.file),
            provider: try ProviderSettings(settings, below: "General.BCCSP")
        )
    }

    private static func cluster(_ settings: FabricSettings) throws(ConfigurationError) -> ClusterFiles {
        var cluster = ClusterFiles()
        cluster.certificate = try settings.path("General.Cluster.ClientCertificate")
        cluster.key = try settings.path("General.Cluster.ClientPrivateKey")
        cluster.roots = try settings.paths("General.Cluster.RootCAs")
        cluster.sendBufferSize = try settings.integer("General.Cluster.SendBufferSize")
        cluster.dialTimeout = try settings.duration("General.Cluster.DialTimeout").flatMap {
            $0 > .zero ? $0 : nil
        }
        cluster.listener = try Self.clusterListener(settings)
        return cluster
    }

    /// A listener for other orderers alone, for which Fabric wants all four keys or none.
    private static func clusterListener(
        _ settings: FabricSettings
    ) throws(ConfigurationError) -> ClusterFiles.Listener? {
        let keys = ["ListenAddress", "ListenPort", "ServerCertificate", "ServerPrivateKey"]
            .map { "General.Cluster.\($0)" }
        let host = try settings.text(keys[0])
        let port = try settings.value(keys[1], expected: "a port, 0 to 65535") { UInt16($0) }.flatMap {
            $0 == 0 ? nil : $0
        }
        let certificate = try settings.path(keys[2])
        let key = try settings.path(keys[3])
        if let host, let port, let certificate, let key {
            return ClusterFiles.Listener(listen: "\(host):\(port)", certificate: certificate, key: key)
        }
        let isThere = [host != nil, port != nil, certificate != nil, key != nil]
        guard let missing = zip(keys, isThere).first(where: { !$0.1 })?.0, isThere.contains(true) else {
            return nil
        }
        throw settings.error(
            missing,
            "missing; a listener for other orderers needs \(keys.joined(separator: ", "))"
        )
    }

    /// The admin listener, which Fabric's orderer always has.
    private static func administration(
        _ settings: FabricSettings
    ) throws(ConfigurationError) -> AdministrationFiles {
        let body = "a number of bytes, such as 1 MB"
        let limit = try settings.value("ChannelParticipation.MaxRequestBodySize", expected: body) {
            ByteCount(configured: $0)
        }
        return AdministrationFiles(
            listen: try settings.text("Admin.ListenAddress") ?? AdministrationEndpoint.defaultAddress,
            tls: try Self.administrationTLS(settings),
            isEnabled: try settings.flag("ChannelParticipation.Enabled") ?? true,
            maximumBodyBytes: limit.map { Int($0.bytes) } ?? ParticipationAPI.defaultMaximumBodyBytes
        )
    }

    private static func administrationTLS(_ settings: FabricSettings) throws(ConfigurationError) -> TLSFiles?
    {
        let keys = FabricTLSKeys.orderer("Admin.TLS")
        guard try settings.flag(keys.isClientRequired) ?? true else {
            throw settings.error(
                keys.isClientRequired,
                "must be true: whoever is let in here administers the node"
            )
        }
        return try keys.files(settings, isRequired: true)
    }
}
