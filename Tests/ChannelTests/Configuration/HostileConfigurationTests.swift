import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Configurations and updates of shapes that nobody honest makes: refused, or handled in bounded time and memory.
@Suite struct HostileConfigurationTests {
    private func real(_ name: String = "raft1-org3") throws -> ChannelConfiguration {
        try ConfigurationEditTests.real(name)
    }

    private func configuration(
        _ change: (inout Common_ConfigGroup) throws -> Void
    ) throws -> ChannelConfiguration {
        let real = try self.real()
        var config = real.config
        try change(&config.channelGroup)
        return try ChannelConfiguration(channelID: real.channelID, config: config)
    }

    /// An update whose read set is the current configuration, and whose write set is `change` of it.
    private func envelope(
        _ configuration: ChannelConfiguration,
        _ change: (inout Common_ConfigGroup) throws -> Void
    ) throws -> Common_ConfigUpdateEnvelope {
        var update = Common_ConfigUpdate()
        update.channelID = configuration.channelID.description
        update.readSet = configuration.config.channelGroup
        update.writeSet = configuration.config.channelGroup
        try change(&update.writeSet)
        return try .with { $0.configUpdate = try update.serializedBytes() }
    }

    /// As many organizations as asked for; their MSPs have different names and the same authorities.
    private func crowd(_ count: Int) throws -> ChannelConfiguration {
        try self.configuration { group in
            let model = try #require(group.groups["Application"]?.groups["Alpha"])
            let value = try #require(model.values["MSP"])
            var msp = try Msp_MSPConfig(serializedBytes: value.value)
            var fabric = try Msp_FabricMSPConfig(serializedBytes: msp.config)
            for number in 0..<count {
                fabric.name = "Crowd\(number)MSP"
                msp.config = try fabric.serializedBytes()
                var organization = try ChannelProfile.OrganizationProfile(
                    name: "Crowd\(number)",
                    msp: msp,
                    policies: .applicationOrganization(fabric.name)
                ).applicationGroup()
                organization.version = 0
                group.groups["Application"]?.groups["Crowd\(number)"] = organization
            }
        }
    }

    @Test func aCrowdOfOrganizationsIsAskedOnceAndReasonsStayShort() throws {
        let configuration = try self.crowd(500)
        let policy = try #require(configuration.policies.policy(at: "/Channel/Application/Admins"))
        #expect(policy.explanation([]).description.utf8.count < 20_000)
        let (ways, isComplete) = policy.requirement.combinations()
        #expect(ways.first?.total == 252)
        #expect(!isComplete)
        #expect(policy.requirement.lines().count <= 201)

        // Five thousand elements, all guarded by that policy.
        let envelope = try self.envelope(configuration) { group in
            var application = try #require(group.groups["Application"])
            application.version += 1
            for number in 0..<5_000 { application.policies["P\(number)"] = application.policies["Admins"] }
            group.groups["Application"] = application
        }
        let error = #expect(throws: ConfigUpdateError.self) { try configuration.applying(envelope) }
        #expect(error?.failure?.policy == "/Channel/Application/Admins")
        #expect((error?.description.utf8.count ?? 0) < 20_000)
        let review = try configuration.review(envelope)
        #expect(review.needs.map(\.policy) == ["/Channel/Application/Admins"])
        #expect(review.difference.changes.count >= 5_000)
    }

    @Test func policiesThatPointAtThemselvesRejectEverything() throws {
        let configuration = try self.configuration { group in
            for name in ["/Channel/Application/Loop", "Loop", "../Loop", "/Channel", ""] {
                let rule = Common_ImplicitMetaPolicy.with {
                    $0.subPolicy = name
                    $0.rule = .any
                }
                group.groups["Application"]?.policies["Loop"] = try .with {
                    $0.modPolicy = "Admins"
                    $0.policy.type = 3
                    $0.policy.value = try rule.serializedBytes()
                }
            }
        }
        let loop = try #require(configuration.policies.policy(at: "/Channel/Application/Loop"))
        #expect(!loop.isSatisfied(by: []))
        #expect(!loop.requirement.isPossible)
    }

    @Test func aPolicyMayLockItselfAndThatIsTold() throws {
        let configuration = try self.real()
        let envelope = try self.envelope(configuration) { group in
            group.groups["Orderer"]?.policies["Admins"]?.version += 1
            group.groups["Orderer"]?.policies["Admins"]?.policy =
                try PolicyExpression.parse("OutOf(2, 'OrderMSP.admin', 'GoneMSP.admin')").policy()
        }
        let review = try configuration.review(envelope)
        #expect(review.warnings.contains { $0.contains("/Channel/Orderer/Admins") })
    }

    @Test(arguments: [50, 150, 20_000])
    func groupsNestedDeeplyAreRefused(depth: Int) throws {
        let configuration = try self.real()
        // A group in a map entry in a group ..., innermost first.
        var group = Data()
        for _ in 0..<depth {
            let entry = Data([0x0a, 1, UInt8(ascii: "g")]) + Self.field(2, group)
            group = Self.field(2, entry)
        }
        let update =
            Self.field(1, Data(configuration.channelID.description.utf8)) + Self.field(2, Data())
            + Self.field(3, group)
        let envelope = Common_ConfigUpdateEnvelope.with { $0.configUpdate = update }
        #expect(throws: ConfigUpdateError.self) { try configuration.applying(envelope) }
    }

    @Test func ofTwoGroupsWithOneNameTheLastCounts() throws {
        let configuration = try self.real()
        let first = Self.field(2, Data([0x0a, 1, UInt8(ascii: "G")]) + Self.field(2, Data([0x08, 1])))
        let second = Self.field(2, Data([0x0a, 1, UInt8(ascii: "G")]) + Self.field(2, Data([0x08, 2])))
        let update =
            Self.field(1, Data(configuration.channelID.description.utf8)) + Self.field(3, first + second)
        let decoded = try Common_ConfigUpdate(serializedBytes: update)
        #expect(decoded.writeSet.groups["G"]?.version == 2)
        let envelope = Common_ConfigUpdateEnvelope.with { $0.configUpdate = update }
        #expect(throws: ConfigUpdateError.self) { try configuration.applying(envelope) }
    }

    @Test func manySignaturesOfOneSignerAreVerifiedOnce() throws {
        let configuration = try self.real()
        var envelope = try self.envelope(configuration) {
            $0.groups["Orderer"]?.values["BatchSize"]?.version += 1
        }
        let stranger = Common_ConfigSignature.with { $0.signatureHeader = Data([0x0a, 3, 1, 2, 3]) }
        envelope.signatures = Array(repeating: stranger, count: 20_000)
        let error = #expect(throws: ConfigUpdateError.self) { try configuration.applying(envelope) }
        #expect((error?.description.utf8.count ?? 0) < 20_000)
    }

    @Test func signaturePoliciesOfAHundredThousandNodesAreEvaluated() throws {
        let configuration = try self.configuration { group in
            var message = try PolicyExpression.parse("OR('AlphaMSP.admin')")
            message.rule = .with {
                $0.nOutOf = .with {
                    $0.n = 0
                    $0.rules = (0..<100_000).map { _ in .with { $0.signedBy = 0 } }
                }
            }
            group.groups["Application"]?.policies["Huge"] = try .with {
                $0.modPolicy = "Admins"
                $0.policy = try message.policy()
            }
        }
        try configuration.policies.evaluate("/Channel/Application/Huge", identities: [])
    }

    @Test(arguments: [40, 400])
    func signaturePoliciesNestedDeeplyAreEvaluatedAsInFabric(depth: Int) throws {
        var rule = Self.field(2, Data([0x08, 0]))  // n_out_of { n: 0 }
        for _ in 0..<depth { rule = Self.field(2, Data([0x08, 1]) + Self.field(2, rule)) }
        let policy = Self.field(2, rule)
        let configuration = try self.configuration { group in
            group.groups["Application"]?.policies["Deep"] = .with {
                $0.modPolicy = "Admins"
                $0.policy.type = 1
                $0.policy.value = policy
            }
        }
        try configuration.policies.evaluate("/Channel/Application/Deep", identities: [])
        let deep = try #require(configuration.policies.policy(at: "/Channel/Application/Deep"))
        #expect(deep.requirement.lines().count <= 201)
        #expect(!configuration.config.channelGroup.facts.isEmpty)
    }

    /// A field of bytes in protobuf's encoding.
    private static func field(_ number: UInt8, _ content: Data) -> Data {
        var length = content.count
        var bytes = Data([number << 3 | 2])
        while length > 0x7f {
            bytes.append(UInt8(length & 0x7f) | 0x80)
            length >>= 7
        }
        bytes.append(UInt8(length))
        return bytes + content
    }
}
