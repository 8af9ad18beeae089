internal import Cryptography
internal import FoundationEssentials

/// The rules of membership.
extension MSP {
    /// Why members may not have the key of `certificate`; `nil` if they may.
    func checkKey(_ certificate: Certificate) -> IdentityError? {
        switch certificate.publicKey.algorithm {
        case .ecdsa: nil
        case .ed25519 where self.version >= .v3_0: nil
        case let algorithm:
            IdentityError(
                .unsupportedKey,
                """
                \(certificate) has a key of the kind \(algorithm); members of \(self.id) need ECDSA\
                \(self.version >= .v3_0 ? " or Ed25519" : " (Ed25519 needs the channel capability V3_0)")
                """
            )
        }
    }

    /// The chain of a certificate that may be a member's.
    func memberChain(_ certificate: Certificate, known: [Certificate]?) throws(IdentityError) -> [Certificate]
    {
        guard !certificate.isCA else {
            throw IdentityError(
                .untrusted,
                "\(certificate) is a certificate authority and cannot be an identity"
            )
        }
        let chain = if let known { known } else { try self.tree.uniqueChain(for: certificate) }
        try self.tree.checkParent(in: chain)
        return chain
    }

    /// Each organizational unit of the chain's first certificate with the digest of the rest of the chain.
    func units(of chain: [Certificate]) -> [OrganizationalUnit] {
        let names = chain.first?.subject.organizationalUnits ?? []
        guard !names.isEmpty else { return [] }
        let certifiers = Digest.hash(chain.dropFirst().map(\.der), with: self.identifierHash)
        return names.map { OrganizationalUnit(name: $0, certifiersIdentifier: certifiers) }
    }

    /// Why the first certificate of `chain` is not a valid member's; `nil` if it is.
    func fault(of chain: [Certificate], units: [OrganizationalUnit]) -> IdentityError? {
        do throws(IdentityError) {
            try self.tree.checkRevocation(of: chain)
            try self.checkRequiredUnits(units)
            try self.nodeOUs?.classify(units, mspID: self.id)
            return nil
        } catch {
            return error
        }
    }

    private func checkRequiredUnits(_ units: [OrganizationalUnit]) throws(IdentityError) {
        guard !self.requiredUnits.isEmpty else { return }
        let isMember = units.contains { unit in
            self.requiredUnits.contains {
                sameText($0.name, unit.name) && $0.certifiersIdentifier == unit.certifiersIdentifier
            }
        }
        guard isMember else {
            let names = self.requiredUnits.map { "\"\($0.name)\"" }.joined(separator: ", ")
            throw IdentityError(
                .organizationalUnit,
                "the certificate is in none of the organizational units \(names) that \(self.id) asks for"
            )
        }
    }
}
