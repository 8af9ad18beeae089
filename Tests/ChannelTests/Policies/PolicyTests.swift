import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Policies that real ones would not be, and what their refusals say.
@Suite struct PolicyTests {
    @Test func aDeeplyNestedTextIsRefusedInsteadOfExhaustingTheStack() {
        let text =
            String(repeating: "OR(", count: 100_000) + "'A.member'" + String(repeating: ")", count: 100_000)
        #expect(throws: InvalidPolicyText.self) { try PolicyExpression.parse(text) }
    }

    @Test func aTextWithAMistakeIsRefusedWithItsPlace() throws {
        let error = #expect(throws: InvalidPolicyText.self) {
            try PolicyExpression.parse("AND('A.member', 'B.boss')")
        }
        #expect(error?.position == 17)
        #expect(error?.reason.contains("'B.boss' has no role") == true)
        let bare = #expect(throws: InvalidPolicyText.self) { try PolicyExpression.parse("OR(A.member)") }
        #expect(bare?.reason.contains("in quotes a principal such as 'Org1MSP.member'") == true)
    }

    @Test func aPolicyIsWrittenBackAsItsText() throws {
        let text = "AND('A.member', OutOf(2, 'B.peer', 'C.admin', 'D.client'), OR('E.orderer'))"
        #expect(try PolicyExpression.text(PolicyExpression.parse(text)) == text)
    }

    @Test func anyBytesAreAPolicyOrAnErrorAndNeverACrash() throws {
        var random = SplitMix64(seed: 7)
        let directory = try MembershipDirectory([])
        let real =
            try PolicyExpression.parse("OutOf(2, 'A.member', OR('B.peer', 'C.admin'))").serializedBytes()
            as Data
        for _ in 0..<20_000 {
            var bytes = real
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                let index = Int.random(in: 0..<bytes.count, using: &random)
                bytes[index] = UInt8.random(in: 0...255, using: &random)
            }
            let cut = bytes.prefix(Int.random(in: 0...bytes.count, using: &random))
            for candidate in [bytes, Data(cut)] {
                guard
                    let policy = try? CompiledPolicy(
                        name: "random",
                        serialized: candidate,
                        directory: directory
                    )
                else { continue }
                _ = policy.isSatisfied(by: [])
                _ = try? policy.evaluate([SignedData]())
            }
        }
    }

    @Test func aPolicyOfNoSignaturesIsSatisfiedByNone() throws {
        let directory = try MembershipDirectory([])
        let nothing = Common_SignaturePolicyEnvelope.with { $0.rule.nOutOf = .with { $0.n = 0 } }
        try CompiledPolicy(signaturePolicy: nothing, directory: directory).evaluate([SignedData]())
        let impossible = Common_SignaturePolicyEnvelope.with { $0.rule.nOutOf = .with { $0.n = 1 } }
        #expect(throws: PolicyFailure.self) {
            try CompiledPolicy(signaturePolicy: impossible, directory: directory).evaluate([SignedData]())
        }
    }
}
