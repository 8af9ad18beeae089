import FabricProtos
import Foundation
import Operations
import SwiftProtobuf
import TestSupport
import Testing

@testable import weft

@Suite struct ConfigtxlatorServerTests {
    private let routes: [HTTPRoute]

    init() throws {
        self.routes = try ConfigtxlatorServer(access: CrossOriginAccess([])).routes
    }

    private func ask(
        _ method: String,
        _ path: String,
        type: String = "",
        query: String? = nil,
        _ body: Data = Data()
    ) async throws -> HTTPExchangeResponse {
        let route = try #require(self.routes.first)
        return await route.answer(
            HTTPExchangeRequest(
                method: method,
                path: path,
                query: query,
                fields: [("Content-Type", type)],
                body: body
            )
        )
    }

    private func config(_ version: UInt64) throws -> Data {
        try Common_Config.with {
            $0.channelGroup.modPolicy = "Admins"
            $0.channelGroup.values["Capabilities"] = .with {
                $0.version = version
                $0.value = Data(version == 0 ? [] : [10, 8, 10, 4, 86, 51, 95, 48, 18, 0])
            }
        }.serializedBytes()
    }

    @Test func `A message becomes JSON and the same message again`() async throws {
        let bytes = try self.config(1)
        let json = try await self.ask("POST", "/protolator/decode/common.Config", bytes)
        #expect(json.status == 200)
        #expect(json.fields["Content-Type"] == "application/json")
        #expect(String(decoding: json.body, as: UTF8.self).contains("V3_0"))
        let again = try await self.ask("POST", "/protolator/encode/common.Config", json.body)
        #expect(again.status == 200)
        #expect(again.body == bytes)
    }

    @Test func `The update between two configurations is computed`() async throws {
        let (old, new) = (try self.config(0), try self.config(1))
        let channel = ("channel", String?.none, Data("emissions".utf8))
        let body = form([channel, ("original", "a.pb", old), ("updated", "b.pb", new)])
        let path = "/configtxlator/compute/update-from-configs"
        let answer = try await self.ask("POST", path, type: "multipart/form-data; boundary=limit", body)
        #expect(answer.status == 200)
        let update = try Common_ConfigUpdate(serializedBytes: answer.body)
        #expect(update.channelID == "emissions")
        #expect(update.writeSet.values["Capabilities"] != nil)
        let named = try await self.ask(
            "POST",
            path,
            type: "multipart/form-data; boundary=limit",
            query: "channel=other",
            form([("original", "a.pb", old), ("updated", "b.pb", new)])
        )
        #expect(try Common_ConfigUpdate(serializedBytes: named.body).channelID == "other")
    }

    @Test func `What can't be done is said in Fabric's words`() async throws {
        let path = "/configtxlator/compute/update-from-configs"
        let type = "multipart/form-data; boundary=limit"
        let old = try self.config(0)
        let cases: [(String, String, Data, String)] = [
            (
                path, "", Data(),
                "Error with field 'original': error reading field bytes: request Content-Type isn't"
            ),
            (
                path, type, form([("original", nil, old)]),
                "Error with field 'original': error reading field bytes: http: no such file"
            ),
            (path, type, form([("original", "a", old)]), "Error with field 'updated'"),
            (
                path, type, form([("original", "a", Data([255]))]),
                "Error with field 'original': error unmarshalling"
            ),
            (
                path, type, form([("original", "a", old), ("updated", "b", old)]),
                "Error computing update: no differences detected"
            ),
            ("/protolator/decode/common.Config", "", Data([255]), "no message"),
            ("/protolator/encode/common.Config", "", Data("{".utf8), "JSON"),
        ]
        for (path, type, body, words) in cases {
            let answer = try await self.ask("POST", path, type: type, body)
            #expect(answer.status == 400)
            #expect(
                String(decoding: answer.body, as: UTF8.self).contains(words),
                "\(String(decoding: answer.body, as: UTF8.self))"
            )
        }
        for (method, path, status) in [
            ("POST", "/protolator/decode/common.Nothing", 404), ("POST", "/protolator/decode/", 404),
            ("POST", "/protolator/decode/common.Config/more", 404), ("POST", "/", 404),
            ("POST", "/protolator/decode/common.Config/", 301),
            ("GET", "/protolator/decode/common.Config", 405),
            ("GET", path, 405), ("OPTIONS", path, 405),
        ] {
            #expect(try await self.ask(method, path).status == status, "\(method) \(path)")
        }
    }
}

@Suite struct CrossOriginAccessTests {
    private func ask(
        _ origins: [String],
        _ method: String,
        _ fields: HTTPFieldList
    ) -> HTTPExchangeResponse {
        CrossOriginAccess(origins).answer(HTTPExchangeRequest(method: method, path: "/", fields: fields)) {
            _ in
            .text(200, "done")
        }
    }

    private func preflight(_ origin: String, _ method: String, _ headers: String = "") -> HTTPFieldList {
        [
            ("Origin", origin), ("Access-Control-Request-Method", method),
            ("Access-Control-Request-Headers", headers),
        ]
    }

    @Test func `Pages of the named sites may ask`() {
        let one = self.ask(["https://a"], "POST", [("Origin", "https://a")])
        #expect(one.fields["Access-Control-Allow-Origin"] == "https://a")
        #expect(one.fields["Vary"] == nil)
        let two = self.ask(["https://a", "https://b"], "POST", [("Origin", "https://b")])
        #expect(two.fields["Access-Control-Allow-Origin"] == "https://b")
        #expect(two.fields["Vary"] == "Origin")
        let all = self.ask(["https://a", "*"], "POST", [("Origin", "https://c")])
        #expect(all.fields["Access-Control-Allow-Origin"] == "*")
        let stranger = self.ask(["https://a"], "POST", [("Origin", "https://c")])
        #expect(stranger.fields["Access-Control-Allow-Origin"] == nil)
        #expect(stranger.body == Data("done".utf8))
        #expect(self.ask([], "POST", [("Origin", "https://a")]).fields["Access-Control-Allow-Origin"] == nil)
    }

    @Test func `A browser is told beforehand what a page may send`() {
        let good = self.ask(["*"], "OPTIONS", self.preflight("https://a", "POST", "content-type, accept"))
        #expect(good.status == 200)
        #expect(good.body.isEmpty)
        #expect(good.fields["Access-Control-Allow-Headers"] == "Content-Type")
        #expect(good.fields["Access-Control-Allow-Origin"] == "*")
        #expect(self.ask(["*"], "OPTIONS", self.preflight("https://a", "DELETE")).status == 405)
        #expect(self.ask(["*"], "OPTIONS", self.preflight("https://a", "POST", "X-Own")).status == 403)
        #expect(self.ask(["*"], "OPTIONS", [("Origin", "https://a")]).status == 400)
        let stranger = self.ask(["https://b"], "OPTIONS", self.preflight("https://a", "POST"))
        #expect(stranger.status == 200)
        #expect(stranger.fields["Access-Control-Allow-Origin"] == nil)
    }
}
