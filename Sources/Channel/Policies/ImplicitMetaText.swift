package import FabricProtos
import FoundationEssentials
import SwiftProtobuf

extension ImplicitMetaRule {
    /// Reads a rule in the policy language: `MAJORITY Admins`, exactly one space.
    ///
    /// - Throws: ``InvalidPolicyText``.
    package init(parsing text: String) throws(InvalidPolicyText) {
        let words = text.split(separator: " ", omittingEmptySubsequences: false)
        guard words.count == 2 else {
            throw InvalidPolicyText(
                text: text,
                reason:
                    "it has \(words.count) words between single spaces; write for example \"MAJORITY Admins\""
            )
        }
        guard let quantifier = Quantifier(rawValue: String(words[0])) else {
            throw InvalidPolicyText(
                text: text,
                reason: "\"\(words[0])\" is none of ANY, ALL and MAJORITY"
            )
        }
        self.init(quantifier, String(words[1]))
    }

    /// Reads a serialized `common.ImplicitMetaPolicy`.
    ///
    /// - Throws: ``InvalidPolicy`` for the policy named `policy`.
    init(serialized: Data, policy: String) throws(InvalidPolicy) {
        let message: Common_ImplicitMetaPolicy
        do {
            message = try Common_ImplicitMetaPolicy(serializedBytes: serialized)
        } catch {
            throw InvalidPolicy(policy: policy, reason: "its bytes are no implicit meta policy: \(error)")
        }
        switch message.rule {
        case .any: self.init(.any, message.subPolicy)
        case .all: self.init(.all, message.subPolicy)
        case .majority: self.init(.majority, message.subPolicy)
        case .UNRECOGNIZED(let number):
            throw InvalidPolicy(
                policy: policy,
                reason: "its rule is \(number); rules are 0 (ANY), 1 (ALL) and 2 (MAJORITY)"
            )
        }
    }

    /// The rule as a policy of a configuration.
    package func policy() throws -> Common_Policy {
        let message = Common_ImplicitMetaPolicy.with {
            $0.subPolicy = self.subPolicy
            switch self.quantifier {
            case .any: $0.rule = .any
            case .all: $0.rule = .all
            case .majority: $0.rule = .majority
            }
        }
        return try .with {
            $0.type = Int32(Common_Policy.PolicyType.implicitMeta.rawValue)
            $0.value = try message.serializedBytes()
        }
    }
}

extension Common_SignaturePolicyEnvelope {
    /// The signatures as a policy of a configuration.
    package func policy() throws -> Common_Policy {
        try .with {
            $0.type = Int32(Common_Policy.PolicyType.signature.rawValue)
            $0.value = try self.serializedBytes()
        }
    }
}
