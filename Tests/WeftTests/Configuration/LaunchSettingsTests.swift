import Foundation
import Peer
import Testing

@testable import weft

/// How a peer is told to build and start contracts.
@Suite struct LaunchSettingsTests {
    private static let node = """
        listen: 127.0.0.1:7051
        data: data
        identity: { mspID: UtilityMSP, folder: msp }

        """

    private func launching(_ contracts: String) throws -> LaunchOptions {
        let yaml = Self.node + contracts
        return try PeerConfiguration(ConfigurationSection(yaml: yaml, file: "/etc/weft/peer.yaml")).launching
    }

    @Test func allKeysOfAPeersFileAreRead() throws {
        var expected = LaunchOptions()
        #expect(try self.launching("") == expected)
        #expect(try self.launching("contracts: { executeTimeout: 5s }") == expected)
        expected.startTimeout = .seconds(20)
        expected.buildTimeout = .seconds(600)
        expected.listenAddress = "0.0.0.0:7052"
        expected.address = "peer.example:7052"
        expected.limits.user = "weft-contracts"
        expected.limits.addressSpace = 4 << 30
        expected.limits.openFiles = 100
        expected.limits.processes = 50
        expected.python.program = "/usr/bin/python3.11"
        expected.python.index = "https://pypi.example/simple"
        expected.builders = [
            ExternalBuilder(name: "go", path: "/etc/weft/builders/go", propagatedEnvironment: ["GOPROXY"]),
            ExternalBuilder(name: "x", path: "/opt/x"),
        ]
        let launching = try self.launching(
            """
            contracts:
              startTimeout: 20s
              installTimeout: 10m
              listen: 0.0.0.0:7052
              address: peer.example:7052
              user: weft-contracts
              limits: { addressSpace: 4 GB, openFiles: 100, processes: 50 }
              python: { program: /usr/bin/python3.11, index: "https://pypi.example/simple" }
              builders:
                - { name: go, path: builders/go, propagateEnvironment: [GOPROXY] }
                - { name: x, path: /opt/x }
            """
        )
        #expect(launching == expected)
    }

    @Test(arguments: [
        "contracts: { startTimeout: 1s }", "contracts: { installTimeout: never }",
        "contracts: { listen: here }",
        "contracts: { limits: { openFiles: 0 } }", "contracts: { limits: { addressSpace: -1 } }",
        "contracts: { limits: { memory: 1 GB } }", "contracts: { builders: [{ name: x }] }",
        "contracts: { builders: { name: x, path: y } }", "contracts: { launch: true }",
    ])
    func whatCannotBeMeantIsRefused(contracts: String) {
        #expect(throws: ConfigurationError.self) { try self.launching(contracts) }
    }

    @Test func keysOfCoreYAMLAreRead() throws {
        let file = try SettingsFile(
            """
            peer: { chaincodeListenAddress: "0.0.0.0:7052", chaincodeAddress: "peer0.example:7052" }
            chaincode:
              installTimeout: 100s
              startuptimeout: 1s
              externalBuilders:
                - name: ccaas_builder
                  path: builders/ccaas
                  propagateEnvironment: [CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG, HOME]
            """
        )
        let options = try LaunchOptions(file.settings(["CORE_PEER_CHAINCODELISTENADDRESS": "127.0.0.1:7152"]))
        #expect(options.listenAddress == "127.0.0.1:7152" && options.address == "peer0.example:7052")
        #expect(options.buildTimeout == .seconds(100))
        #expect(options.startTimeout == .seconds(300), "less than 5 s is taken for none, as in Fabric")
        #expect(
            options.builders == [
                ExternalBuilder(
                    name: "ccaas_builder",
                    path: file.folder + "/builders/ccaas",
                    propagatedEnvironment: ["CHAINCODE_AS_A_SERVICE_BUILDER_CONFIG", "HOME"]
                )
            ]
        )
        let incomplete = try SettingsFile("chaincode: { externalBuilders: [{ name: x }] }").settings()
        #expect(throws: ConfigurationError.self) { try LaunchOptions(incomplete) }
    }
}
