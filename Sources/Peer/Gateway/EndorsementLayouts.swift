package import Channel
package import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// How many endorsements of which organizations satisfy a policy.
package typealias EndorsementLayout = [MSPID: Int]

/// Works out which organizations' peers must endorse, from policies alone.
///
/// A peer counts for principals of role MEMBER and PEER, and for organizational units and identities of its
/// organization only as a guess; the committing peers judge the real endorsements.
///
/// - Source: Fabric v3 documentation, "Service Discovery", layouts of an endorsement descriptor.
package struct EndorsementLayouts: Sendable {
    /// The most layouts kept for one policy: enough for 5 of 9 organizations.
    package static let limit = 256

    private let root: Common_ConfigGroup

    /// - Parameter root: The root group of the channel's configuration.
    package init(root: Common_ConfigGroup) {
        self.root = root
    }

    /// The ways in which all of `policies` can be satisfied at once, those with the fewest endorsements first.
    ///
    /// Empty if there is no way.
    package func layouts(satisfying policies: [Protos_ApplicationPolicy]) -> [EndorsementLayout] {
        var combined: [EndorsementLayout] = [[:]]
        for policy in policies {
            combined = Self.merge(combined, self.layouts(satisfying: policy)) { max($0, $1) }
        }
        return Self.minimal(combined)
    }

    private func layouts(satisfying policy: Protos_ApplicationPolicy) -> [EndorsementLayout] {
        switch policy.type {
        case .signaturePolicy(let envelope): Self.layouts(satisfying: envelope)
        case .channelConfigPolicyReference(let path): self.layouts(atPath: path)
        case nil: []
        }
    }

    // MARK: Signature policies

    private static func layouts(satisfying envelope: Common_SignaturePolicyEnvelope) -> [EndorsementLayout] {
        self.minimal(self.layouts(of: envelope.rule, principals: envelope.identities))
    }

    private static func layouts(
        of rule: Common_SignaturePolicy,
        principals: [Common_MSPPrincipal]
    ) -> [EndorsementLayout] {
        switch rule.type {
        case .signedBy(let index):
            guard principals.indices.contains(Int(index)),
                let organization = self.organization(ofPeerSatisfying: principals[Int(index)])
            else { return [] }
            return [[organization: 1]]
        case .nOutOf(let nOutOf):
            let branches = nOutOf.rules.map { self.layouts(of: $0, principals: principals) }
            return self.choose(Int(nOutOf.n), of: branches, adding: +)
        case nil:
            return []
        }
    }

    /// The organization whose peers satisfy `principal`; `nil` if no peer can.
    private static func organization(ofPeerSatisfying principal: Common_MSPPrincipal) -> MSPID? {
        let name: String?
        switch principal.principalClassification {
        case .role:
            let role = try? Common_MSPRole(serializedBytes: principal.principal)
            name = role.flatMap { $0.role == .member || $0.role == .peer ? $0.mspIdentifier : nil }
        case .organizationUnit:
            name = try? Common_OrganizationUnit(serializedBytes: principal.principal).mspIdentifier
        case .identity:
            name = try? Msp_SerializedIdentity(serializedBytes: principal.principal).mspid
        default:
            name = nil
        }
        return name.flatMap { try? MSPID($0) }
    }

    // MARK: Policies of the channel's configuration

    private func layouts(atPath path: String) -> [EndorsementLayout] {
        var parts = path.split(separator: "/").map(String.init)
        guard parts.first == "Channel", parts.count >= 2 else { return [] }
        let policy = parts.removeLast()
        var group = self.root
        for name in parts.dropFirst() {
            guard let child = group.groups[name] else { return [] }
            group = child
        }
        return Self.minimal(Self.layouts(ofPolicy: policy, in: group))
    }

    private static func layouts(ofPolicy name: String, in group: Common_ConfigGroup) -> [EndorsementLayout] {
        guard let policy = group.policies[name]?.policy else { return [] }
        switch policy.type {
        case Int32(Common_Policy.PolicyType.signature.rawValue):
            let envelope = try? Common_SignaturePolicyEnvelope(policyBytes: policy.value)
            return envelope.map { self.layouts(satisfying: $0) } ?? []
        case Int32(Common_Policy.PolicyType.implicitMeta.rawValue):
            guard let meta = try? Common_ImplicitMetaPolicy(serializedBytes: policy.value) else { return [] }
            let children = group.groups.sorted { $0.key < $1.key }.map(\.value)
            let count =
                switch meta.rule {
                case .any: min(1, children.count)
                case .all: children.count
                case .majority: children.isEmpty ? 0 : children.count / 2 + 1
                default: Int.max
                }
            let branches = children.map { self.layouts(ofPolicy: meta.subPolicy, in: $0) }
            // Sub-policies are judged each on all endorsements: one endorsement may serve several of them.
            return self.choose(count, of: branches) { max($0, $1) }
        default:
            return []
        }
    }

    // MARK: Combinations

    /// All ways to take `count` of `branches` and one layout of each branch taken.
    private static func choose(
        _ count: Int,
        of branches: [[EndorsementLayout]],
        adding combine: (Int, Int) -> Int
    ) -> [EndorsementLayout] {
        guard count >= 0, count <= branches.count else { return [] }
        var chosen: [[EndorsementLayout]] = Array(repeating: [], count: count + 1)
        chosen[0] = [[:]]
        for branch in branches {
            for taken in stride(from: count, to: 0, by: -1) {
                let grown = self.merge(chosen[taken - 1], branch, combine)
                chosen[taken] = Array((chosen[taken] + grown).prefix(self.limit))
            }
        }
        return chosen[count]
    }

    private static func merge(
        _ left: [EndorsementLayout],
        _ right: [EndorsementLayout],
        _ combine: (Int, Int) -> Int
    ) -> [EndorsementLayout] {
        var merged: [EndorsementLayout] = []
        for first in left {
            for second in right where merged.count < self.limit {
                merged.append(first.merging(second, uniquingKeysWith: combine))
            }
        }
        return merged
    }

    /// Drops layouts that ask for more than another one does; the smallest first, in a fixed order.
    private static func minimal(_ layouts: [EndorsementLayout]) -> [EndorsementLayout] {
        let sorted = Set(layouts).sorted { left, right in
            let sizes = (left.values.reduce(0, +), right.values.reduce(0, +))
            guard sizes.0 == sizes.1 else { return sizes.0 < sizes.1 }
            return left.keys.sorted().lexicographicallyPrecedes(right.keys.sorted())
        }
        var kept: [EndorsementLayout] = []
        for layout in sorted where !kept.contains(where: { Self.covers(layout, $0) }) {
            kept.append(layout)
        }
        return kept
    }

    private static func covers(_ layout: EndorsementLayout, _ smaller: EndorsementLayout) -> Bool {
        smaller.allSatisfy { (layout[$0.key] ?? 0) >= $0.value }
    }
}
