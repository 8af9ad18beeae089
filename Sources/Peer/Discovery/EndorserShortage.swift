internal import Channel

extension EndorserSelection {
    /// How many principals, and how many peers of each, a text tells of.
    private static let shown = 5

    /// Why the policies can't be satisfied: of which principals peers are missing, and what keeps those that are known.
    ///
    /// - Parameter failed: why candidates that were asked did not endorse, by their numbers.
    /// - Returns: clauses for a message.
    func shortage(failed: [Int: String] = [:]) -> String {
        let wanted = self.requirement.layouts().list
        guard !wanted.isEmpty else {
            return "nobody can satisfy it: a policy that it names does not exist or asks for nobody"
        }
        let usable = self.eligible.filter { failed[$0] == nil }
        var missing: [(principal: Int, needed: Int)] = []
        for layout in wanted {
            for entry in layout.quantities.entries
            where usable.count(where: { self.satisfies($0, entry.principal) }) < entry.count
                && !missing.contains(where: { $0.principal == entry.principal })
            {
                missing.append((entry.principal, entry.count))
            }
        }
        guard !missing.isEmpty else {
            return "the peers that are known can satisfy each part of it, but not all parts at once"
        }
        let texts = missing.prefix(Self.shown).map {
            self.shortage(of: $0.principal, needed: $0.needed, failed)
        }
        let rest = missing.count - texts.count
        return texts.joined(separator: "; ") + (rest > 0 ? "; and \(rest) more" : "")
    }

    private func shortage(of principal: Int, needed: Int, _ failed: [Int: String]) -> String {
        let known = self.candidates.indices.filter { self.satisfies($0, principal) }
        let name = self.requirement.names[principal]
        guard !known.isEmpty else {
            let organization = self.requirement.principals[principal].organization
            guard let organization, !self.candidates.contains(where: { $0.mspID.description == organization })
            else { return "no known peer is \(name)" }
            return
                "no peer is known of \(organization): gossip has met none, and the channel's configuration names "
                + "no anchor peer of it"
        }
        let reasons = known.compactMap { number in
            (self.exclusions[number] ?? failed[number]).map { "\(self.candidates[number].endpoint): \($0)" }
        }
        let usable = known.count - reasons.count
        let told = reasons.prefix(Self.shown).joined(separator: ", ")
        let count = needed == 1 ? "a peer" : "\(needed) peers"
        return "\(count) of \(name) needed, \(usable) of \(known.count) known can endorse"
            + (told.isEmpty ? "" : " (\(told))")
    }
}

extension Principal {
    /// The organization that it is about, where it says one.
    fileprivate var organization: String? {
        switch self {
        case .role(let mspID, _), .organizationUnit(let mspID, _, _): mspID
        case .identity, .anonymity, .combined, .malformed: nil
        }
    }
}
