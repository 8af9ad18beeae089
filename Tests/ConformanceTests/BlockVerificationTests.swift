import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Genuine and altered blocks, judged as the real block verification code judged them.
@Suite struct BlockVerificationTests {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        let name: String
        let file: String
        let channelConfig: String
        let signatureValid: Bool
        let dataError: String?
        let dataHashMatchesHeader: Bool?

        enum CodingKeys: String, CodingKey {
            case name, file
            case channelConfig = "channel_config"
            case signatureValid = "signature_valid"
            case dataError = "data_error"
            case dataHashMatchesHeader = "data_hash_matches_header"
        }

        var testDescription: String { self.name }
    }

    private static let folder = VectorReport.folder("block-signatures")

    static func cases() throws -> [Case] {
        try JSONDecoder().decode(
            [Case].self,
            from: Data(contentsOf: self.folder.appendingPathComponent("cases.json"))
        )
    }

    private static func block(_ file: String) throws -> Common_Block {
        try Common_Block(serializedBytes: Data(contentsOf: self.folder.appendingPathComponent(file)))
    }

    @Test(arguments: try Self.cases())
    func signaturesAndTransactionsAreJudgedAlike(_ vector: Case) throws {
        let configuration = try ChannelConfiguration(configBlock: Self.block(vector.channelConfig))
        let block = try Self.block(vector.file)

        var signatureFailure: String?
        do {
            try block.verifySignatures(under: configuration)
        } catch {
            signatureFailure = "\(error)"
        }
        #expect((signatureFailure == nil) == vector.signatureValid, "\(signatureFailure ?? "accepted")")

        var structureFailure: String?
        do {
            try block.checkStructure(after: nil, expected: block.header.number)
        } catch {
            structureFailure = "\(error)"
        }
        // Fewer than five metadata slots are a matter of structure here; the vectors have no verdict on that.
        let isWellFormed = vector.dataError == nil && vector.dataHashMatchesHeader == true
        if block.metadata.metadata.count >= 5 {
            #expect((structureFailure == nil) == isWellFormed, "\(structureFailure ?? "accepted")")
        } else {
            #expect(structureFailure != nil)
        }
        VectorReport.record(
            folder: "block-signatures",
            name: vector.name,
            holds: (signatureFailure == nil) == vector.signatureValid
                && (block.metadata.metadata.count < 5 || (structureFailure == nil) == isWellFormed),
            note: [signatureFailure, structureFailure].compactMap(\.self).joined(separator: "; ")
        )
    }
}
