import Foundation
import RPC
import TestSupport
import Testing

@testable import Operations

@Suite struct OperationsEndpointsTests {
    private func endpoints(
        _ provider: OperationsEndpoints.MetricsProvider = .prometheus
    ) -> OperationsEndpoints {
        OperationsEndpoints(
            health: HealthChecks(),
            metrics: Metrics(),
            logging: NodeLogging(specification: LogSpecification(), format: .standard(colors: false)) { _ in
            },
            provider: provider,
            version: "1.2.3",
            commit: "abc"
        )
    }

    @Test func `Health is OK, or says which checks fail`() async throws {
        let endpoints = self.endpoints()
        try await withServer(routes: endpoints.routes) { _, port async throws in
            let client = RawClient(port: port)
            let well = try await client.request("GET /healthz")
            #expect(well.status == 200)
            #expect(well.body.wholeMatch(of: /\{"status":"OK","time":"\d{4}-\d\d-\d\dT[^"]+"\}/) != nil)
            endpoints.health.register("channel \"a\"") { throw Unhealthy("halted") }
            let ill = try await client.request("GET /healthz")
            #expect(ill.status == 503)
            #expect(ill.body.contains(#""status":"Service Unavailable""#))
            #expect(ill.body.contains(#""failed_checks":[{"component":"channel \"a\"","reason":"halted"}]"#))
            #expect(try await client.request("POST /healthz").status == 405)
            #expect(try await client.request("GET /healthz/more").status == 404)
        }
    }

    @Test func `The logging specification is read and changed`() async throws {
        let endpoints = self.endpoints()
        try await withServer(routes: endpoints.routes) { _, port async throws in
            let client = RawClient(port: port)
            #expect(try await client.request("GET /logspec").body == "{\"spec\":\"info\"}\n")
            #expect(try await client.request("PUT /logspec", body: #"{"spec":"gossip=debug"}"#).status == 204)
            #expect(try await client.request("GET /logspec").body == "{\"spec\":\"gossip=debug:info\"}\n")
            let bad = try await client.request("PUT /logspec", body: #"{"spec":"loud"}"#)
            #expect(bad.status == 400)
            #expect(bad.body.hasPrefix(#"{"error":"invalid logging specification 'loud'"#))
            #expect(try await client.request("PUT /logspec", body: "spec").status == 400)
            #expect(endpoints.logging.specification.description == "gossip=debug:info")
            #expect(try await client.request("PUT /logspec", body: #"{"unknown":1}"#).status == 204)
            #expect(endpoints.logging.specification.description == "info")
            let wrong = try await client.request("DELETE /logspec")
            #expect(wrong.status == 400)
            #expect(wrong.body == "{\"error\":\"invalid request method: DELETE\"}\n")
        }
    }

    @Test func `Version and metrics are shown`() async throws {
        try await withServer(routes: self.endpoints().routes) { _, port async throws in
            let client = RawClient(port: port)
            #expect(
                try await client.request("GET /version").body == #"{"CommitSHA":"abc","Version":"1.2.3"}"#
            )
            #expect(
                try await client.request("POST /version").body == #"{"Error":"invalid request method: POST"}"#
            )
            let metrics = try await client.request("GET /metrics")
            #expect(metrics.field("content-type") == "text/plain; version=0.0.4; charset=utf-8")
            #expect(try await client.request("POST /metrics").status == 405)
        }
        try await withServer(routes: self.endpoints(.disabled).routes) { _, port async throws in
            #expect(try await RawClient(port: port).request("GET /metrics").status == 404)
        }
    }

    @Test func `Metrics and the logging specification are for clients with a certificate`() async throws {
        let authority = try TLSTestAuthority()
        let leaf = try authority.issue("client")
        try await withServer(tls: authority.server(clients: .requested), routes: self.endpoints().routes) {
            _,
            port async throws in
            let anybody = RawClient(port: port, authority: authority)
            let known = RawClient(port: port, authority: authority, certificate: leaf)
            for path in ["/metrics", "/logspec"] {
                #expect(try await anybody.request("GET \(path)").status == 401)
                #expect(try await known.request("GET \(path)").status == 200)
            }
            for path in ["/healthz", "/version"] {
                #expect(try await anybody.request("GET \(path)").status == 200)
            }
        }
    }

    @Test func `A full disk and a missing folder are unhealthy`() throws {
        try DiskCheck(folder: "/").run()
        #expect(throws: Unhealthy.self) { try DiskCheck(folder: "/", least: .max).run() }
        #expect(throws: Unhealthy.self) { try DiskCheck(folder: "/nonexistent").run() }
    }
}
