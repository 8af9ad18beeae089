import Foundation
import Glibc
import Testing

/// A network of `weft network up`, as Fabric's tools see it: a `core.yaml`, and variables of the environment.
struct FabricToolNetwork {
    struct Problem: Error, CustomStringConvertible {
        var description: String
    }

    let folder: String
    let organizations = ["utility", "auditor", "agency"]
    private let endpoints: [String: String]

    /// Makes the network, with contract `kv`, and Fabric's configuration files.
    static func up(_ folder: String) async throws -> FabricToolNetwork {
        let up = try await WeftProcess.run(
            arguments: ["network", "up", "--folder", folder, "--base-port", "0", "--contract", "kv"]
        )
        try #require(up.code == 0, "\(up.errors)")
        return try FabricToolNetwork(folder)
    }

    private init(_ folder: String) throws {
        self.folder = folder
        let description = try NetworkDescription(folder)
        self.endpoints = Dictionary(uniqueKeysWithValues: description.nodes.map { ($0.name, $0.endpoint) })
        let core = """
            peer:
              id: none
              idd: a misspelt key
              networkId: dev
              listenAddress: 0.0.0.0:7051
              address: 0.0.0.0:7051
              mspConfigPath: msp
              localMspId: SampleOrg
              fileSystemPath: /var/hyperledger/production
              gossip: { bootstrap: "127.0.0.1:7051", orgLeader: true }
              tls: { enabled: true, clientAuthRequired: true }
              client: { connTimeout: 3s }
            """
        let orderer = """
            General:
              ListenAddress: 127.0.0.1
              ListenPort: 7050
              TLS: { Enabled: false, ClientAuthRequired: false }
            """
        try Data(core.utf8).write(to: URL(fileURLWithPath: folder + "/core.yaml"))
        try Data(orderer.utf8).write(to: URL(fileURLWithPath: folder + "/orderer.yaml"))
    }

    func endpoint(_ name: String) -> String { self.endpoints[name] ?? "" }

    private func authority(_ organization: String) -> String {
        "\(self.folder)/organizations/\(organization)/tlsca/tlsca.\(organization).example-cert.pem"
    }

    // MARK: - Who is who

    /// The variables that make a client of Fabric's `peer` a user of an organization, asking that organization's peer.
    func environment(of organization: String, _ user: String) -> [String: String] {
        let user = "\(self.folder)/organizations/\(organization)/users/\(user)@\(organization).example"
        return [
            "FABRIC_CFG_PATH": self.folder,
            "CORE_PEER_LOCALMSPID": organization.capitalized + "MSP",
            "CORE_PEER_MSPCONFIGPATH": user + "/msp",
            "CORE_PEER_ADDRESS": self.endpoint(organization),
            "CORE_PEER_TLS_ROOTCERT_FILE": self.authority(organization),
            "CORE_PEER_TLS_CLIENTCERT_FILE": user + "/tls/client.crt",
            "CORE_PEER_TLS_CLIENTKEY_FILE": user + "/tls/client.key",
        ]
    }

    var ordererFlags: [String] {
        let tls = "\(self.folder)/organizations/utility/users/admin@utility.example/tls"
        return [
            "-o", self.endpoint("orderer"), "--tls", "--cafile", self.authority("orderer"), "--clientauth",
            "--certfile", tls + "/client.crt", "--keyfile", tls + "/client.key",
        ]
    }

    var peerFlags: [String] {
        self.organizations.flatMap { organization in
            [
                "--peerAddresses", self.endpoint(organization), "--tlsRootCertFiles",
                self.authority(organization),
            ]
        }
    }

    /// What `peer node start` needs to run one more peer of the utility, and the peer's address.
    func secondPeer() throws -> (environment: [String: String], address: String) {
        let node = "\(self.folder)/organizations/utility/peers/peer1.utility.example"
        let address = "127.0.0.1:\(try Self.freePort())"
        return (
            [
                "FABRIC_CFG_PATH": self.folder,
                "CORE_PEER_ID": "peer1",
                "CORE_PEER_LISTENADDRESS": address,
                "CORE_PEER_ADDRESS": address,
                "CORE_PEER_LOCALMSPID": "UtilityMSP",
                "CORE_PEER_MSPCONFIGPATH": node + "/msp",
                "CORE_PEER_FILESYSTEMPATH": self.folder + "/peer1",
                "CORE_PEER_TLS_CERT_FILE": node + "/tls/server.crt",
                "CORE_PEER_TLS_KEY_FILE": node + "/tls/server.key",
                "CORE_PEER_TLS_ROOTCERT_FILE": node + "/tls/ca.crt",
                "CORE_PEER_TLS_CLIENTROOTCAS_FILES": node + "/tls/ca.crt",
            ], address
        )
    }

    /// What `orderer` needs to run the network's ordering node, its data in `ordering`.
    func ordererEnvironment() throws -> [String: String] {
        let node = "\(self.folder)/organizations/orderer/orderers/node0.orderer.example"
        let port = try #require(self.endpoint("orderer").split(separator: ":").last.map(String.init))
        let roots = (["orderer"] + self.organizations).map(self.authority).joined(separator: ",")
        return [
            "FABRIC_CFG_PATH": self.folder,
            "ORDERER_GENERAL_LISTENPORT": port,
            "ORDERER_GENERAL_LOCALMSPID": "OrdererMSP",
            "ORDERER_GENERAL_LOCALMSPDIR": node + "/msp",
            "ORDERER_GENERAL_TLS_ENABLED": "true",
            "ORDERER_GENERAL_TLS_CLIENTAUTHREQUIRED": "true",
            "ORDERER_GENERAL_TLS_CERTIFICATE": node + "/tls/server.crt",
            "ORDERER_GENERAL_TLS_PRIVATEKEY": node + "/tls/server.key",
            "ORDERER_GENERAL_TLS_CLIENTROOTCAS": "[\(roots)]",
            "ORDERER_FILELEDGER_LOCATION": self.folder + "/ordering",
            "ORDERER_ADMIN_LISTENADDRESS": "127.0.0.1:0",
        ]
    }

    /// A port that nobody listens on.
    private static func freePort() throws -> Int {
        let socket = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(socket) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let status = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { pointer in
                bind(socket, pointer, size) == 0 ? getsockname(socket, pointer, &size) : -1
            }
        }
        try #require(status == 0)
        return Int(UInt16(bigEndian: address.sin_port))
    }

    // MARK: - Asking

    /// Runs a command of Fabric's `peer`.
    func peer(_ words: [String], _ environment: [String: String]) async throws -> WeftProcess.Result {
        try await WeftProcess.run(arguments: ["fabric", "peer"] + words, environment: environment)
    }

    /// Runs Fabric's `discover`.
    func discover(_ words: [String]) async throws -> WeftProcess.Result {
        try await WeftProcess.run(arguments: ["fabric", "discover"] + words)
    }

    /// The flags that make `discover` a user of an organization.
    func discoverFlags(of organization: String, _ user: String) -> [String] {
        let folder = "\(self.folder)/organizations/\(organization)/users/\(user)@\(organization).example"
        return [
            "--MSP", organization.capitalized + "MSP",
            "--userCert", "\(folder)/msp/signcerts/\(user)@\(organization).example-cert.pem",
            "--userKey", folder + "/msp/keystore/priv_sk",
            "--peerTLSCA", self.authority(organization),
            "--tlsCert", folder + "/tls/client.crt", "--tlsKey", folder + "/tls/client.key",
        ]
    }

    /// The height that `peer channel getinfo` prints.
    func height(_ environment: [String: String]) async throws -> Int {
        let result = try await self.peer(["channel", "getinfo", "-c", "emissions"], environment)
        let number = result.output.split(separator: "\"height\":").last?.prefix { $0.isNumber }
        guard let height = number.flatMap({ Int($0) }) else {
            throw Problem(description: "no height in \(result.output) \(result.errors)")
        }
        return height
    }

    /// Waits until a peer has so many blocks.
    func reaches(height: Int, _ environment: [String: String]) async throws {
        let deadline = ContinuousClock().now.advanced(by: .seconds(60))
        while try await self.height(environment) < height {
            guard ContinuousClock().now < deadline else {
                throw Problem(description: "the peer has not reached height \(height) within a minute")
            }
            try await Task.sleep(for: .milliseconds(100))
        }
    }

    /// Waits until all peers have the same blocks.
    func level() async throws {
        var highest = 0
        for organization in self.organizations {
            highest = max(highest, try await self.height(self.environment(of: organization, "admin")))
        }
        for organization in self.organizations {
            try await self.reaches(height: highest, self.environment(of: organization, "admin"))
        }
    }
}

/// A node that runs under the name of one of Fabric's programs.
final class FabricToolProcess {
    private let process = Process()
    private let logFile: String

    init(_ words: [String], _ environment: [String: String], log: String) throws {
        self.logFile = log
        try Data().write(to: URL(fileURLWithPath: log))
        let output = try FileHandle(forWritingTo: URL(fileURLWithPath: log))
        self.process.executableURL = WeftProcess.executable
        self.process.arguments = ["fabric"] + words
        self.process.environment = ProcessInfo.processInfo.environment.merging(environment) { $1 }
        self.process.standardInput = FileHandle.nullDevice
        self.process.standardOutput = output
        self.process.standardError = output
        try self.process.run()
    }

    var log: String { (try? String(contentsOfFile: self.logFile, encoding: .utf8)) ?? "" }

    /// Waits until the log has a text.
    func waits(for text: String) async throws {
        let deadline = ContinuousClock().now.advanced(by: .seconds(60))
        while !self.log.contains(text) {
            guard self.process.isRunning, ContinuousClock().now < deadline else {
                throw FabricToolNetwork.Problem(description: "no \"\(text)\" in the log:\n\(self.log)")
            }
            try await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Asks the node to stop, and gives its exit code.
    func stops() async throws -> Int32 {
        self.process.terminate()
        let deadline = ContinuousClock().now.advanced(by: .seconds(60))
        while self.process.isRunning {
            guard ContinuousClock().now < deadline else {
                throw FabricToolNetwork.Problem(
                    description: "still running a minute after SIGTERM:\n\(self.log)"
                )
            }
            try await Task.sleep(for: .milliseconds(50))
        }
        return self.process.terminationStatus
    }

    /// Ends the node if it still runs.
    func kill() {
        guard self.process.isRunning else { return }
        Glibc.kill(self.process.processIdentifier, SIGKILL)
    }
}
