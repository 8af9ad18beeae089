internal import FoundationEssentials

/// The roles that organizational units tell apart.
package enum NodeRole: String, Sendable, CaseIterable {
    case client, peer, admin, orderer
}

/// How an MSP tells roles by organizational units.
///
/// - Source: Fabric v3.1, `msp` package, `FabricNodeOUs`.
struct NodeOUs: Sendable {
    struct Rule: Sendable {
        var role: NodeRole
        var name: String
        /// Who must vouch for the unit; empty if anyone of the MSP may.
        var certifiersIdentifier: Data
    }

    /// At most one for each role.
    var rules: [Rule]
    /// In MSP versions 1.1 and 1.3 the first rule with a unit's name counts; from 1.4.3 on the last.
    var firstRuleWins: Bool

    func rule(for role: NodeRole) -> Rule? { self.rules.first { $0.role == role } }

    /// Checks that `identity` has exactly one role.
    func classify(_ units: [OrganizationalUnit], mspID: MSPID) throws(IdentityError) {
        var roles = 0
        for unit in units {
            let matches = self.rules.filter { sameText($0.name, unit.name) }
            guard let rule = self.firstRuleWins ? matches.first : matches.last else { continue }
            guard rule.certifiersIdentifier.isEmpty || rule.certifiersIdentifier == unit.certifiersIdentifier
            else {
                throw IdentityError(
                    .organizationalUnit,
                    """
                    the unit \"\(unit.name)\" is vouched for by another certificate authority than the one that \
                    \(mspID)'s NodeOUs name
                    """
                )
            }
            roles += 1
            if roles > 1 { break }
        }
        guard roles == 1 else {
            let names = units.map { "\"\($0.name)\"" }.joined(separator: ", ")
            let expected = self.rules.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw IdentityError(
                .organizationalUnit,
                """
                the certificate has the organizational units [\(names)], and \(mspID) asks for exactly one of \
                \(expected); issue it again with that OU
                """
            )
        }
    }

    /// Whether one of `units` has the name of `role`'s rule, whoever vouches for it.
    func has(_ role: NodeRole, _ units: [OrganizationalUnit]) -> Bool {
        guard let rule = self.rule(for: role) else { return false }
        return units.contains { sameText($0.name, rule.name) }
    }
}

/// Byte-wise equality of texts.
///
/// `==` of `String` also equates texts that differ in bytes but look alike, on which Fabric's peers would disagree.
func sameText(_ left: String, _ right: String) -> Bool {
    left.utf8.elementsEqual(right.utf8)
}
