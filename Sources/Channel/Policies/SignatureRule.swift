import FabricProtos

/// Who must sign, as a tree of thresholds over numbered principals.
///
/// - Source: Fabric v3, message `common.SignaturePolicy`; evaluation as in package `common/cauthdsl`.
package indirect enum SignatureRule: Hashable, Sendable {
    /// One signature by the principal with this number.
    case signedBy(Int)
    /// At least so many of the rules, each with signatures of its own.
    case atLeast(Int, of: [SignatureRule])

    /// Reads a rule over `principalCount` principals.
    ///
    /// - Throws: ``InvalidPolicy/reason`` as a plain ``MalformedRule``, so that the caller adds the name.
    init(_ message: Common_SignaturePolicy, principalCount: Int) throws(MalformedRule) {
        switch message.type {
        case .signedBy(let number):
            guard number >= 0, Int(number) < principalCount else {
                throw MalformedRule(
                    reason:
                        "it names principal \(number), but lists \(principalCount) principals, counted from 0"
                )
            }
            self = .signedBy(Int(number))
        case .nOutOf(let node):
            var rules: [SignatureRule] = []
            for rule in node.rules {
                rules.append(try SignatureRule(rule, principalCount: principalCount))
            }
            self = .atLeast(Int(node.n), of: rules)
        case nil:
            throw MalformedRule(reason: "it holds an empty rule")
        }
    }

    /// Whether the signers satisfy the rule; `matches` says whether a signer is of a principal.
    ///
    /// Greedy and sensitive to order, as every peer must be: a leaf takes the first unused signer that
    /// matches, all rules of a threshold are tried even after it is reached, and nothing is taken back but
    /// what a rule that failed had taken.
    func isSatisfied(signerCount: Int, matches: (_ signer: Int, _ principal: Int) -> Bool) -> Bool {
        var used = [Bool](repeating: false, count: signerCount)
        return self.consume(&used, matches: matches, counted: nil)
    }

    /// As ``isSatisfied(signerCount:matches:)``, telling `counted` of each match, also in rules that fail later.
    func consume(
        _ used: inout [Bool],
        matches: (_ signer: Int, _ principal: Int) -> Bool,
        counted: ((_ signer: Int, _ principal: Int) -> Void)?
    ) -> Bool {
        switch self {
        case .signedBy(let principal):
            guard let signer = used.indices.first(where: { !used[$0] && matches($0, principal) }) else {
                return false
            }
            used[signer] = true
            counted?(signer, principal)
            return true
        case .atLeast(let threshold, let rules):
            var satisfied = 0
            for rule in rules {
                var copy = used
                if rule.consume(&copy, matches: matches, counted: counted) {
                    satisfied += 1
                    used = copy
                }
            }
            return satisfied >= threshold
        }
    }

    /// The rule in the policy language, with `names` for the principals.
    func text(_ names: [String]) -> String {
        switch self {
        case .signedBy(let principal):
            return principal < names.count ? names[principal] : "principal \(principal)"
        case .atLeast(let threshold, let rules):
            let list = rules.map { $0.text(names) }.joined(separator: ", ")
            if threshold == 1, !rules.isEmpty { return "OR(\(list))" }
            if threshold == rules.count, !rules.isEmpty { return "AND(\(list))" }
            return list.isEmpty ? "OutOf(\(threshold))" : "OutOf(\(threshold), \(list))"
        }
    }

    /// A rule that does not hold together; the reason is a clause.
    struct MalformedRule: Error {
        var reason: String
    }
}
