import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Orderer

/// The verdicts of real Fabric orderers on configuration updates.
///
/// Vectors: `config/updates.json`, recorded from Fabric v3.1.5 orderers.
@Suite struct ConfigVerdictVectorTests {
    struct Case: Decodable, Sendable, CustomTestStringConvertible {
        struct Answer: Decodable, Sendable {
            var status: Int
            var info: String
        }

        var id: String
        var channel: String
        var orderer: Answer?
        var configBefore: String?
        var configAfter: String?

        var testDescription: String { self.id }

        enum CodingKeys: String, CodingKey {
            case id, channel, orderer
            case configBefore = "config_before"
            case configAfter = "config_after"
        }
    }

    static let folder = VectorReport.folder("config")

    static var cases: [Case] {
        get throws {
            let cases = try JSONDecoder().decode(
                [Case].self,
                from: Data(contentsOf: self.folder.appending(path: "updates.json"))
            )
            return cases.filter { $0.orderer != nil && $0.configBefore != nil }
        }
    }

    private static func read(_ path: String) throws -> Data {
        try Data(contentsOf: self.folder.appending(path: path))
    }

    @Test(
        "updates get the status that a Fabric orderer gave, and lead to the same configuration",
        arguments: try cases
    )
    func agrees(vector: Case) throws {
        let answer = try #require(vector.orderer)
        let configuration = try ChannelConfiguration(
            channelID: ChannelID(vector.channel),
            config: Common_Config(serializedBytes: Self.read(try #require(vector.configBefore)))
        )
        let envelope = try Common_Envelope(serializedBytes: Self.read("updates/\(vector.id)/envelope.pb"))
        let processing = ConfigUpdateProcessing(
            rules: EnvelopeRules(configuration: configuration, now: Date()),
            signer: try TestOrganization("OrderMSP").issue("orderer", "orderer"),
            nonce: { Data() }
        )
        var status = Common_Status.success
        var info = ""
        var config: Common_Config?
        do throws(Refusal) {
            config = try processing.configuration(after: self.headers(envelope))
        } catch {
            status = error.status
            info = error.info
        }
        var holds = status.rawValue == answer.status
        if holds, let path = vector.configAfter {
            holds = config == (try Common_Config(serializedBytes: Self.read(path)))
        }
        VectorReport.record(folder: "config", name: "orderer/\(vector.id)", holds: holds, note: info)
        #expect(holds, "\(status) \(info), Fabric answered \(answer.status) \(answer.info)")
    }

    private func headers(_ envelope: Common_Envelope) throws(Refusal) -> EnvelopeHeaders {
        do {
            return try EnvelopeHeaders(envelope)
        } catch {
            throw .badRequest("\(error)")
        }
    }
}
