import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@Suite struct PolicyRequirementTests {
    private func policy(_ text: String) throws -> CompiledPolicy {
        try CompiledPolicy(
            name: text,
            signaturePolicy: PolicyExpression.parse(text),
            directory: ConfigurationEditTests.real("raft1-org3").directory
        )
    }

    private func ways(_ text: String) throws -> [String] {
        try self.policy(text).requirement.combinations().list.map(\.description)
    }

    @Test func theSmallestSetsOfSignaturesAreFound() throws {
        #expect(
            try self.ways("OR('AlphaMSP.admin', 'BravoMSP.peer')") == ["'AlphaMSP.admin'", "'BravoMSP.peer'"]
        )
        #expect(
            try self.ways(
                "OutOf(2, 'AlphaMSP.admin', 'BravoMSP.peer', AND('CarolMSP.peer', 'CarolMSP.peer'))"
            ) == [
                "'AlphaMSP.admin' and 'BravoMSP.peer'", "'AlphaMSP.admin' and 2 x 'CarolMSP.peer'",
                "'BravoMSP.peer' and 2 x 'CarolMSP.peer'",
            ]
        )
    }

    @Test func aPolicyThatNobodyCanMeetSaysWhy() throws {
        let policy = try self.policy("AND('AlphaMSP.admin', 'NobodyMSP.admin')")
        #expect(policy.requirement.combinations().list.isEmpty)
        #expect(!policy.requirement.isPossible)
        #expect(policy.requirement.lines().contains { $0.contains("NobodyMSP") })
    }

    @Test func oneSignatureServesSeveralPoliciesAtOnce() throws {
        let both = PolicyRequirement.all(
            [
                try self.policy("OR('AlphaMSP.admin')").requirement,
                try self.policy("OR('AlphaMSP.member', 'BravoMSP.member')").requirement,
            ],
            label: "both"
        )
        #expect(both.combinations().list.map(\.description) == ["'AlphaMSP.admin'"])
    }

    @Test func hugePoliciesAreExplainedInBoundedTimeAndSpace() throws {
        var message = try PolicyExpression.parse("OR('AlphaMSP.admin')")
        message.rule = .with {
            $0.nOutOf = .with {
                $0.n = 50_000
                $0.rules = (0..<100_000).map { _ in .with { $0.signedBy = 0 } }
            }
        }
        let policy = try CompiledPolicy(
            signaturePolicy: message,
            directory: ConfigurationEditTests.real("raft1-org3").directory
        )
        let (list, isComplete) = policy.requirement.combinations()
        #expect(list.map(\.total) == [50_000])
        #expect(!isComplete)
        #expect(policy.requirement.lines().count <= 201)
        #expect(!policy.isSatisfied(by: []))
        #expect(policy.explanation([]).description.utf8.count < 10_000)
    }
}
