import Foundation
import Logging
import Operations
import RPC
import ServiceLifecycle
import Synchronization
import TestSupport
import Testing

@Suite struct HTTPServerTests {
    static let echo = HTTPRoute("/echo/", requiresClientCertificate: false, bodyLimit: 1000) { request in
        let certificate = request.clientCertificate == nil ? "none" : "some"
        let text =
            "\(request.method) \(request.path) \(request.query ?? "") \(request.body.count) \(certificate)"
        return .text(200, text + "\n")
    }

    @Test func `A route gets method, path, query and body`() async throws {
        try await withServer(routes: [Self.echo]) { _, port async throws in
            let answer = try await RawClient(port: port).request("PUT /echo/a?b=c", body: "12345")
            #expect(answer.status == 200)
            #expect(answer.body == "PUT /echo/a b=c 5 none\n")
            #expect(answer.field("X-Request-Id")?.isEmpty == false)
        }
    }

    @Test func `A request's own identifier is kept`() async throws {
        try await withServer(routes: [Self.echo]) { _, port async throws in
            let answer = try await RawClient(port: port).request("GET /echo/", fields: ["X-Request-Id: mine"])
            #expect(answer.field("X-Request-Id") == "mine")
        }
    }

    @Test func `The longest path wins, and a path that none fits gets 404`() async throws {
        let exact = HTTPRoute("/echo/exact", requiresClientCertificate: false) { _ in .text(200, "exact") }
        try await withServer(routes: [Self.echo, exact]) { _, port async throws in
            let client = RawClient(port: port)
            #expect(try await client.request("GET /echo/exact").body == "exact")
            #expect(try await client.request("GET /echo/exactly").body.hasPrefix("GET /echo/exactly"))
            #expect(try await client.request("GET /other").status == 404)
            #expect(try await client.request("HEAD /echo/exact").body.isEmpty)
        }
    }

    @Test func `One connection carries one request after the other`() async throws {
        try await withServer(routes: [Self.echo]) { _, port async throws in
            let first = "POST /echo/1 HTTP/1.1\r\nHost: t\r\nContent-Length: 3\r\n\r\nabc"
            let second = "GET /echo/2 HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
            let text = try await RawClient(port: port).send(first + second)
            #expect(text.contains("POST /echo/1  3 none"))
            #expect(text.contains("GET /echo/2  0 none"))
        }
    }

    @Test(arguments: [ClientCertificatePolicy.required, .requested])
    func `With TLS a route sees the client's certificate`(policy: ClientCertificatePolicy) async throws {
        let authority = try TLSTestAuthority()
        let tls = try authority.server(clients: policy)
        let leaf = try authority.issue("client")
        try await withServer(tls: tls, routes: [Self.echo]) { _, port async throws in
            let client = RawClient(port: port, authority: authority, certificate: leaf)
            #expect(try await client.request("GET /echo/").body.hasSuffix("some\n"))
        }
    }

    @Test func `A route that requires a certificate answers 401 without one`() async throws {
        let authority = try TLSTestAuthority()
        let secured = HTTPRoute("/secret", requiresClientCertificate: true) { _ in .text(200, "secret") }
        try await withServer(tls: authority.server(clients: .requested), routes: [Self.echo, secured]) {
            _,
            port async throws in
            let client = RawClient(port: port, authority: authority)
            #expect(try await client.request("GET /secret").status == 401)
            #expect(try await client.request("GET /echo/").body.hasSuffix("none\n"))
        }
    }

    @Test func `Certificates of others don't get in`() async throws {
        let authority = try TLSTestAuthority()
        let foreign = try TLSTestAuthority(name: "foreign").issue("client")
        for policy in [ClientCertificatePolicy.required, .requested] {
            try await withServer(tls: authority.server(clients: policy), routes: [Self.echo]) {
                _,
                port async throws in
                await #expect(throws: (any Error).self) {
                    try await RawClient(port: port, authority: authority, certificate: foreign).request(
                        "GET /echo/"
                    )
                }
            }
        }
        try await withServer(tls: authority.server(clients: .required), routes: [Self.echo]) {
            _,
            port async throws in
            await #expect(throws: (any Error).self) {
                try await RawClient(port: port, authority: authority).request("GET /echo/")
            }
        }
    }

    @Test func `New connections use replaced TLS files`() async throws {
        let old = try TLSTestAuthority(name: "old")
        let new = try TLSTestAuthority(name: "new")
        let leaf = try new.issue("client")
        let renewed = try new.server(clients: .required)
        try await withServer(tls: old.server(clients: .required), routes: [Self.echo]) {
            server,
            port async throws in
            let client = RawClient(port: port, authority: new, certificate: leaf)
            await #expect(throws: (any Error).self) { try await client.request("GET /echo/") }
            var broken = renewed
            broken.identity.privateKeyPEM = leaf.privateKeyPEM
            #expect(throws: HTTPServerError.self) { try server.replaceTLS(broken) }
            try server.replaceTLS(renewed)
            #expect(try await client.request("GET /echo/").status == 200)
        }
    }

    @Test(.timeLimit(.minutes(10)))
    func `A server that stops while connections come in lets them go`() async throws {
        for _ in 0..<30 {
            let callers = Mutex<[Task<Void, Never>]>([])
            try await withServer(routes: [Self.echo]) { _, port in
                let client = RawClient(port: port)
                let begun = (0..<24).map { _ in
                    Task<Void, Never> { _ = try? await client.request("GET /echo/") }
                }
                callers.withLock { $0 = begun }
                _ = try await client.request("GET /echo/")
            }
            for caller in callers.withLock({ $0 }) { await caller.value }
        }
    }

    @Test func `A port in use and a bad address are named`() async throws {
        try await withServer(routes: []) { _, port async throws in
            let second = try HTTPServer(
                listeningOn: "127.0.0.1:\(port)",
                tls: nil,
                routes: [],
                logger: .init(label: "test")
            )
            let failure = await #expect(throws: HTTPServerError.self) { try await second.run() }
            #expect("\(try #require(failure))".contains("127.0.0.1:\(port): the port is in use"))
            await #expect(throws: HTTPServerError.self) { try await second.boundPort() }
        }
        #expect(throws: HTTPServerError.self) {
            try HTTPServer(listeningOn: "nonsense", tls: nil, routes: [], logger: .init(label: "test"))
        }
    }
}
