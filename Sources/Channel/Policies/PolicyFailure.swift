/// A policy that a set of signatures does not meet, with the reason for each part of it.
package struct PolicyFailure: Error, Equatable, Sendable, CustomStringConvertible {
    /// The path of the policy (`/Channel/Application/Writers`), or what it is for ("endorsement policy of …").
    package var policy: String
    /// What was required, and what is missing.
    package var reason: String
    /// What became of each signature, in the order of the set.
    package var signatures: [SignatureOutcome]

    package init(policy: String, reason: String, signatures: [SignatureOutcome] = []) {
        self.policy = policy
        self.reason = reason
        self.signatures = signatures
    }

    /// How many signatures a text tells of at most.
    private static let shownSignatures = 20

    package var description: String {
        var outcomes = self.signatures.prefix(Self.shownSignatures).map(\.description)
        if outcomes.isEmpty { outcomes = ["there are no signatures"] }
        let others = self.signatures.count - Self.shownSignatures
        if others > 0 { outcomes.append("and \(others) more signatures") }
        return "policy \(self.policy) is not satisfied: \(self.reason); \(outcomes.joined(separator: "; "))"
    }
}

/// What a signature did for a policy.
package struct SignatureOutcome: Equatable, Sendable, CustomStringConvertible {
    /// Who signed: the organization and the certificate's subject, or what could be read of them.
    package var signer: String
    /// "counts as 'Org1MSP.admin'", "does not count: …" or "is ignored: its signature does not verify".
    package var outcome: String

    package init(signer: String, outcome: String) {
        self.signer = signer
        self.outcome = outcome
    }

    package var description: String { "\(self.signer) \(self.outcome)" }
}

/// A policy that cannot be evaluated: its bytes, its structure or its text are wrong.
package struct InvalidPolicy: Error, Equatable, Sendable, CustomStringConvertible {
    /// The path of the policy, or what it is for.
    package var policy: String
    /// What is wrong, as a clause.
    package var reason: String

    package init(policy: String, reason: String) {
        self.policy = policy
        self.reason = reason
    }

    package var description: String { "policy \(self.policy) is invalid: \(self.reason)" }
}
