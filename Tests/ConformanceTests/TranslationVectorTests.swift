import Channel
import Cryptography
import Foundation
import TestSupport
import Testing
import Translation

/// Messages as JSON, held against what Fabric's `configtxlator` prints for them.
@Suite(.enabled(if: VectorReport.applies("translation"))) struct TranslationVectorTests {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        let file: String
        let number: Int?
        let type: String
        /// The SHA-256 of the document; none where Fabric's program refuses the message.
        let json: String?
        let sameBytes: Bool?

        enum CodingKeys: String, CodingKey {
            case file, number, type, json
            case sameBytes = "same_bytes"
        }

        var testDescription: String { self.number.map { "\(self.file) \($0)" } ?? self.file }

        func bytes() throws -> Data {
            let file = VectorReport.root.appendingPathComponent(self.file)
            guard let number else { return try Data(contentsOf: file) }
            return try #require(try BlockFile(contentsOf: file).dropFirst(number).first { _ in true })
        }
    }

    private static let folder = VectorReport.folder("translation")

    static func cases() throws -> [Case] {
        try JSONDecoder().decode(
            [Case].self,
            from: Data(contentsOf: self.folder.appendingPathComponent("documents.json"))
        )
    }

    @Test func everyDocumentIsTheOneThatFabricPrints() throws {
        let translation = try FabricJSON()
        let cases = try Self.cases()
        #expect(cases.count > 300)
        for vector in cases {
            let bytes = try vector.bytes()
            let tree = try? translation.json(of: bytes, type: vector.type)
            let digest = (tree?.document).map { Digest.sha256($0).hexadecimal }
            var holds = digest == vector.json
            #expect(digest == vector.json, "\(vector.testDescription)")
            if let tree, let sameBytes = vector.sameBytes {
                let again = try translation.bytes(of: JSONTree(document: tree.document), type: vector.type)
                #expect((again == bytes) == sameBytes, "\(vector.testDescription)")
                holds = holds && (again == bytes) == sameBytes
            }
            VectorReport.record(folder: "translation", name: vector.testDescription, holds: holds)
        }
    }

    @Test(
        arguments: [
            ("blocks/side.peer.blocks", 3, "common.Block", "side-3.json"),
            (
                "config/updates/15-anchor-peer-own-admin/config_update.pb", nil, "common.ConfigUpdate",
                "15-anchor-peer.json"
            ),
            (
                "config/updates/15-anchor-peer-own-admin/envelope.pb", nil, "common.Envelope",
                "15-anchor-peer-envelope.json"
            ),
        ] as [(String, Int?, String, String)]
    )
    func aDocumentIsTheOneThatFabricPrints(_ file: String, _ number: Int?, _ type: String, _ document: String)
        throws
    {
        let vector = Case(file: file, number: number, type: type, json: nil, sameBytes: nil)
        let expected = try Data(contentsOf: Self.folder.appendingPathComponent(document))
        #expect(try FabricJSON().json(of: vector.bytes(), type: type).document == expected)
    }
}
