package import FabricProtos

/// What an update changes, who has to sign for it, and what its signatures are good for so far.
package struct ConfigUpdateReview: Sendable {
    /// A policy that has to be satisfied, for the elements that it guards.
    package struct Need: Sendable {
        /// The policy's path.
        package let policy: String
        /// What the update changes under it: `value /Channel/Orderer/BatchSize`.
        package let elements: [String]
        package let requirement: PolicyRequirement
        /// What is missing, and what each signature is good for; `nil` if the signatures satisfy it.
        package let failure: PolicyFailure?
    }

    /// By the policy's path.
    package let needs: [Need]
    /// The configuration as it will be.
    package let result: ChannelConfiguration
    package let difference: ConfigurationDifference
    /// What the update leads to that nobody can undo, as clauses.
    package let warnings: [String]

    /// Whether the signatures that are there suffice.
    package var isAuthorized: Bool { self.needs.allSatisfy { $0.failure == nil } }

    /// Everything that has to be satisfied at once.
    package var requirement: PolicyRequirement {
        .all(self.needs.map(\.requirement), label: "the whole update")
    }

    /// What is still missing.
    package var missing: PolicyRequirement {
        .all(self.needs.filter { $0.failure != nil }.map(\.requirement), label: "still missing")
    }
}

extension ChannelConfiguration {
    /// Reviews an update: everything that an orderer checks, but that missing signatures are told, not refused.
    ///
    /// Only what the consensus engine has to say is not checked here.
    ///
    /// - Throws: ``ConfigUpdateError`` or ``ConfigurationError`` for an update that no signature would help.
    package func review(_ envelope: Common_ConfigUpdateEnvelope) throws -> ConfigUpdateReview {
        let update = try PendingUpdate(envelope.configUpdate, over: self)
        try update.checkVersions()
        let result = try ChannelConfiguration(channelID: self.channelID, config: update.result())
        try self.checkTransition(to: result)
        try result.checkBFTConsenters()
        try result.checkIdentities(known: self.orderer?.consenters ?? [])
        let (identities, rejected) = try self.signers(of: envelope)
        var elements: [String: (policy: CompiledPolicy, names: [String])] = [:]
        for (key, _) in update.delta {
            guard let existing = update.current[key] else { continue }
            let policy = self.policies.policy(named: existing.modificationPolicy, in: key.group)
            elements[policy.name, default: (policy, [])].names.append("\(key)")
        }
        let needs = elements.sorted { $0.key < $1.key }.map { path, entry in
            ConfigUpdateReview.Need(
                policy: path,
                elements: entry.names,
                requirement: entry.policy.requirement,
                failure: entry.policy.isSatisfied(by: identities)
                    ? nil : entry.policy.failure(identities, rejected: rejected)
            )
        }
        return ConfigUpdateReview(
            needs: needs,
            result: result,
            difference: ConfigurationDifference(
                from: self.config.channelGroup,
                to: result.config.channelGroup
            ),
            warnings: result.lockedElements(since: self)
        )
    }

    /// Who has signed an update, as far as their signatures verify and their certificates are of this channel.
    ///
    /// - Throws: ``ConfigUpdateError`` if a signature's header can't be read.
    package func signers(
        of envelope: Common_ConfigUpdateEnvelope
    ) throws -> (identities: [Identity], rejected: [RejectedSignature]) {
        try SignatureSet.verified(Self.signedData(envelope), in: self.directory)
    }

    /// Elements that nobody can change any more, though before somebody could.
    func lockedElements(since previous: ChannelConfiguration) -> [String] {
        let before = previous.lockedPolicies
        return self.lockedPolicies.filter { before[$0.key] == nil }.sorted { $0.key < $1.key }.map {
            path,
            elements in
            let shown = elements.sorted().prefix(3).joined(separator: ", ")
            let more = elements.count > 3 ? " and \(elements.count - 3) more" : ""
            return
                "nobody can change \(shown)\(more) after this: no signatures can satisfy the policy \(path)"
        }
    }

    /// The policies that guard something and that no signatures can satisfy, with what they guard.
    private var lockedPolicies: [String: [String]] {
        guard let elements = try? ConfigurationElement.all(in: self.config.channelGroup) else { return [:] }
        var possible: [String: Bool] = [:]
        var locked: [String: [String]] = [:]
        for (key, element) in elements {
            let policy = self.policies.policy(named: element.modificationPolicy, in: key.group)
            let isPossible = possible[policy.name] ?? policy.requirement.isPossible
            possible[policy.name] = isPossible
            if !isPossible { locked[policy.name, default: []].append("\(key)") }
        }
        return locked
    }
}
