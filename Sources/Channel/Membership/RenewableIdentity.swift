internal import Synchronization

/// The identity that a node signs with, which is replaced while the node runs when its certificate is renewed.
///
/// Take ``current`` once for one message: what is signed names the certificate that signs.
package final class RenewableIdentity: Sendable {
    private let identity: Mutex<SigningIdentity>

    package init(_ identity: SigningIdentity) {
        self.identity = Mutex(identity)
    }

    /// The identity of the newest certificate.
    package var current: SigningIdentity { self.identity.withLock { $0 } }

    package var mspID: MSPID { self.current.mspID }

    /// Signs with `identity` from now on; what was signed before stays valid.
    ///
    /// - Throws: ``IdentityError`` if it is of another organization.
    package func replace(with identity: SigningIdentity) throws(IdentityError) {
        let own = self.mspID
        guard identity.mspID == own else {
            throw IdentityError(.unknownMSP, "a node of \(own) cannot become one of \(identity.mspID)")
        }
        self.identity.withLock { $0 = identity }
    }
}
