/// From signed data to the identities that really signed.
package enum SignatureSet {
    /// The identities behind `set` whose signatures verify, each once, in the order of the set.
    ///
    /// An identity that is known already is skipped before its signature is looked at; a signature that does
    /// not verify does not bar a later good one by the same identity. Whether a certificate is still valid is
    /// not asked here: matching a principal asks that.
    ///
    /// - Parameters:
    ///   - set: What was signed, by whom.
    ///   - directory: The members of the channel.
    ///   - isKnown: Whether a signature is known to verify, so that it need not be checked here.
    /// - Returns: The identities, and what was not counted.
    /// - Source: Fabric v3, package `common/policies`, identities of a signature set.
    package static func verified(
        _ set: [SignedData],
        in directory: MembershipDirectory,
        isKnown: (SignedData) -> Bool = { _ in false }
    ) -> (identities: [Identity], rejected: [RejectedSignature]) {
        var identities: [Identity] = []
        var rejected: [RejectedSignature] = []
        var known: Set<IdentityIdentifier> = []
        for (index, entry) in set.enumerated() {
            do {
                let identity = try directory.identity(from: entry.identity)
                guard !known.contains(identity.identifier) else {
                    rejected.append(
                        RejectedSignature(
                            index: index,
                            signer: identity.description,
                            reason: "it repeats a signature by the same identity"
                        )
                    )
                    continue
                }
                do {
                    if !isKnown(entry) { try identity.verify(entry.signature, of: entry.data) }
                } catch {
                    rejected.append(
                        RejectedSignature(index: index, signer: identity.description, reason: "\(error)")
                    )
                    continue
                }
                known.insert(identity.identifier)
                identities.append(identity)
            } catch {
                rejected.append(
                    RejectedSignature(index: index, signer: "signer \(index + 1)", reason: "\(error)")
                )
            }
        }
        return (identities, rejected)
    }
}

/// A signature that no policy can count.
package struct RejectedSignature: Equatable, Sendable {
    /// Its place in the set.
    package var index: Int
    package var signer: String
    /// Why, as a clause.
    package var reason: String

    package init(index: Int, signer: String, reason: String) {
        self.index = index
        self.signer = signer
        self.reason = reason
    }
}
