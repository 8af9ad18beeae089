internal import Cryptography
package import FabricProtos
internal import FoundationEssentials

/// Who is whom a policy asks for.
extension MSP {
    /// Checks that `identity`, read by this MSP, is the one that `principal` asks for.
    ///
    /// - Throws: ``IdentityError`` with the reason if it is not.
    package func satisfies(_ identity: Identity, _ principal: Common_MSPPrincipal) throws(IdentityError) {
        try self.satisfies(identity, Principal(principal))
    }

    /// Checks that `identity`, read by this MSP, is the one that `principal` asks for.
    ///
    /// - Throws: ``IdentityError`` with the reason if it is not.
    package func satisfies(_ identity: Identity, _ principal: Principal) throws(IdentityError) {
        switch principal {
        case .role(let mspID, let role):
            try self.checkSameMSP(mspID, identity)
            try self.satisfies(identity, role)
        case .organizationUnit(let mspID, let unit, let certifiersIdentifier):
            try self.checkSameMSP(mspID, identity)
            try self.validate(identity)
            let isMember = identity.organizationalUnits.contains {
                sameText($0.name, unit) && $0.certifiersIdentifier == certifiersIdentifier
            }
            guard isMember else {
                throw IdentityError(
                    .notSatisfied,
                    "\(identity) is not in the organizational unit \"\(unit)\" of that certificate authority"
                )
            }
        case .identity(let serialized):
            if serialized != identity.serialized {
                guard try self.identity(from: serialized).certificate == identity.certificate else {
                    throw IdentityError(.notSatisfied, "\(identity) is not the identity asked for")
                }
            }
            try self.validate(identity)
        case .anonymity(let isNominal):
            guard self.version >= .v1_3 else { throw self.unsupported(principal) }
            guard isNominal else {
                throw IdentityError(
                    .notSatisfied,
                    "\(identity) has an X.509 certificate and is not anonymous"
                )
            }
        case .combined(let principals):
            guard self.version >= .v1_3 else { throw self.unsupported(principal) }
            for inner in principals { try self.satisfies(identity, inner) }
        case .malformed(let reason):
            throw IdentityError(.malformedPrincipal, reason)
        }
    }

    private func unsupported(_ principal: Principal) -> IdentityError {
        IdentityError(.malformedPrincipal, "\(principal) needs the channel capability V1_3 or later")
    }

    private func checkSameMSP(_ mspID: String, _ identity: Identity) throws(IdentityError) {
        guard sameText(mspID, self.id.description) else {
            throw IdentityError(.notSatisfied, "\(identity) is of \(self.id), not of \(mspID)")
        }
    }

    private func satisfies(_ identity: Identity, _ role: Principal.Role) throws(IdentityError) {
        switch role {
        case .member:
            try self.validate(identity)
        case .admin:
            try self.checkAdmin(identity)
        case .client:
            try self.check(identity, is: .client)
        case .peer:
            try self.check(identity, is: .peer)
        case .orderer where self.version >= .v1_4_3:
            try self.check(identity, is: .orderer)
        case .orderer, .unknown:
            throw IdentityError(
                .malformedPrincipal,
                "there is no role \(role) at MSP version \(self.version)"
            )
        }
    }

    /// A listed administrator, or, from version 1.4.3 on, a member with the administrators' OU.
    private func checkAdmin(_ identity: Identity) throws(IdentityError) {
        if self.admins.contains(identity.certificate) { return }
        guard self.version >= .v1_4_3, self.nodeOUs?.rule(for: .admin) != nil else {
            throw IdentityError(.notSatisfied, "\(identity) is not listed as an administrator of \(self.id)")
        }
        try self.check(identity, is: .admin)
    }

    private func check(_ identity: Identity, is role: NodeRole) throws(IdentityError) {
        try self.validate(identity)
        guard let rules = self.nodeOUs else {
            throw IdentityError(
                .notSatisfied,
                "\(self.id) does not enable NodeOUs, so nobody can be recognized as \(role)"
            )
        }
        guard rules.has(role, identity.organizationalUnits) else {
            throw IdentityError(
                .notSatisfied,
                "\(identity) has not the organizational unit of the role \(role)"
            )
        }
    }
}
