import Foundation
import Testing

@testable import weft

/// `weft certs status` reads the files of both kinds of nodes, Weft's and Fabric's.
@Suite struct NodeCertificateFilesTests {
    private func read(_ yaml: String, _ environment: [String: String] = [:]) throws -> NodeCertificateFiles {
        let path = NSTemporaryDirectory() + "weft-files-\(UUID().uuidString).yaml"
        try Data(yaml.utf8).write(to: URL(fileURLWithPath: path))
        defer { try? FileManager.default.removeItem(atPath: path) }
        return try NodeCertificateFiles(file: path, environment: environment)
    }

    @Test func readsWeftsOwn() throws {
        let files = try self.read(
            """
            listen: 127.0.0.1:7050
            data: /data
            identity: { mspID: OrdererMSP, folder: /msp }
            tls: { certificate: /s.crt, key: /s.key, roots: [/ca.crt] }
            admin: { tls: { certificate: /a.crt, key: /a.key, roots: [/b.crt] } }
            operations: { listen: 127.0.0.1:0, tls: { certificate: /o.crt, key: /o.key, clients: none } }
            channels: [/emissions.block]
            """
        )
        #expect(files.channels == ["/emissions.block"])
        let paths = files.certificates.watchedPaths
        for path in [
            "/msp/signcerts", "/msp/keystore", "/s.crt", "/s.key", "/ca.crt", "/a.crt", "/a.key", "/b.crt",
            "/o.crt", "/o.key",
        ] {
            #expect(paths.contains(path))
        }
    }

    @Test func readsFabricsPeer() throws {
        let files = try self.read(
            """
            peer:
              listenAddress: 0.0.0.0:7051
              localMspId: Org1MSP
              mspConfigPath: /msp
              fileSystemPath: /data
              tls:
                enabled: true
                cert: { file: /s.crt }
                key: { file: /s.key }
                clientCert: { file: /c.crt }
                clientKey: { file: /c.key }
            operations:
              listenAddress: 127.0.0.1:9443
              tls: { enabled: true, cert: { file: /o.crt }, key: { file: /o.key } }
            """,
            ["CORE_PEER_MSPCONFIGPATH": "/other", "CORE_PEER_TLS_CERT_FILE": "/renewed.crt"]
        )
        #expect(files.certificates.identity.mspID == "Org1MSP")
        #expect(files.certificates.identity.folder == "/other")
        #expect(files.certificates.tls?.certificate == "/renewed.crt")
        #expect(files.certificates.watchedPaths.contains("/c.crt"))
        #expect(files.certificates.endpoints.map(\.certificate) == ["/o.crt"])
        #expect(files.channels.isEmpty)
    }

    @Test func readsFabricsOrderer() throws {
        let files = try self.read(
            """
            General:
              LocalMSPID: OrdererMSP
              LocalMSPDir: /msp
              TLS: { Enabled: true, Certificate: /s.crt, PrivateKey: /s.key, RootCAs: [/ca.crt] }
            Admin:
              ListenAddress: 127.0.0.1:9443
              TLS: { Enabled: true, Certificate: /a.crt, PrivateKey: /a.key, ClientRootCAs: [/b.crt] }
            """
        )
        #expect(files.certificates.identity.folder == "/msp")
        #expect(files.certificates.tls?.certificate == "/s.crt")
        #expect(files.certificates.endpoints.map(\.certificate) == ["/a.crt"])
    }

    @Test func namesWhatIsMissing() {
        let error = #expect(throws: ConfigurationError.self) { try self.read("peer: { localMspId: A }") }
        #expect(error?.description.contains("peer.listenAddress") == true)
    }
}
