internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger

/// What the chaincode protocol offers beyond what Swift contracts use.
///
/// A collection that is empty stands for public state, as in the protocol's messages.
extension ContractStub {
    /// Writes a value; an empty one deletes the key.
    ///
    /// The empty key is taken, too: only some shims refuse it.
    func write(_ collection: String, _ key: String, _ value: Data) throws {
        guard !collection.isEmpty else {
            return try self.simulation.state().setValue(value, namespace: self.chaincodeName, key: key)
        }
        let state = try self.authorize(.write, collection)
        try state.setPrivateValue(value, namespace: self.chaincodeName, collection: collection, key: key)
    }

    /// All metadata of a key.
    func metadata(_ collection: String, _ key: String) throws -> [Kvrwset_KVMetadataEntry] {
        try self.checkKeyLevelEndorsement()
        guard !collection.isEmpty else {
            return try self.simulation.state().metadata(namespace: self.chaincodeName, key: key)
        }
        let state = try self.authorize(.read, collection)
        return try state.privateMetadata(namespace: self.chaincodeName, collection: collection, key: key)
    }

    /// Replaces all metadata of a key with `entry`.
    func setMetadata(_ collection: String, _ key: String, _ entry: Kvrwset_KVMetadataEntry) throws {
        try self.checkKeyLevelEndorsement()
        guard !collection.isEmpty else {
            return try self.simulation.state().setMetadata([entry], namespace: self.chaincodeName, key: key)
        }
        let state = try self.authorize(.write, collection)
        try state.setPrivateMetadata([entry], namespace: self.chaincodeName, collection: collection, key: key)
    }

    /// Every value that `key` has had, newest first.
    func writes(of key: String) throws -> () throws -> Queryresult_KeyModification? {
        let cursor = try self.simulation.state().history(namespace: self.chaincodeName, key: key)
        return { try cursor.next() }
    }

    private func checkKeyLevelEndorsement() throws(ContractError) {
        guard self.simulation.configuration?.capabilities.hasKeyLevelEndorsement == true else {
            throw ContractError(
                """
                key level endorsement is not enabled, channel application capability of V1_3 or later is \
                required
                """
            )
        }
    }
}
