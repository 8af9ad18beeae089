import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

/// Layouts against an oracle that tries every set of endorsers.
@Suite struct EndorsementRequirementTests {
    private static let organizations = ["alpha", "bravo", "carol"]

    /// A peer, a client and an administrator of each organization: who may endorse here.
    private struct Cast {
        let directory: MembershipDirectory
        let identities: [Identity]

        init() throws {
            let directory = try ConfigurationEditTests.real("raft1-org3").directory
            self.directory = directory
            self.identities = try EndorsementRequirementTests.organizations.flatMap { name in
                try ["peers/peer0", "users/User1@", "users/Admin@"].map { who in
                    let person = who.hasSuffix("@") ? "\(who)\(name).vec.test" : "\(who).\(name).vec.test"
                    let folder = VectorReport.folder("msp").appendingPathComponent(
                        "cryptogen/peerOrganizations/\(name).vec.test/\(person)/msp/signcerts"
                    )
                    let file = try #require(
                        FileManager.default.contentsOfDirectory(
                            at: folder,
                            includingPropertiesForKeys: nil
                        ).first
                    )
                    let message = try Msp_SerializedIdentity.with {
                        $0.mspid = "\(name.capitalized)MSP"
                        $0.idBytes = try Data(contentsOf: file)
                    }
                    return try directory.identity(from: message.serializedData())
                }
            }
        }

        func satisfies(_ identity: Int, _ principal: Principal) -> Bool {
            do {
                try self.directory.satisfies(self.identities[identity], principal)
                return true
            } catch {
                return false
            }
        }
    }

    /// A policy as text, of the principals that are left; without any, of whatever principals.
    private static func policy(
        _ depth: Int,
        _ left: inout [String]?,
        _ random: inout SplitMix64
    ) -> String? {
        if depth == 0 || (depth < 3 && Int.random(in: 0..<3, using: &random) == 0) {
            guard left == nil else { return left?.popLast() }
            let organization = self.organizations.randomElement(using: &random) ?? "alpha"
            let role =
                ["member", "member", "peer", "client", "admin"].randomElement(using: &random) ?? "peer"
            return "'\(organization.capitalized)MSP.\(role)'"
        }
        var parts: [String] = []
        for _ in 0..<Int.random(in: 1...3, using: &random) {
            if let part = self.policy(depth - 1, &left, &random) { parts.append(part) }
        }
        guard !parts.isEmpty else { return nil }
        return "OutOf(\(Int.random(in: 1...parts.count, using: &random)), \(parts.joined(separator: ", ")))"
    }

    /// Principals none of which is another one, too, in any order.
    private static func disjoint(_ random: inout SplitMix64) -> [String] {
        self.organizations.flatMap { name in
            ["peer", "client", "admin"].map { "'\(name.capitalized)MSP.\($0)'" }
        }.shuffled(using: &random)
    }

    /// Every set of endorsers, as bits, that can be used up by a rule.
    private static func sets(_ rule: Common_SignaturePolicy, _ holders: [[Int]]) -> Set<Int> {
        switch rule.type {
        case .signedBy(let principal):
            return Set(holders[Int(principal)].map { 1 << $0 })
        case .nOutOf(let nOutOf):
            var chosen: [Int: Set<Int>] = [0: [0]]
            for part in nOutOf.rules.map({ self.sets($0, holders) }) {
                var next = chosen
                for (count, sets) in chosen {
                    for set in sets {
                        for other in part where set & other == 0 {
                            next[count + 1, default: []].insert(set | other)
                        }
                    }
                }
                chosen = next
            }
            return chosen[Int(nOutOf.n)] ?? []
        case nil:
            return []
        }
    }

    /// The evaluator gives signers to rules as they come.
    ///
    /// Where a signer could serve several rules of one policy it may
    /// ask for more signers than are needed, so it is asked about policies whose principals have nobody in common.
    @Test(arguments: seeds(80))
    func aSetOfEndorsersFillsALayoutExactlyIfItSatisfiesThePolicies(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let cast = try Cast()
        let isDisjoint = seed.isMultiple(of: 2)
        let texts = (0..<Int.random(in: 1...3, using: &random)).compactMap { _ in
            var left = isDisjoint ? Self.disjoint(&random) : nil
            return Self.policy(3, &left, &random)
        }
        let messages = try texts.map { try PolicyExpression.parse($0) }
        let policies = try zip(texts, messages).map {
            try CompiledPolicy(name: $0, signaturePolicy: $1, directory: cast.directory)
        }
        let requirement = EndorsementRequirement(policies)
        let (layouts, isComplete) = requirement.layouts()
        let principals = requirement.principals
        let satisfied = cast.identities.indices.map { identity in
            principals.map { cast.satisfies(identity, $0) }
        }
        let oracle = messages.map { message in
            let holders = message.identities.map { principal in
                cast.identities.indices.filter { cast.satisfies($0, Principal(principal)) }
            }
            return Self.sets(message.rule, holders)
        }
        for set in 0..<(1 << cast.identities.count) {
            let members = cast.identities.indices.filter { set & (1 << $0) != 0 }
            let isEnough = oracle.allSatisfy { sets in sets.contains { $0 & set == $0 } }
            let chosen = layouts.lazy.compactMap { layout in
                layout.endorsers(among: members) { satisfied[$0][$1] }
            }.first
            // Where there are too many layouts for all to be listed, those listed are right.
            try #require(
                (chosen != nil) == isEnough || (!isComplete && chosen == nil),
                "seed \(seed), \(texts), endorsers \(members)"
            )
            guard let chosen, isDisjoint else { continue }
            for policy in policies {
                let isSatisfied = policy.isSatisfied(by: chosen.map { cast.identities[$0] })
                try #require(isSatisfied, "seed \(seed), \(texts), endorsers \(chosen)")
            }
        }
        for (number, layout) in layouts.enumerated() {
            let isRedundant = layouts.enumerated().contains { other in
                other.offset != number
                    && other.element.quantities.entries.allSatisfy {
                        layout.quantities[$0.principal] >= $0.count
                    }
            }
            #expect(!isRedundant, "seed \(seed), \(texts)")
        }
    }

    // MARK: Single cases

    private func layouts(_ texts: String..., capacity: [Int]? = nil) throws -> [String] {
        let directory = try ConfigurationEditTests.real("raft1-org3").directory
        let requirement = EndorsementRequirement(
            try texts.map {
                try CompiledPolicy(signaturePolicy: PolicyExpression.parse($0), directory: directory)
            }
        )
        return requirement.layouts(capacity: capacity).list.map { layout in
            layout.quantities.entries.map { "\($0.count) \(requirement.names[$0.principal])" }
                .joined(separator: ", ")
        }
    }

    @Test func everyLeafNeedsAnEndorserOfItsOwn() throws {
        #expect(
            try self.layouts("AND('AlphaMSP.peer', 'AlphaMSP.peer', 'BravoMSP.peer')")
                == ["2 'AlphaMSP.peer', 1 'BravoMSP.peer'"]
        )
    }

    @Test func oneEndorserServesSeveralPoliciesAtOnce() throws {
        #expect(
            try self.layouts(
                "OutOf(2, 'AlphaMSP.member', 'BravoMSP.member', 'CarolMSP.member')",
                "OR('CarolMSP.peer')"
            )
                == [
                    "1 'AlphaMSP.member', 1 'CarolMSP.peer'", "1 'BravoMSP.member', 1 'CarolMSP.peer'",
                ]
        )
    }

    @Test func aMajorityOfTheChannelsOrganizationsIsEveryPair() throws {
        let configuration = try ConfigurationEditTests.real("raft1-org3")
        let policy = try #require(configuration.policies.policy(at: "/Channel/Application/Endorsement"))
        let requirement = EndorsementRequirement([policy])
        let layouts = requirement.layouts().list
        #expect(layouts.map { $0.quantities.total } == [2, 2, 2])
        #expect(Set(layouts.map { $0.quantities.entries.map(\.principal) }) == [[0, 1], [0, 2], [1, 2]])
    }

    @Test func whatNobodyCanSatisfyHasNoLayout() throws {
        let configuration = try ConfigurationEditTests.real("raft1-org3")
        let missing = configuration.policies.policy(named: "/Channel/Nowhere", in: "/Channel")
        #expect(EndorsementRequirement([missing]).layouts().list.isEmpty)
    }

    /// 16 of 32 organizations are 600 million layouts, of which not all can be listed; those that the peers allow are found.
    @Test func layoutsOfLargePoliciesAreBoundedAndFitTheCandidates() throws {
        let directory = try MembershipDirectory([])
        let names = (0..<32).map { "'Org\($0)MSP.peer'" }
        for threshold in [4, 16, 28] {
            let text = "OutOf(\(threshold), \(names.joined(separator: ", ")))"
            let requirement = EndorsementRequirement([
                try CompiledPolicy(signaturePolicy: PolicyExpression.parse(text), directory: directory)
            ])
            let (all, isComplete) = requirement.layouts()
            #expect(!all.isEmpty && all.count <= EndorsementRequirement.layoutLimit && !isComplete)
            #expect(all.allSatisfy { $0.quantities.total == threshold })
            // Only the last organizations have peers.
            let capacity = (0..<32).map { $0 >= 32 - threshold ? 1 : 0 }
            let fitting = requirement.layouts(capacity: capacity).list
            #expect(fitting.map { $0.quantities.entries.map(\.principal) } == [Array((32 - threshold)..<32)])
        }
    }

    @Test func hugePoliciesGetOneLayoutInBoundedTimeAndSpace() throws {
        var message = try PolicyExpression.parse("OR('AlphaMSP.admin')")
        message.rule = .with {
            $0.nOutOf = .with {
                $0.n = 10_000
                $0.rules = (0..<20_000).map { _ in .with { $0.signedBy = 0 } }
            }
        }
        let requirement = EndorsementRequirement([
            try CompiledPolicy(signaturePolicy: message, directory: MembershipDirectory([]))
        ])
        let (layouts, isComplete) = requirement.layouts()
        #expect(layouts.map { $0.quantities.total } == [10_000])
        #expect(!isComplete)
        #expect(requirement.layouts(capacity: [9_999]).list.isEmpty)
        #expect(layouts.first?.endorsers(among: Array(0..<100)) { _, _ in true } == nil)
    }

    @Test func theFirstInOrderArePreferred() throws {
        let directory = try MembershipDirectory([])
        let requirement = EndorsementRequirement([
            try CompiledPolicy(
                signaturePolicy: PolicyExpression.parse("AND('A.member', 'A.peer')"),
                directory: directory
            )
        ])
        let layout = try #require(requirement.layouts().list.first)
        let peer = try #require(requirement.principals.firstIndex { "\($0)" == "A.peer" })
        // Candidate 2 alone is a peer; 0 is preferred for the other place.
        let chosen = layout.endorsers(among: [2, 0, 1]) { candidate, principal in
            principal != peer || candidate == 2
        }
        #expect(chosen.map(Set.init) == [0, 2])
    }
}
