import Foundation
import RPC
import TestSupport
import Testing
import WeftContract

/// What a contract's process makes of its environment and arguments.
@Suite struct ServiceConfigurationTests {
    private static let authority = Result { try TLSTestAuthority() }

    private struct Missing: Error {}

    private func configuration(
        _ environment: [String: String],
        _ arguments: [String] = [],
        files: [String: String] = [:]
    ) throws -> ServiceConfiguration {
        try ServiceConfiguration(environment: environment, arguments: arguments) { path in
            guard let text = files[path] else { throw Missing() }
            return Data(text.utf8)
        }
    }

    private func reason(_ body: () throws -> ServiceConfiguration) -> String {
        do {
            return "not refused: \(try body())"
        } catch {
            return "\(error)"
        }
    }

    @Test func aServiceListensWhereItIsTold() throws {
        let found = try self.configuration([
            "CHAINCODE_ID": "a:1", "CHAINCODE_SERVER_ADDRESS": "0.0.0.0:9999",
        ])
        #expect(found.packageID == "a:1")
        guard case .listen("0.0.0.0:9999", tls: nil) = found.meeting else {
            Issue.record("\(found.meeting)")
            return
        }
        let nameless = self.reason { try self.configuration(["CHAINCODE_SERVER_ADDRESS": "0.0.0.0:9999"]) }
        #expect(nameless.hasPrefix("CHAINCODE_ID is not set"))
        let homeless = self.reason { try self.configuration(["CORE_CHAINCODE_ID_NAME": "a:1"]) }
        #expect(homeless.contains("neither CHAINCODE_SERVER_ADDRESS"))
    }

    @Test(arguments: [
        ("CHAINCODE_TLS_KEY", "CHAINCODE_TLS_CERT"), ("CHAINCODE_TLS_KEY_FILE", "CHAINCODE_TLS_CERT_FILE"),
    ])
    func tlsComesFromFiles(key: String, certificate: String) throws {
        let authority = try Self.authority.get()
        let identity = try authority.issue("contract")
        let files = [
            "key": identity.privateKeyPEM, "cert": identity.certificatePEM, "roots": authority.certificatePEM,
        ]
        var environment = [
            "CHAINCODE_ID": "a:1", "CHAINCODE_SERVER_ADDRESS": "0.0.0.0:9999", key: "key",
            certificate: "cert",
        ]
        guard case .listen(_, let tls?) = try self.configuration(environment, files: files).meeting else {
            Issue.record("no TLS")
            return
        }
        #expect(tls.clientCertificates == .none)
        environment["CHAINCODE_CLIENT_CA_CERT"] = "roots"
        guard case .listen(_, let mutual?) = try self.configuration(environment, files: files).meeting else {
            Issue.record("no TLS")
            return
        }
        #expect(mutual.clientCertificates == .required)
        environment["CHAINCODE_TLS_DISABLED"] = "true"
        guard case .listen(_, tls: nil) = try self.configuration(environment, files: files).meeting else {
            Issue.record("TLS although it is disabled")
            return
        }
        environment["CHAINCODE_TLS_DISABLED"] = "false"
        environment[key] = nil
        let reason = self.reason { try self.configuration(environment, files: files) }
        #expect(reason.hasPrefix("TLS needs CHAINCODE_TLS_KEY and CHAINCODE_TLS_CERT"))
        environment[key] = "nowhere"
        #expect(
            self.reason { try self.configuration(environment, files: files) }.hasPrefix(
                "\(key): can't read nowhere"
            )
        )
    }

    @Test(arguments: [["-peer.address", "p:1"], ["--peer.address=p:1"], ["x", "--peer.address", "p:1"]])
    func aContractThatAPeerStartsRegistersThere(arguments: [String]) throws {
        let authority = try Self.authority.get()
        let identity = try authority.issue("contract")
        let files = [
            "roots": authority.certificatePEM,
            "key": Data(identity.privateKeyPEM.utf8).base64EncodedString(),
            "cert": Data(identity.certificatePEM.utf8).base64EncodedString(),
        ]
        var environment = ["CORE_CHAINCODE_ID_NAME": "a:1", "CORE_PEER_TLS_ENABLED": "false"]
        guard case .register("p:1", tls: nil) = try self.configuration(environment, arguments).meeting else {
            Issue.record("not without TLS")
            return
        }
        environment["CORE_PEER_TLS_ENABLED"] = "true"
        #expect(
            self.reason { try self.configuration(environment, arguments) }.contains(
                "CORE_PEER_TLS_ROOTCERT_FILE"
            )
        )
        environment["CORE_PEER_TLS_ROOTCERT_FILE"] = "roots"
        environment["CORE_TLS_CLIENT_KEY_PATH"] = "key"
        environment["CORE_TLS_CLIENT_CERT_PATH"] = "cert"
        let found = try self.configuration(environment, arguments, files: files)
        guard case .register("p:1", let tls?) = found.meeting else {
            Issue.record("no TLS")
            return
        }
        #expect(tls.identity?.privateKeyPEM == identity.privateKeyPEM)
        #expect(
            self.reason { try self.configuration(environment, ["-peer.address"]) }.contains(
                "needs an address"
            )
        )
    }
}
