import Foundation
import Operations
import TestSupport
import Testing

@Suite struct HostileHTTPTests {
    @Test func `A body over the limit gets the route's answer, announced or not`() async throws {
        let route = HTTPRoute(
            "/",
            requiresClientCertificate: false,
            bodyLimit: 10,
            tooLong: .json(400, "{}"),
            answer: { _ in .text(200, "read") }
        )
        try await withServer(routes: [route]) { _, port async throws in
            let client = RawClient(port: port)
            #expect(try await client.request("POST /", body: "0123456789").status == 200)
            #expect(try await client.request("POST /", body: "0123456789x").status == 400)
            let chunked =
                "POST / HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n0123456789x\r\n0\r\n\r\n"
            #expect(try await Answer(client.send(chunked)).status == 400)
        }
    }

    @Test func `Huge headers and too many of them are refused`() async throws {
        try await withServer(routes: [HTTPServerTests.echo]) { _, port async throws in
            let client = RawClient(port: port)
            let huge = "X-Huge: " + String(repeating: "x", count: 200_000)
            #expect(try await client.request("GET /echo/", fields: [huge]).status == 400)
            let many = (0..<1000).map { "X-\($0): y" }
            #expect(try await client.request("GET /echo/", fields: many).status == 400)
        }
    }

    @Test func `Bytes that are no HTTP end the connection and nothing else`() async throws {
        try await withServer(routes: [HTTPServerTests.echo]) { _, port async throws in
            let client = RawClient(port: port)
            for bytes in [
                "\u{0}\u{1}\u{2}\r\n\r\n", "GET\r\n\r\n", "GET /echo/ HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
            ] {
                let answer = try? await client.send(bytes)
                #expect(answer?.contains(" 200 ") != true)
            }
            #expect(try await client.request("GET /echo/").status == 200)
        }
    }

    @Test func `A body that doesn't come and a route that doesn't answer get 408`() async throws {
        var limits = HTTPLimits()
        limits.request = .milliseconds(100)
        let slow = HTTPRoute("/slow", requiresClientCertificate: false) { _ in
            try? await Task.sleep(for: .seconds(60))
            return .text(200, "late")
        }
        try await withServer(limits: limits, routes: [HTTPServerTests.echo, slow]) { _, port async throws in
            let client = RawClient(port: port)
            let half = "POST /echo/ HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\nhalf"
            #expect(try await Answer(client.send(half)).status == 408)
            #expect(try await client.request("GET /slow").status == 408)
            #expect(try await client.request("GET /echo/").status == 200)
        }
    }

    @Test func `A client that says nothing is let go`() async throws {
        var limits = HTTPLimits()
        limits.idle = .milliseconds(100)
        try await withServer(limits: limits, routes: []) { _, port async throws in
            await #expect(throws: RawClient.NoAnswer.self) {
                try await RawClient(port: port).send("GET /slow HTTP/1.1\r\nHost:")
            }
        }
    }
}
