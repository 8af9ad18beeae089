import Channel
import FabricProtos
import Foundation
import Peer
import SwiftProtobuf
import Testing

@Suite struct EndorsementLayoutsTests {
    private let organizations = ["A", "B", "C"]

    @Test func majorityOfThreeOrganizationsIsEveryPair() throws {
        let layouts = EndorsementLayouts(root: try self.channel(rule: .majority))
            .layouts(satisfying: [self.reference("/Channel/Application/Endorsement")])
        #expect(layouts == [try self.layout("A", "B"), try self.layout("A", "C"), try self.layout("B", "C")])
    }

    @Test func allOrganizationsIsOneLayoutAndAnyIsOneEach() throws {
        let all = EndorsementLayouts(root: try self.channel(rule: .all))
        let any = EndorsementLayouts(root: try self.channel(rule: .any))
        let reference = self.reference("/Channel/Application/Endorsement")
        #expect(all.layouts(satisfying: [reference]) == [try self.layout("A", "B", "C")])
        #expect(
            any.layouts(satisfying: [reference])
                == [try self.layout("A"), try self.layout("B"), try self.layout("C")]
        )
    }

    @Test func signaturePolicyCountsEveryLeafAndLeavesOutWhatPeersCannotSatisfy() throws {
        let layouts = EndorsementLayouts(root: Common_ConfigGroup())
        // AND(A.peer, A.member) needs two peers of A.
        let two = try self.signature(n: 2, of: [("A", .peer), ("A", .member)])
        #expect(layouts.layouts(satisfying: [two]) == [[try MSPID("A"): 2]])
        // OR(A.admin, B.peer): no peer is an administrator.
        let either = try self.signature(n: 1, of: [("A", .admin), ("B", .peer)])
        #expect(layouts.layouts(satisfying: [either]) == [try self.layout("B")])
        let impossible = try self.signature(n: 1, of: [("A", .client)])
        #expect(layouts.layouts(satisfying: [impossible]).isEmpty)
    }

    @Test func severalPoliciesAreSatisfiedByTheSameEndorsementsWherePossible() throws {
        let layouts = EndorsementLayouts(root: try self.channel(rule: .majority))
        let own = try self.signature(n: 1, of: [("C", .peer)])
        #expect(
            layouts.layouts(satisfying: [self.reference("/Channel/Application/Endorsement"), own])
                == [try self.layout("A", "C"), try self.layout("B", "C")]
        )
    }

    @Test(arguments: ["", "/Channel/Nowhere/Endorsement", "Endorsement", "/Channel/Application/Nothing"])
    func unknownPolicyHasNoLayout(path: String) throws {
        let layouts = EndorsementLayouts(root: try self.channel(rule: .any))
        #expect(layouts.layouts(satisfying: [self.reference(path)]).isEmpty)
    }

    @Test func manyOrganizationsStayWithinTheLimit() throws {
        let names = (0..<16).map { "Org\($0)" }
        let policy = try self.signature(n: 8, of: names.map { ($0, .peer) })
        let layouts = EndorsementLayouts(root: Common_ConfigGroup()).layouts(satisfying: [policy])
        #expect(!layouts.isEmpty)
        #expect(layouts.count <= EndorsementLayouts.limit)
        #expect(layouts.allSatisfy { $0.values.reduce(0, +) == 8 })
    }

    // MARK: Policies

    private func channel(rule: Common_ImplicitMetaPolicy.Rule) throws -> Common_ConfigGroup {
        var application = Common_ConfigGroup()
        for name in self.organizations {
            var group = Common_ConfigGroup()
            group.policies["Endorsement"] = try .with {
                $0.policy.type = Int32(Common_Policy.PolicyType.signature.rawValue)
                $0.policy.value = try self.envelope(n: 1, of: [(name, .peer)]).serializedData()
            }
            application.groups[name] = group
        }
        application.policies["Endorsement"] = try .with {
            $0.policy.type = Int32(Common_Policy.PolicyType.implicitMeta.rawValue)
            $0.policy.value = try Common_ImplicitMetaPolicy.with {
                $0.subPolicy = "Endorsement"
                $0.rule = rule
            }.serializedData()
        }
        return .with { $0.groups["Application"] = application }
    }

    private func reference(_ path: String) -> Protos_ApplicationPolicy {
        .with { $0.channelConfigPolicyReference = path }
    }

    private func signature(
        n: Int32,
        of principals: [(String, Common_MSPRole.MSPRoleType)]
    ) throws -> Protos_ApplicationPolicy {
        let envelope = try self.envelope(n: n, of: principals)
        return .with { $0.signaturePolicy = envelope }
    }

    private func envelope(
        n: Int32,
        of principals: [(String, Common_MSPRole.MSPRoleType)]
    ) throws -> Common_SignaturePolicyEnvelope {
        try .with { envelope in
            envelope.rule.nOutOf.n = n
            for (index, (organization, role)) in principals.enumerated() {
                envelope.rule.nOutOf.rules.append(.with { $0.signedBy = Int32(index) })
                envelope.identities.append(
                    try .with {
                        $0.principalClassification = .role
                        $0.principal = try Common_MSPRole.with {
                            $0.mspIdentifier = organization
                            $0.role = role
                        }.serializedData()
                    }
                )
            }
        }
    }

    private func layout(_ organizations: String...) throws -> EndorsementLayout {
        Dictionary(uniqueKeysWithValues: try organizations.map { (try MSPID($0), 1) })
    }
}
