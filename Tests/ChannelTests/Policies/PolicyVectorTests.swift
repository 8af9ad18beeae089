import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Verdicts of real Fabric on policies: see `Vectors/policies/README.md` for how they were made.
@Suite struct PolicyVectorTests {
    private struct Cases: Decodable {
        struct Signer: Decodable {
            let serializedHex: String

            enum CodingKeys: String, CodingKey { case serializedHex = "serialized_hex" }
        }
        struct Case: Decodable {
            let id: String
            let channelConfig: String
            let policyHex: String?
            let policyText: String?
            let newPolicyError: String?
            let path: String?
            let signers: [String]
            let signatures: [String]
            let satisfied: Bool?
            let identitiesKept: [String]?

            enum CodingKeys: String, CodingKey {
                case id, path, signers, signatures, satisfied
                case channelConfig = "channel_config"
                case policyHex = "policy_hex"
                case policyText = "policy_text"
                case newPolicyError = "new_policy_error"
                case identitiesKept = "identities_kept"
            }
        }
        let dataHex: String
        let identities: [String: Signer]
        let cases: [Case]

        enum CodingKeys: String, CodingKey {
            case identities, cases
            case dataHex = "data_hex"
        }
    }

    private struct Texts: Decodable {
        struct Text: Decodable {
            let text: String
            let error: String?
            let policyHex: String?

            enum CodingKeys: String, CodingKey {
                case text, error
                case policyHex = "policy_hex"
            }
        }
        let signaturePolicies: [Text]
        let implicitMetaPolicies: [Text]

        enum CodingKeys: String, CodingKey {
            case signaturePolicies = "signature_policies"
            case implicitMetaPolicies = "implicit_meta_policies"
        }
    }

    private let folder = VectorReport.folder("policies")

    private func load<Content: Decodable>(_ name: String) throws -> Content {
        try JSONDecoder().decode(
            Content.self,
            from: Data(contentsOf: self.folder.appendingPathComponent(name))
        )
    }

    @Test func everyPolicyIsSatisfiedByTheSignaturesThatSatisfyItInFabric() throws {
        let cases: Cases = try self.load("cases.json")
        let data = try #require(Data(hexadecimal: cases.dataHex))
        let identities = try cases.identities.mapValues { try #require(Data(hexadecimal: $0.serializedHex)) }
        var configurations: [String: ChannelConfiguration] = [:]
        for test in cases.cases {
            let configuration =
                try configurations[test.channelConfig] ?? self.configuration(test.channelConfig)
            configurations[test.channelConfig] = configuration
            var set: [SignedData] = []
            for (name, signature) in zip(test.signers, test.signatures) {
                let short = String(name.prefix { $0.isLetter || $0.isNumber })
                set.append(
                    SignedData(
                        data: data,
                        identity: try #require(identities[short], "\(name)"),
                        signature: try #require(Data(hexadecimal: signature))
                    )
                )
            }
            let verdict = self.verdict(test, set, configuration)
            var holds = verdict.satisfied == (test.satisfied ?? false)
            holds = holds && verdict.isInvalid == (test.newPolicyError != nil)
            // Where Fabric refuses the policy, or was asked for none, it did not look at the signatures.
            let kept =
                verdict.isInvalid || test.satisfied == nil
                ? [] : SignatureSet.verified(set, in: configuration.directory).identities
            let keptAlike =
                test.identitiesKept.map { $0 == kept.map { "\($0.mspID):\($0.identifier.id)" } } ?? true
            VectorReport.record(
                folder: "policies",
                name: test.id,
                holds: holds && keptAlike,
                note: verdict.reason
            )
            #expect(holds, "case \(test.id): \(verdict.reason)")
            #expect(keptAlike, "case \(test.id): kept \(kept)")
            #expect(verdict.satisfied || verdict.reason.contains("policy "), "\(verdict.reason)")
        }
    }

    private func configuration(_ name: String) throws -> ChannelConfiguration {
        let bytes = try Data(contentsOf: self.folder.appendingPathComponent(name))
        return try ChannelConfiguration(configBlock: Common_Block(serializedBytes: bytes))
    }

    private func verdict(
        _ test: Cases.Case,
        _ set: [SignedData],
        _ configuration: ChannelConfiguration
    ) -> (satisfied: Bool, isInvalid: Bool, reason: String) {
        do {
            if let path = test.path {
                try configuration.policies.evaluate(path, set)
            } else {
                let policy = try CompiledPolicy(
                    name: "of case \(test.id)",
                    serialized: Data(hexadecimal: test.policyHex ?? "") ?? Data(),
                    directory: configuration.directory
                )
                try policy.evaluate(set)
            }
            return (true, false, "")
        } catch {
            return (false, error is InvalidPolicy, "\(error)")
        }
    }

    @Test func everySignaturePolicyTextBecomesTheBytesOfFabricOrIsRefusedAsThere() throws {
        let texts: Texts = try self.load("policy-text.json")
        for test in texts.signaturePolicies {
            self.check(test) { try PolicyExpression.parse($0).serializedBytes() }
        }
    }

    @Test func everyImplicitMetaTextBecomesTheBytesOfFabricOrIsRefusedAsThere() throws {
        let texts: Texts = try self.load("policy-text.json")
        for test in texts.implicitMetaPolicies {
            self.check(test) { try ImplicitMetaRule(parsing: $0).policy().value }
        }
    }

    private func check(_ test: Texts.Text, _ parse: (String) throws -> Data) {
        let result = Result { try parse(test.text) }
        let bytes = try? result.get()
        let holds = bytes?.hexadecimal == test.policyHex && (bytes == nil) == (test.error != nil)
        VectorReport.record(
            folder: "policies",
            name: "text \(test.text.debugDescription)",
            holds: holds,
            note: "\(result)"
        )
        #expect(holds, "\"\(test.text)\" became \(result); Fabric: \(test.error ?? test.policyHex ?? "")")
    }
}
