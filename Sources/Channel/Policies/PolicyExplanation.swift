extension CompiledPolicy {
    /// What the policy asks for, and what each signature is good for, whether it is satisfied or not.
    ///
    /// - Parameters:
    ///   - identities: signers whose signatures were verified.
    ///   - rejected: signatures that count for no policy.
    /// - Returns: the explanation; its words are those of a failure, also where there is none.
    package func explanation(_ identities: [Identity], rejected: [RejectedSignature] = []) -> PolicyFailure {
        self.failure(identities, rejected: rejected)
    }

    /// Whether a signature of `identity` is good for any part of the policy.
    package func counts(_ identity: Identity) -> Bool {
        switch self.rule {
        case .signature(_, let principals):
            principals.contains { self.refusal(of: identity, as: $0) == nil }
        case .implicitMeta(_, let groups):
            groups.contains { $0.policy.counts(identity) }
        case .rejectAll:
            false
        }
    }

    /// The failure of the policy, with what each signature was good for.
    func failure(_ identities: [Identity], rejected: [RejectedSignature]) -> PolicyFailure {
        var ledger = SignatureLedger(identities: identities)
        let reason = self.explain(identities, into: &ledger)
        return PolicyFailure(
            policy: self.name,
            reason: reason,
            signatures: ledger.outcomes
                + rejected.map {
                    SignatureOutcome(signer: $0.signer, outcome: "is ignored: \($0.reason)")
                }
        )
    }

    /// How many groups that are missing, and how many characters of a rule, a reason tells at most.
    private static let shownParts = 20
    private static let shownCharacters = 2_000

    /// What is required and missing, as a clause; notes in `ledger` what identities were good for.
    private func explain(_ identities: [Identity], into ledger: inout SignatureLedger) -> String {
        switch self.rule {
        case .signature(let rule, let principals):
            for (index, identity) in identities.enumerated() {
                for principal in principals {
                    ledger.note(index, self.refusal(of: identity, as: principal), as: principal, by: identity)
                }
            }
            let text = rule.text(principals.map(\.name))
            let isLong = text.utf8.count > Self.shownCharacters
            return "it requires \(isLong ? text.prefix(Self.shownCharacters) + "…" : text[...])"
        case .implicitMeta(let meta, let groups):
            var missing: [String] = []
            for group in groups {
                let reason = group.policy.explain(identities, into: &ledger)
                if !group.policy.isSatisfied(by: identities) { missing.append("\(group.name): \(reason)") }
            }
            let threshold = meta.threshold(groupCount: groups.count)
            let missingCount = missing.count
            if missingCount > Self.shownParts {
                missing.removeSubrange(Self.shownParts...)
                missing.append("and \(missingCount - Self.shownParts) more")
            }
            return "\(meta) requires \(threshold) of \(groups.count) groups and has "
                + "\(groups.count - missingCount) (\(missing.joined(separator: "; ")))"
        case .rejectAll(let reason):
            return reason
        }
    }
}

/// What each identity was good for while a policy was explained.
private struct SignatureLedger {
    let identities: [Identity]
    private var matches: [[String]]
    private var refusals: [[String]]

    init(identities: [Identity]) {
        self.identities = identities
        self.matches = Array(repeating: [], count: identities.count)
        self.refusals = Array(repeating: [], count: identities.count)
    }

    mutating func note(
        _ index: Int,
        _ refusal: IdentityError?,
        as principal: NamedPrincipal,
        by identity: Identity
    ) {
        if let refusal {
            // That an identity is not of another organization needs no words.
            let organization = principal.mspIdentifier
            guard organization == nil || organization == identity.mspID.description else { return }
            let reason = "as \(principal.name): \(refusal)"
            if !self.refusals[index].contains(reason) { self.refusals[index].append(reason) }
        } else if !self.matches[index].contains(principal.name) {
            self.matches[index].append(principal.name)
        }
    }

    var outcomes: [SignatureOutcome] {
        self.identities.enumerated().map { index, identity in
            let outcome =
                if !self.matches[index].isEmpty {
                    "can count, once, as \(self.matches[index].joined(separator: " or "))"
                } else if !self.refusals[index].isEmpty {
                    "does not count \(self.refusals[index].joined(separator: ", nor "))"
                } else {
                    "does not count: no rule names \(identity.mspID)"
                }
            return SignatureOutcome(signer: identity.description, outcome: outcome)
        }
    }
}
