import Foundation
import TestSupport
import Testing

@testable import Operations

@Suite struct MultipartFormTests {
    private let type = "multipart/form-data; boundary=limit"

    @Test("parts are told apart by the boundary, whatever they hold")
    func takesApart() throws {
        let bytes = Data([0, 13, 10, 45, 45, 108, 105, 109, 255, 13, 10])
        let body = form([("config-block", "config.block", bytes), ("note", nil, Data("--limit".utf8))])
        let parts = try MultipartForm(body, contentType: self.type).parts
        #expect(parts.map(\.name) == ["config-block", "note"])
        #expect(parts.map(\.fileName) == ["config.block", nil])
        #expect(parts.map(\.content) == [bytes, Data("--limit".utf8)])
        // A slice, whose indices don't start at 0, is taken apart as well.
        let slice = (Data(repeating: 7, count: 100) + body).dropFirst(100)
        #expect(try MultipartForm(slice, contentType: self.type).parts.count == 2)
    }

    @Test("a preamble, an epilogue, padding and a quoted boundary are as the RFC has them")
    func followsTheRFC() throws {
        let body = Data(
            "preamble\r\n--a b \t\r\nContent-Disposition: form-data; name=\"x\\\"y\"; filename=\"a;b\"\r\n\r\nz\r\n--a b--epilogue"
                .utf8
        )
        let parts = try MultipartForm(body, contentType: "Multipart/Form-Data; charset=x; BOUNDARY=\"a b\"")
            .parts
        #expect(parts.map(\.name) == ["x\"y"])
        #expect(parts.map(\.fileName) == ["a;b"])
        #expect(parts.map(\.content) == [Data("z".utf8)])
    }

    @Test(
        "what is no form is refused",
        arguments: [
            ("", "multipart/form-data; boundary=limit"),
            ("--limit", "multipart/form-data; boundary=limit"),
            ("--limit\r\n", "multipart/form-data; boundary=limit"),
            ("--limit\r\nContent-Disposition: x\r\n\r\nopen", "multipart/form-data; boundary=limit"),
            ("--limit\r\nno colon\r\n\r\n\r\n--limit--", "multipart/form-data; boundary=limit"),
            ("--limit--", "multipart/form-data"),
            ("--limit--", "multipart/form-data; boundary=\"\""),
            ("--limit--", "multipart/form-data; boundary=\(String(repeating: "x", count: 71))"),
            ("--limitless--", "multipart/form-data; boundary=limit"),
        ]
    )
    func refusesGarbage(body: String, type: String) {
        #expect(throws: MalformedForm.self) { try MultipartForm(Data(body.utf8), contentType: type) }
    }

    @Test("headers and parts are bounded")
    func isBounded() {
        let long = "--limit\r\nX: \(String(repeating: "y", count: 5000))\r\n\r\n\r\n--limit--"
        #expect(throws: MalformedForm.self) { try MultipartForm(Data(long.utf8), contentType: self.type) }
        let lines = "--limit\r\n\(String(repeating: "X: y\r\n", count: 2000))\r\n\r\n--limit--"
        #expect(throws: MalformedForm.self) { try MultipartForm(Data(lines.utf8), contentType: self.type) }
        let many = form((0..<1000).map { ("part\($0)", nil, Data()) })
        #expect(throws: MalformedForm.self) { try MultipartForm(many, contentType: self.type) }
    }

    @Test("mutated forms are taken apart or refused")
    func survivesMutations() {
        let body = form([
            ("config-block", "config.block", Data(repeating: 45, count: 64)), ("a", nil, Data("b".utf8)),
        ])
        var random = SplitMix64(seed: 3)
        for _ in 0..<2000 {
            var bytes = [UInt8](body)
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[index] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: index)
                default: bytes.insert(bytes[index], at: index)
                }
            }
            if let form = try? MultipartForm(Data(bytes), contentType: self.type) {
                #expect(form.parts.count <= MultipartForm.maximumParts)
            }
        }
    }
}
