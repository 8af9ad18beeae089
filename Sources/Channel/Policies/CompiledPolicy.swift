package import FabricProtos
package import FoundationEssentials
import SwiftProtobuf

/// A policy that is ready to be asked whether signatures satisfy it.
///
/// Evaluation is pure and gives the same answer on every node. When the answer is no, the failure says which
/// rule is not met and what each signature was good for.
package struct CompiledPolicy: Sendable {
    /// The path of the policy, or what it is for.
    package let name: String
    let rule: Rule
    let directory: MembershipDirectory

    enum Rule: Sendable {
        /// Signatures of principals.
        case signature(SignatureRule, principals: [NamedPrincipal])
        /// So many of the policies of the groups below.
        case implicitMeta(ImplicitMetaRule, groups: [(name: String, policy: CompiledPolicy)])
        /// Nothing satisfies it: it does not exist.
        case rejectAll(reason: String)
    }

    init(name: String, rule: Rule, directory: MembershipDirectory) {
        self.name = name
        self.rule = rule
        self.directory = directory
    }

    /// Compiles a signature policy.
    ///
    /// - Throws: ``InvalidPolicy`` for another version than 0, an empty rule or a principal out of range.
    package init(
        name: String = "of signatures",
        signaturePolicy message: Common_SignaturePolicyEnvelope,
        directory: MembershipDirectory
    ) throws(InvalidPolicy) {
        guard message.version == 0 else {
            throw InvalidPolicy(policy: name, reason: "its version is \(message.version), only 0 is known")
        }
        do {
            let rule = try SignatureRule(message.rule, principalCount: message.identities.count)
            self.init(
                name: name,
                rule: .signature(rule, principals: message.identities.map(NamedPrincipal.init)),
                directory: directory
            )
        } catch {
            throw InvalidPolicy(policy: name, reason: error.reason)
        }
    }

    /// Compiles a serialized `common.SignaturePolicyEnvelope`.
    ///
    /// - Throws: ``InvalidPolicy``.
    package init(name: String, serialized: Data, directory: MembershipDirectory) throws(InvalidPolicy) {
        let message: Common_SignaturePolicyEnvelope
        do {
            message = try Common_SignaturePolicyEnvelope(policyBytes: serialized)
        } catch {
            throw InvalidPolicy(policy: name, reason: "its bytes are no signature policy: \(error)")
        }
        try self.init(name: name, signaturePolicy: message, directory: directory)
    }

    /// The policy that nothing satisfies: what a name that cannot be resolved stands for.
    package static func rejectAll(
        name: String,
        reason: String,
        directory: MembershipDirectory
    ) -> CompiledPolicy {
        CompiledPolicy(name: name, rule: .rejectAll(reason: reason), directory: directory)
    }

    /// Whether identities whose signatures were verified satisfy the policy.
    ///
    /// Their order matters.
    package func isSatisfied(by identities: [Identity]) -> Bool {
        switch self.rule {
        case .signature(let rule, let principals):
            return rule.isSatisfied(signerCount: identities.count) { signer, principal in
                self.refusal(of: identities[signer], as: principals[principal]) == nil
            }
        case .implicitMeta(let meta, let groups):
            let threshold = meta.threshold(groupCount: groups.count)
            var satisfied = 0
            for group in groups where satisfied < threshold && group.policy.isSatisfied(by: identities) {
                satisfied += 1
            }
            return satisfied >= threshold
        case .rejectAll:
            return false
        }
    }

    /// Decides whether identities whose signatures were verified satisfy the policy.
    ///
    /// Their order matters.
    ///
    /// - Throws: ``PolicyFailure``.
    package func evaluate(_ identities: [Identity]) throws(PolicyFailure) {
        guard !self.isSatisfied(by: identities) else { return }
        throw self.failure(identities, rejected: [])
    }

    /// Verifies the signatures and decides whether the identities behind them satisfy the policy.
    ///
    /// - Throws: ``PolicyFailure``.
    package func evaluate(_ set: [SignedData]) throws(PolicyFailure) {
        let (identities, rejected) = SignatureSet.verified(set, in: self.directory)
        guard !self.isSatisfied(by: identities) else { return }
        throw self.failure(identities, rejected: rejected)
    }

    /// Why an identity is not of a principal, or `nil` if it is.
    func refusal(of identity: Identity, as principal: NamedPrincipal) -> IdentityError? {
        do {
            try self.directory.satisfies(identity, principal.principal)
            return nil
        } catch {
            return error
        }
    }
}

/// How many groups have to agree.
///
/// - Source: Fabric v3, message `common.ImplicitMetaPolicy`; thresholds as in package `common/policies`.
package struct ImplicitMetaRule: Hashable, Sendable, CustomStringConvertible {
    package enum Quantifier: String, Sendable {
        case any = "ANY", all = "ALL", majority = "MAJORITY"
    }

    package var quantifier: Quantifier
    /// The name of the policy that is asked in each group.
    package var subPolicy: String

    package init(_ quantifier: Quantifier, _ subPolicy: String) {
        self.quantifier = quantifier
        self.subPolicy = subPolicy
    }

    /// How many of `groupCount` groups must agree.
    ///
    /// Of no groups none must, so that the policy always holds.
    package func threshold(groupCount: Int) -> Int {
        guard groupCount > 0 else { return 0 }
        switch self.quantifier {
        case .any: return 1
        case .all: return groupCount
        case .majority: return groupCount / 2 + 1
        }
    }

    package var description: String { "\(self.quantifier.rawValue) \(self.subPolicy)" }
}

/// A principal with what messages call it.
struct NamedPrincipal: Sendable {
    let principal: Principal
    /// The principal in the policy language where it has a form there, else in words.
    let name: String
    /// The organization it is about, where there is just one.
    let mspIdentifier: String?

    init(_ message: Common_MSPPrincipal) {
        self.principal = Principal(message)
        self.name = message.name
        self.mspIdentifier = message.mspIdentifier
    }
}
