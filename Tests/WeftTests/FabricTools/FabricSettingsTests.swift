import Foundation
import Operations
import Peer
import RPC
import Testing

import struct Channel.BFTDeliveryTimeouts

@testable import weft

/// A `core.yaml` or `orderer.yaml` in a folder of its own, which goes when this does.
final class SettingsFile {
    let folder: String
    private let kind: FabricSettings.Kind

    init(_ yaml: String, _ kind: FabricSettings.Kind = .core) throws {
        self.kind = kind
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent(
            "weft-\(UUID().uuidString)"
        )
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        self.folder = folder.path
        try Data(yaml.utf8).write(to: folder.appendingPathComponent("\(kind.rawValue).yaml"))
    }

    deinit { try? FileManager.default.removeItem(atPath: self.folder) }

    func settings(_ environment: [String: String] = [:]) throws -> FabricSettings {
        try FabricSettings(
            self.kind,
            environment: environment.merging(["FABRIC_CFG_PATH": self.folder]) { $1 }
        )
    }
}

/// Where settings come from and how their values are read.
struct FabricSettingsTests {
    @Test func theEnvironmentWinsOverTheFile() throws {
        let file = try SettingsFile("peer: { id: one, localMspId: A }")
        let settings = try file.settings([
            "CORE_PEER_ID": "two", "CORE_PEER_NETWORKID": "dev", "ORDERER_PEER_ID": "x",
        ])
        #expect(try settings.text("peer.id") == "two")
        #expect(try settings.text("peer.localMspId") == "A")
        #expect(try settings.text("peer.networkId") == "dev", "a key that the file doesn't have")
    }

    @Test func upperAndLowerCaseAreTheSame() throws {
        let settings = try SettingsFile("PEER: { LocalMSPID: A }").settings()
        #expect(try settings.text("peer.localMspId") == "A")
    }

    @Test func anEmptyVariableEmptiesASettingOfAPeerAlone() throws {
        let core = try SettingsFile("peer: { id: one }").settings(["CORE_PEER_ID": ""])
        #expect(try core.text("peer.id") == nil)
        let orderer = try SettingsFile("General: { LocalMSPID: A }", .orderer)
            .settings(["ORDERER_GENERAL_LOCALMSPID": ""])
        #expect(try orderer.text("General.LocalMSPID") == "A")
    }

    @Test func pathsAreMeantFromTheFilesFolder() throws {
        let file = try SettingsFile("peer: { mspConfigPath: msp, fileSystemPath: /data }")
        let settings = try file.settings(["CORE_PEER_TLS_CERT_FILE": "tls/a.crt"])
        #expect(try settings.path("peer.mspConfigPath") == file.folder + "/msp")
        #expect(try settings.path("peer.fileSystemPath") == "/data")
        #expect(try settings.path("peer.tls.cert.file") == file.folder + "/tls/a.crt")
    }

    @Test func listsAreReadInEveryForm() throws {
        let core = try SettingsFile("a: { b: [one, two], c: one two, d: }").settings(["CORE_A_E": "[x, y]"])
        #expect(try core.texts("a.b") == ["one", "two"])
        #expect(try core.texts("a.c") == ["one", "two"])
        #expect(try core.texts("a.d").isEmpty)
        #expect(try core.texts("a.e") == ["x", "y"])
        let orderer = try SettingsFile("a: { b: one two }", .orderer).settings(["ORDERER_A_C": "[x]"])
        #expect(try orderer.texts("a.b") == ["one two"])
        #expect(try orderer.texts("a.c") == ["x"])
    }

    @Test func durationsAndNumbersAreReadAsInFabric() throws {
        let settings = try SettingsFile("a: { d: 1m30s, n: 5000000000, i: 0x10, t: True, wrong: soon }")
            .settings()
        #expect(try settings.duration("a.d") == .seconds(90))
        #expect(try settings.duration("a.n") == .seconds(5), "nanoseconds")
        #expect(try settings.integer("a.i") == 16)
        #expect(try settings.flag("a.t") == true)
        let error = #expect(throws: ConfigurationError.self) { try settings.duration("a.wrong") }
        #expect(error?.description.contains("core.yaml:1: a.wrong: \"soon\" is not valid") == true)
    }

    @Test func anErrorNamesTheVariableThatIsWrong() throws {
        let settings = try SettingsFile("a: { b: 1 }").settings(["CORE_A_B": "many"])
        let error = #expect(throws: ConfigurationError.self) { try settings.integer("a.b") }
        #expect(error?.description == "environment: CORE_A_B: \"many\" is not valid; expected a whole number")
    }

    @Test func aMissingFileIsNamed() throws {
        let error = #expect(throws: ConfigurationError.self) {
            try FabricSettings(.core, environment: ["FABRIC_CFG_PATH": "/nowhere"])
        }
        #expect(error?.description.contains("FABRIC_CFG_PATH") == true)
        #expect(error?.description.contains("/nowhere") == true)
    }
}

/// What the two files make of a node.
struct NodeSettingsTests {
    private static let core = """
        peer:
          id: peer0
          listenAddress: 127.0.0.1:7051
          address: peer0.example:7051
          localMspId: Org1MSP
          mspConfigPath: msp
          fileSystemPath: data
          tls:
            enabled: true
            clientAuthRequired: true
            cert: { file: tls/server.crt }
            key: { file: tls/server.key }
            clientRootCAs: { files: [tls/ca.crt] }
            clientCert: { file: tls/client.crt }
            clientKey: { file: tls/client.key }
          keepalive: { interval: 60s, timeout: 5s, minInterval: 10s }
          limits: { concurrency: { endorserService: 10 } }
          maxRecvMsgSize: 1000
          deliveryclient:
            addressOverrides:
              - { from: "orderer:7050", to: "127.0.0.1:7050", caCertsFile: tls/orderer.crt }
        """

    @Test func aPeerIsWhatCoreYAMLSays() throws {
        let file = try SettingsFile(Self.core)
        let peer = try CoreYAML(file.settings()).configuration
        #expect(peer.listen == "127.0.0.1:7051")
        #expect(peer.advertise == "peer0.example:7051")
        #expect(peer.identity == IdentityFiles(mspID: "Org1MSP", folder: file.folder + "/msp"))
        #expect(peer.data == file.folder + "/data/weft")
        #expect(peer.tls?.certificate == file.folder + "/tls/server.crt")
        #expect(peer.tls?.roots == [file.folder + "/tls/ca.crt"])
        #expect(peer.tls?.clients == .required)
        #expect(peer.tls?.towardsNodes?.key == file.folder + "/tls/client.key")
        #expect(peer.limits.endorser == 10)
        #expect(peer.limits.gateway == 0, "no value, no limit, as in Fabric")
        #expect(peer.transport.maxReceiveMessageBytes == 1000)
        #expect(peer.transport.keepaliveInterval == .seconds(60))
        #expect(peer.transport.minimumPingInterval == .seconds(10))
        #expect(peer.orderers == ["orderer:7050": "127.0.0.1:7050"])
        #expect(peer.ordererRoots == ["orderer:7050": file.folder + "/tls/orderer.crt"])
    }

    @Test func howBlocksOfBFTChannelsAreTaken() throws {
        let file = try SettingsFile(Self.core)
        let standard = try CoreYAML(file.settings()).configuration.delivery
        #expect(standard == ClusterDeliveryOptions())
        #expect(standard.policy == .cluster && standard.timeouts.censorship == .seconds(30))
        var configuration = try CoreYAML(
            file.settings([
                "CORE_PEER_DELIVERYCLIENT_POLICY": "simple",
                "CORE_PEER_DELIVERYCLIENT_BLOCKCENSORSHIPTIMEOUTKEY": "5s",
                "CORE_PEER_DELIVERYCLIENT_MINIMALRECONNECTINTERVAL": "20ms",
            ])
        ).configuration
        #expect(configuration.delivery.policy == .simple)
        #expect(configuration.delivery.timeouts.censorship == .seconds(5))
        #expect(configuration.delivery.timeouts.firstPause == .milliseconds(20))
        #expect(throws: ConfigurationError.self) {
            try CoreYAML(file.settings(["CORE_PEER_DELIVERYCLIENT_POLICY": "clever"]))
        }
        // Weft's own file says the same.
        configuration.orderers = [:]
        let url = URL(fileURLWithPath: file.folder).appendingPathComponent("peer.yaml")
        try Data(configuration.yaml.utf8).write(to: url)
        #expect(try PeerConfiguration(file: url.path).delivery == configuration.delivery)
    }

    @Test func theExternalEndpointIsWhatOthersSee() throws {
        let settings = try SettingsFile(Self.core).settings([
            "CORE_PEER_GOSSIP_EXTERNALENDPOINT": "out.example:1"
        ])
        #expect(try CoreYAML(settings).configuration.advertise == "out.example:1")
    }

    @Test func aPeerThatListensEverywhereIsReachedByItsOwnAddress() throws {
        let settings = try SettingsFile(Self.core).settings(["CORE_PEER_ADDRESS": "0.0.0.0:7051"])
        let address = try CoreYAML(settings).configuration.advertise
        #expect(address.hasSuffix(":7051"))
    }

    @Test func clientsArentAskedForCertificatesUnlessTheFileSaysSo() throws {
        let settings = try SettingsFile(Self.core).settings(["CORE_PEER_TLS_CLIENTAUTHREQUIRED": "false"])
        #expect(try CoreYAML(settings).configuration.tls?.clients == ClientCertificatePolicy.none)
        let plain = try SettingsFile(Self.core).settings(["CORE_PEER_TLS_ENABLED": "false"])
        #expect(try CoreYAML(plain).configuration.tls == nil)
    }

    @Test(arguments: ["peer.localMspId", "peer.mspConfigPath", "peer.listenAddress", "peer.fileSystemPath"])
    func aKeyThatAPeerCantDoWithoutIsNamed(_ key: String) throws {
        let variable = "CORE_" + key.uppercased().replacingOccurrences(of: ".", with: "_")
        let settings = try SettingsFile(Self.core).settings([variable: ""])
        let error = #expect(throws: ConfigurationError.self) { try CoreYAML(settings) }
        #expect(error?.description.contains(variable) == true || error?.key == key)
    }

    private static let orderer = """
        General:
          ListenAddress: 0.0.0.0
          ListenPort: 7055
          LocalMSPID: OrdererMSP
          LocalMSPDir: msp
          TLS:
            Enabled: true
            Certificate: tls/server.crt
            PrivateKey: tls/server.key
            RootCAs: [tls/ca.crt]
            ClientAuthRequired: true
            ClientRootCAs: [tls/clients.crt]
          Keepalive: { ServerMinInterval: 60s, ServerInterval: 7200s, ServerTimeout: 20s }
          Authentication: { TimeWindow: 5m, NoExpirationChecks: true }
        FileLedger: { Location: data }
        """

    @Test func anOrdererIsWhatOrdererYAMLSays() throws {
        let file = try SettingsFile(Self.orderer, .orderer)
        let orderer = try OrdererYAML(file.settings(["ORDERER_GENERAL_LISTENPORT": "7056"])).configuration
        #expect(orderer.listen == "0.0.0.0:7056")
        #expect(orderer.identity == IdentityFiles(mspID: "OrdererMSP", folder: file.folder + "/msp"))
        #expect(orderer.data == file.folder + "/data/weft")
        #expect(orderer.tls?.roots == [file.folder + "/tls/clients.crt"])
        #expect(orderer.tls?.clients == .required)
        #expect(orderer.timeWindow == .seconds(300))
        #expect(!orderer.checksExpiration)
    }

    @Test func anEmptyOrdererYAMLHasFabricsStandards() throws {
        let file = try SettingsFile("", .orderer)
        let orderer = try OrdererYAML(file.settings()).configuration
        #expect(orderer.listen == "127.0.0.1:7050")
        #expect(orderer.identity == IdentityFiles(mspID: "SampleOrg", folder: file.folder + "/msp"))
        #expect(orderer.data == "/var/hyperledger/production/orderer/weft")
        #expect(orderer.tls == nil)
        #expect(orderer.checksExpiration)
    }

    @Test func aSystemChannelIsRefused() throws {
        let settings = try SettingsFile("General: { BootstrapMethod: file }", .orderer).settings()
        let error = #expect(throws: ConfigurationError.self) { try OrdererYAML(settings) }
        #expect(error?.description.contains("osnadmin") == true)
    }

    @Test func metricsGoToStatsDAlsoWithoutAnOperationsService() throws {
        let yaml = "Metrics: { Provider: statsd, Statsd: { Network: tcp, WriteInterval: 5s, Prefix: o } }"
        let settings = try SettingsFile(yaml, .orderer).settings(["ORDERER_METRICS_STATSD_ADDRESS": "s:1"])
        let files = try #require(try FabricOperationsKeys.orderer.files(settings))
        #expect(files.listen == nil)
        let sender = StatsDSender.Settings(network: .tcp, address: "s:1", interval: .seconds(5), prefix: "o")
        #expect(files.metrics == .statsD(sender))
        let wrong = try SettingsFile("metrics: { provider: statsd, statsd: { network: ip } }").settings()
        let error = #expect(throws: ConfigurationError.self) { try FabricOperationsKeys.core.files(wrong) }
        #expect(error?.description.contains("expected udp or tcp") == true)
    }
}
