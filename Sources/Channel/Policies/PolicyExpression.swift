package import FabricProtos
import SwiftProtobuf

/// A signature policy in the policy language.
///
/// ```
/// call  = ( AND | OR ) "(" rule { "," rule } [ "," ] ")"  |  OutOf "(" count "," rule { "," rule } [ "," ] ")"
/// rule  = call | "'" MSPID "." role "'"           role = member | admin | client | peer | orderer
/// count = number or quoted number; at most one more than there are rules
/// ```
/// `AND` may be written `And`, `OR` `Or`, `OutOf` `outof` or `OUTOF`; double quotes do as well.
///
/// - Source: Fabric v3.1, package `common/policydsl` and the endorsement policy documentation; which texts are
///   taken, and the bytes they become, were compared with the real parser.
package enum PolicyExpression {
    /// Reads a policy.
    ///
    /// Repeated principals stay repeated, and the principals of inner calls come before those of the call
    /// around them, as in Fabric: the bytes are part of contract definitions that organizations compare.
    ///
    /// - Throws: ``InvalidPolicyText`` with the position and what was expected there.
    package static func parse(_ text: String) throws(InvalidPolicyText) -> Common_SignaturePolicyEnvelope {
        var parser = PolicyParser(text)
        let call = try parser.parse()
        var principals: [Common_MSPPrincipal] = []
        let rule = try Self.encode(call, principals: &principals, text: text)
        return .with {
            $0.version = 0
            $0.rule = rule
            $0.identities = principals
        }
    }

    /// The policy in the policy language, with words for principals that have no form there.
    package static func text(_ policy: Common_SignaturePolicyEnvelope) -> String {
        guard let rule = try? SignatureRule(policy.rule, principalCount: policy.identities.count) else {
            return "a malformed policy"
        }
        return rule.text(policy.identities.map(\.name))
    }

    private static func encode(
        _ call: PolicyParser.Call,
        principals: inout [Common_MSPPrincipal],
        text: String
    ) throws(InvalidPolicyText) -> Common_SignaturePolicy {
        var rules = [Common_SignaturePolicy?](repeating: nil, count: call.rules.count)
        for (index, rule) in call.rules.enumerated() {
            guard case .call(let inner) = rule else { continue }
            rules[index] = try Self.encode(inner, principals: &principals, text: text)
        }
        for (index, rule) in call.rules.enumerated() {
            guard case .principal(let mspIdentifier, let role) = rule else { continue }
            rules[index] = .with { $0.signedBy = Int32(clamping: principals.count) }
            do {
                principals.append(try .role(role, of: mspIdentifier))
            } catch {
                throw InvalidPolicyText(text: text, reason: "\(error)")
            }
        }
        return .with {
            $0.nOutOf = .with {
                $0.n = Int32(clamping: call.count)
                $0.rules = rules.compactMap(\.self)
            }
        }
    }
}

/// A policy text that is not in the policy language.
package struct InvalidPolicyText: Error, Equatable, Sendable, CustomStringConvertible {
    package var text: String
    /// What is wrong and what was expected, as a clause.
    package var reason: String
    /// Where, counted in characters from 1; `nil` if the text as a whole is meant.
    package var position: Int?

    package init(text: String, reason: String, position: Int? = nil) {
        self.text = text
        self.reason = reason
        self.position = position
    }

    package var description: String {
        let place = self.position.map { " at character \($0)" } ?? ""
        return "the policy \"\(self.text.prefix(300))\" cannot be read\(place): \(self.reason)"
    }
}
