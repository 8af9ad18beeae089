internal import Channel
package import Foundation
internal import Ledger

/// Private data: values that only the members of a collection hold, with their hashes on every peer.
///
/// - Source: Fabric v3.1, `core/chaincode/handler.go`, access checks; `fabric-chaincode-go/shim`.
extension ContractStub {
    /// The committed private value of `key`, `nil` if there is none.
    ///
    /// - Throws: also if the value's hash is committed but the value itself isn't on this peer.
    package func privateValue(_ collection: String, _ key: String) async throws -> Data? {
        let state = try self.authorize(.read, collection)
        return try state.privateValue(namespace: self.chaincodeName, collection: collection, key: key)
    }

    /// The committed private values of `keys`, in their order; without the check that a missing value is not
    /// merely missing on this peer.
    package func privateValues(_ collection: String, _ keys: [String]) async throws -> [Data?] {
        let state = try self.authorize(.read, collection)
        return try state.privateValues(namespace: self.chaincodeName, collection: collection, keys: keys)
    }

    /// SHA-256 of the committed private value, also for those who aren't members of the collection.
    package func privateHash(_ collection: String, _ key: String) async throws -> Data? {
        let state = try self.authorize(.readHash, collection)
        return try state.privateHash(namespace: self.chaincodeName, collection: collection, key: key)
    }

    package func deletePrivate(_ collection: String, _ key: String) async throws {
        let state = try self.authorize(.write, collection)
        try state.deletePrivateValue(namespace: self.chaincodeName, collection: collection, key: key)
    }

    /// Deletes a private value and, once committed, all earlier versions of it on every peer.
    package func purgePrivate(_ collection: String, _ key: String) async throws {
        guard self.simulation.configuration?.capabilities.hasPrivateDataPurge == true else {
            throw ContractError(
                "purge private data is not enabled, channel application capability of V2_5 or later is required"
            )
        }
        let state = try self.authorize(.write, collection)
        try state.purgePrivateValue(namespace: self.chaincodeName, collection: collection, key: key)
    }

    /// The private rows from `start` up to, not including, `end`, as the chaincode protocol asks for them.
    ///
    /// Only for transactions that write nothing: nothing is recorded.
    package func privateRows(
        _ collection: String,
        from start: String,
        to end: String
    ) throws -> StateRows {
        let state = try self.authorize(.read, collection)
        let rows = try state.privateRange(
            namespace: self.chaincodeName,
            collection: collection,
            start: start,
            end: end
        )
        return try StateRows { try rows.next() }
    }
}
