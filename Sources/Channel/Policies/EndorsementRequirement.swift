internal import FabricProtos

/// What several policies ask of endorsers, all at once: the principals that they name, and the ways to satisfy them.
///
/// Pure: it knows nothing of peers but how many there are of each principal.
///
/// - Source: Fabric v3 documentation, "Service Discovery", and packages `common/policies/inquire` and
///   `discovery/endorsement` for which principal stands for which other.
package struct EndorsementRequirement: Sendable {
    /// The most ways that are kept at each step: enough for 5 of 10 organizations.
    package static let layoutLimit = 256
    /// A rule that takes more than so many sums (parts of it times their number) gets one way, not all of them.
    package static let ruleLimit = 1_000
    /// After so many joined ways in one computation, all further rules get one way each.
    package static let joinLimit = 400_000

    /// A policy's rule over numbered principals.
    indirect enum Rule: Sendable {
        case principal(Int)
        /// So many of the parts, each with endorsers of its own.
        case atLeast(Int, of: [Rule])
        /// So many of the parts, each asked on its own: endorsers may serve several of them.
        case sharing(Int, of: [Rule])
        case impossible
    }

    /// The principals that the policies name, each once.
    package private(set) var principals: [Principal] = []
    /// What messages call the principals.
    package private(set) var names: [String] = []
    private var rules: [Rule] = []
    /// The principal "member of the organization" that stands for less than this one; `nil` for none, and for members.
    private var memberOf: [Int?] = []

    /// - Parameter policies: all of them must be satisfied, each judged on all endorsements.
    package init(_ policies: [CompiledPolicy]) {
        var interned = Interned()
        self.rules = policies.map { Self.rule(of: $0, &interned) }
        self.principals = interned.principals
        self.names = interned.names
        let members = Dictionary(
            interned.principals.enumerated().compactMap { index, principal -> (MSPName, Int)? in
                guard case .role(let mspID, .member) = principal else { return nil }
                return (MSPName(mspID), index)
            },
            uniquingKeysWith: { first, _ in first }
        )
        self.memberOf = interned.principals.map { principal in
            if case .role(_, .member) = principal { return nil }
            return principal.mspName.flatMap { members[$0] }
        }
    }

    // MARK: Rules

    /// Principals by what they are, so that each gets one number.
    private struct Interned {
        var principals: [Principal] = []
        var names: [String] = []
        var numbers: [String: [Int]] = [:]

        mutating func number(of principal: NamedPrincipal) -> Int {
            let text = "\(principal.principal)"
            for number in self.numbers[text] ?? [] where self.principals[number].isSame(principal.principal) {
                return number
            }
            self.principals.append(principal.principal)
            self.names.append(principal.name)
            self.numbers[text, default: []].append(self.principals.count - 1)
            return self.principals.count - 1
        }
    }

    private static func rule(of policy: CompiledPolicy, _ interned: inout Interned) -> Rule {
        switch policy.rule {
        case .signature(let rule, let principals):
            return self.rule(rule, principals, &interned)
        case .implicitMeta(let meta, let groups):
            var parts: [Rule] = []
            for group in groups { parts.append(self.rule(of: group.policy, &interned)) }
            return .sharing(meta.threshold(groupCount: groups.count), of: parts)
        case .rejectAll:
            return .impossible
        }
    }

    private static func rule(
        _ rule: SignatureRule,
        _ principals: [NamedPrincipal],
        _ interned: inout Interned
    ) -> Rule {
        switch rule {
        case .signedBy(let index):
            guard principals.indices.contains(index) else { return .impossible }
            if case .malformed = principals[index].principal { return .impossible }
            return .principal(interned.number(of: principals[index]))
        case .atLeast(let threshold, let rules):
            var parts: [Rule] = []
            for part in rules { parts.append(self.rule(part, principals, &interned)) }
            return .atLeast(threshold, of: parts)
        }
    }

    // MARK: Layouts

    /// The ways to satisfy all policies, those with the fewest endorsers first.
    ///
    /// None asks for more than another one does.
    ///
    /// - Parameter capacity: how many candidates there are for each principal, by its number; ways that need more are
    ///   left out. Without it, nothing is left out.
    /// - Returns: the ways, none if there is no way; and whether these are all of them.
    package func layouts(capacity: [Int]? = nil) -> (list: [EndorsementLayout], isComplete: Bool) {
        var search = LayoutSearch(memberOf: self.memberOf, capacity: capacity)
        let list = search.layouts(of: .sharing(self.rules.count, of: self.rules))
        return (LayoutSearch.minimal(list), search.isComplete)
    }
}

/// An MSP identifier whose bytes decide.
private struct MSPName: Hashable {
    var bytes: [UInt8]

    init(_ text: String) { self.bytes = Array(text.utf8) }
}

extension Principal {
    /// The organization that it is about, where there is just one.
    fileprivate var mspName: MSPName? {
        switch self {
        case .role(let mspID, _), .organizationUnit(let mspID, _, _): MSPName(mspID)
        case .identity(let bytes): (try? MSP.decode(bytes)).map { MSPName($0.mspid) }
        case .anonymity, .combined, .malformed: nil
        }
    }

    /// Whether the two ask for the same, by their bytes.
    fileprivate func isSame(_ other: Principal) -> Bool {
        switch (self, other) {
        case (.role(let mspID, let role), .role(let otherID, let otherRole)):
            return sameText(mspID, otherID) && role == otherRole
        case (
            .organizationUnit(let mspID, let unit, let certifiers),
            .organizationUnit(let otherID, let otherUnit, let otherCertifiers)
        ):
            return sameText(mspID, otherID) && sameText(unit, otherUnit) && certifiers == otherCertifiers
        case (.identity(let bytes), .identity(let otherBytes)):
            return bytes == otherBytes
        case (.anonymity(let isNominal), .anonymity(let isOtherNominal)):
            return isNominal == isOtherNominal
        case (.combined(let parts), .combined(let otherParts)):
            return parts.count == otherParts.count && zip(parts, otherParts).allSatisfy { $0.isSame($1) }
        default:
            return false
        }
    }
}
