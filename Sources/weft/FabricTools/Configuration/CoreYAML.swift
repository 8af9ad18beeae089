import CertificateAuthority
import Channel
import Foundation
import Glibc
import Peer
import RPC

/// What Fabric's `core.yaml` says about a peer.
struct CoreYAML {
    let settings: FabricSettings
    /// The peer's name, for the log.
    let peerID: String
    let networkID: String
    let configuration: PeerConfiguration

    /// Reads the settings.
    ///
    /// - Throws: ``ConfigurationError`` when a key that Weft needs is missing or can't be used.
    /// - Source: Fabric v3.1, package `core/peer`, configuration.
    init(_ settings: FabricSettings) throws(ConfigurationError) {
        self.settings = settings
        self.peerID = try settings.text("peer.id") ?? ""
        self.networkID = try settings.text("peer.networkId") ?? ""
        let listen = try settings.value("peer.listenAddress", expected: "host:port", configuredAddress)
        guard let listen else { throw settings.error("peer.listenAddress", "missing; expected host:port") }
        var configuration = PeerConfiguration(
            listen: listen,
            advertise: try Self.advertised(settings) ?? listen,
            data: try Self.data(settings),
            identity: try Self.identity(settings),
            tls: try Self.tls(settings),
            channels: [],
            orderers: [:],
            limits: try Self.limits(settings)
        )
        configuration.transport = try FabricTransportKeys.core.options(settings)
        configuration.operations = try FabricOperationsKeys.core.files(settings)
        configuration.delivery = try Self.delivery(settings)
        configuration.discovery = DiscoverySettings(
            isOffered: try settings.flag("peer.discovery.enabled") ?? true,
            membersMayAskLocally: try settings.flag("peer.discovery.orgMembersAllowedAccess") ?? false
        )
        configuration.gossip = try GossipSettings(settings, address: try Self.address(settings) ?? listen)
        // Fabric takes its default for less than a second.
        if let timeout = try settings.duration("chaincode.executetimeout"), timeout >= .seconds(1) {
            configuration.contracts.executeTimeout = timeout
        }
        configuration.launching = try LaunchOptions(settings)
        for override in try settings.sections("peer.deliveryclient.addressOverrides") {
            guard let from = override["from"], let to = override["to"] else {
                throw settings.error(
                    "peer.deliveryclient.addressOverrides",
                    "each entry needs `from` and `to`, an address each"
                )
            }
            configuration.orderers[from] = to
            if let file = override["cacertsfile"], !file.isEmpty {
                configuration.ordererRoots[from] = configuredPath(file, from: settings.file)
            }
        }
        self.configuration = configuration
    }

    // MARK: - Who and where

    /// Whom the process signs as; the node itself, and the client commands of `peer`.
    static func identity(_ settings: FabricSettings) throws(ConfigurationError) -> IdentityFiles {
        guard let mspID = try settings.text("peer.localMspId") else {
            throw settings.error("peer.localMspId", "the local MSP must have an ID")
        }
        guard let folder = try settings.path("peer.mspConfigPath") else {
            throw settings.error("peer.mspConfigPath", "missing; expected the folder of the local MSP")
        }
        return IdentityFiles(
            mspID: mspID,
            folder: folder,
            provider: try ProviderSettings(settings, below: "peer.BCCSP")
        )
    }

    /// How others reach the peer.
    private static func advertised(_ settings: FabricSettings) throws(ConfigurationError) -> String? {
        let external = try settings.value(
            "peer.gossip.externalEndpoint",
            expected: "host:port",
            configuredAddress
        )
        if let external { return external }
        return try Self.address(settings)
    }

    /// The peer's own address: with `0.0.0.0`, or where it is to be found out, this machine's.
    private static func address(_ settings: FabricSettings) throws(ConfigurationError) -> String? {
        guard
            let address = try settings.value("peer.address", expected: "host:port", configuredAddress),
            let colon = address.lastIndex(of: ":")
        else { return nil }
        let host = address[..<colon]
        let isToBeFound = try settings.flag("peer.addressAutoDetect") ?? false
        guard isToBeFound || host == "0.0.0.0" || host == "[::]" else { return address }
        return (ownAddress() ?? String(host)) + address[colon...]
    }

    /// Weft's own folder below that of the peer, so that a ledger of Fabric's peer stays as it is.
    static func data(_ settings: FabricSettings) throws(ConfigurationError) -> String {
        guard let folder = try settings.path("peer.fileSystemPath") else {
            throw settings.error("peer.fileSystemPath", "missing; expected the folder for the peer's data")
        }
        return folder + "/weft"
    }

    // MARK: - Connections

    private static func tls(_ settings: FabricSettings) throws(ConfigurationError) -> TLSFiles? {
        guard var files = try FabricTLSKeys.core("peer.tls").files(settings) else { return nil }
        if let certificate = try settings.path("peer.tls.clientCert.file"),
            let key = try settings.path("peer.tls.clientKey.file")
        {
            files.towardsNodes = CertificateFiles(certificate: certificate, key: key)
        }
        return files
    }

    /// How blocks of BFT channels are taken.
    private static func delivery(
        _ settings: FabricSettings
    ) throws(ConfigurationError) -> ClusterDeliveryOptions {
        var delivery = ClusterDeliveryOptions()
        let policy = try settings.value(
            "peer.deliveryclient.policy",
            expected: "simple or cluster",
            ClusterDeliveryOptions.Policy.init(rawValue:)
        )
        delivery.policy = policy ?? delivery.policy
        // Fabric takes its defaults for zero and less.
        let censorship = try settings.duration("peer.deliveryclient.blockCensorshipTimeoutKey") ?? .zero
        let pause = try settings.duration("peer.deliveryclient.minimalReconnectInterval") ?? .zero
        delivery.timeouts = BFTDeliveryTimeouts(
            censorship: censorship > .zero ? censorship : delivery.timeouts.censorship,
            firstPause: pause > .zero ? pause : delivery.timeouts.firstPause
        )
        return delivery
    }

    private static func limits(_ settings: FabricSettings) throws(ConfigurationError) -> ConcurrencyLimits {
        // Without a value Fabric knows no limit.
        ConcurrencyLimits(
            endorser: max(0, try settings.integer("peer.limits.concurrency.endorserService") ?? 0),
            gateway: max(0, try settings.integer("peer.limits.concurrency.gatewayService") ?? 0)
        )
    }
}

/// The first address of this machine that others can reach: of IPv4, and not of the loopback interface.
private func ownAddress() -> String? {
    var first: UnsafeMutablePointer<ifaddrs>?
    guard getifaddrs(&first) == 0 else { return nil }
    defer { freeifaddrs(first) }
    for entry in sequence(first: first, next: { $0?.pointee.ifa_next }) {
        guard let interface = entry?.pointee, let address = interface.ifa_addr else { continue }
        guard address.pointee.sa_family == sa_family_t(AF_INET),
            interface.ifa_flags & UInt32(IFF_LOOPBACK) == 0
        else { continue }
        var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
        let size = socklen_t(MemoryLayout<sockaddr_in>.size)
        guard getnameinfo(address, size, &host, socklen_t(host.count), nil, 0, NI_NUMERICHOST) == 0 else {
            continue
        }
        return String(decoding: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
    return nil
}
