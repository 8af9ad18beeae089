package import Foundation

/// What validation reads from the ledger: the state after the block before.
package protocol ValidationState: Sendable {
    /// Whether a transaction of this identifier is in the ledger, valid or not.
    func containsTransaction(_ identifier: String) throws -> Bool

    /// The committed definition of a chaincode, `nil` if there is none.
    func definition(of chaincode: String) throws -> ChaincodeDefinition?

    /// The key-level endorsement policy of a committed key, a serialized `SignaturePolicyEnvelope`; `nil` if it
    /// has none.
    func keyPolicy(of key: WrittenKey, in namespace: String) throws -> Data?
}

/// A key that a transaction writes to.
package enum WrittenKey: Sendable {
    /// A key of public state.
    case plain(String)
    /// SHA-256 of a key in a private collection.
    case hashed(Data, collection: String)
}
