import CertificateAuthority
import Foundation
import Operations
import Orderer
import RPC
import Synchronization
import TestSupport
import Testing

/// Channel participation and the operations service know people by their TLS certificates: whoever has none of the
/// organization's, or a bad one, neither administers a node nor watches it.
@Suite struct HostileCertificateTests {
    private static let channels = "/participation/v1/channels"

    @Test(.timeLimit(.minutes(10)))
    func nobodyAdministersANodeWithoutAGoodCertificate() async throws {
        let log = RecordedLog()
        let orderers = Mutex<OrganizationAuthority?>(nil)
        let consortium = try TestConsortium(logger: log.logger) { authorities in
            let authority = authorities["Orderer"]
            orderers.withLock { $0 = authority }
        }
        let organization = orderers.withLock { $0 }
        let cast = try ClientCertificates(#require(organization))
        let server = try consortium.orderer.administrationServer(
            AdministrationEndpoint(listenAddress: "127.0.0.1:0", tls: cast.server(clients: .required))
        )
        try await consortium.run(beside: [server]) {
            let door = Door(port: try await server.boundPort(), cast: cast, log: log)
            #expect(try await door.knock(cast.honest, .get, Self.channels) == 200)
            for stranger in try cast.strangers() + [.init(name: "without a certificate")] {
                for method in [RequestMethod.get, .post, .put, .delete] {
                    try await door.refuses(stranger, method, "\(Self.channels)/emissions")
                }
            }
            #expect(try await door.knock(cast.honest, .get, "\(Self.channels)/emissions") == 200)
            try #expect(consortium.orderer.registrar.info("emissions").status == .active)
        }
    }

    @Test(.timeLimit(.minutes(10)), arguments: [ClientCertificatePolicy.requested, .required])
    func nobodyWatchesANodeWithoutAGoodCertificate(policy: ClientCertificatePolicy) async throws {
        let log = RecordedLog()
        let orderers = Mutex<OrganizationAuthority?>(nil)
        let consortium = try TestConsortium(logger: log.logger) { authorities in
            let authority = authorities["Orderer"]
            orderers.withLock { $0 = authority }
        }
        let organization = orderers.withLock { $0 }
        let cast = try ClientCertificates(#require(organization))
        let endpoints = OperationsEndpoints(
            health: HealthChecks(),
            metrics: Metrics(),
            logging: NodeLogging(specification: LogSpecification(), format: .standard(colors: false)) { _ in
            },
            version: "1"
        )
        let server = try endpoints.server(
            listeningOn: "127.0.0.1:0",
            tls: cast.server(clients: policy),
            logger: log.logger
        )
        try await consortium.run(beside: [server]) {
            let door = Door(port: try await server.boundPort(), cast: cast, log: log)
            for stranger in try cast.strangers() {
                for path in ["/metrics", "/logspec", "/healthz", "/version"] {
                    try await door.refuses(stranger, .get, path)
                }
                try await door.refuses(stranger, .put, "/logspec")
            }
            let nobody = ClientCertificates.Client(name: "without a certificate")
            if policy == .required {
                try await door.refuses(nobody, .get, "/healthz")
            } else {
                // Load balancers ask for these two.
                #expect(try await door.knock(nobody, .get, "/healthz") == 200)
                #expect(try await door.knock(nobody, .get, "/version") == 200)
                let before = log.lines.count
                for (method, path) in [
                    (RequestMethod.get, "/metrics"), (.get, "/logspec"), (.put, "/logspec"),
                ] {
                    #expect(try await door.knock(nobody, method, path) == 401)
                }
                let new = log.lines.dropFirst(before)
                #expect(new.count { $0.contains("client must pass a valid client certificate") } == 3)
            }
            for path in ["/metrics", "/logspec", "/healthz", "/version"] {
                #expect(try await door.knock(cast.honest, .get, path) == 200)
            }
        }
    }
}
