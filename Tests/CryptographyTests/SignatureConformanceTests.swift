import Cryptography
import Foundation
import TestSupport
import Testing

/// Signatures judged by Fabric v3.1.5's crypto provider; see `ConformanceTests/Vectors/signatures/README.md`.
@Suite struct SignatureConformanceTests {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var certificate: String
        var message_hex: String
        var signature_hex: String
        var bccsp_valid: Bool
        var identity_verify_valid: Bool?
        var testDescription: String { self.name }

        /// What an identity says, where that was recorded; the provider takes digests, also for Ed25519.
        var isValid: Bool { self.identity_verify_valid ?? self.bccsp_valid }
    }

    static let folder = VectorReport.folder("signatures")
    static let file = Result {
        try JSONDecoder().decode([Case].self, from: Data(contentsOf: folder.appending(path: "cases.json")))
    }
    static let cases = (try? file.get()) ?? []

    @Test func hasCases() throws { #expect(try Self.file.get().count > 0) }

    @Test(arguments: cases)
    func givesFabricsVerdict(_ vector: Case) throws {
        let pem = try Data(contentsOf: Self.folder.appending(path: vector.certificate))
        let key = try Certificate(pem: pem).publicKey
        let verdict = key.verify(try bytes(vector.signature_hex), of: try bytes(vector.message_hex))
        let holds = verdict.isValid == vector.isValid
        VectorReport.record(folder: "signatures", name: vector.name, holds: holds, note: "\(verdict)")
        #expect(holds, "\(verdict)")
    }
}

func bytes(_ hex: String) throws -> Data {
    let digits = try hex.map { try #require($0.hexDigitValue) }
    return Data(stride(from: 0, to: digits.count - 1, by: 2).map { UInt8(digits[$0] << 4 | digits[$0 + 1]) })
}
