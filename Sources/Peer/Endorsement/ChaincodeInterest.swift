internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// Which policies the endorsers of a transaction have to meet, judged by what it read and wrote: the gateway
/// and discovery choose endorsers by it.
///
/// - Source: Fabric v3.1, `core/endorser/endorser.go`, `buildChaincodeInterest`.
enum ChaincodeInterest {
    /// The interest of a transaction with these results.
    ///
    /// One call for each collection that was written or whose values were read, and one for each namespace
    /// that was written in public or not written at all.
    static func of(
        _ results: SimulationResults,
        in snapshot: StateSnapshot
    ) throws -> Protos_ChaincodeInterest {
        var interest = Protos_ChaincodeInterest()
        for namespace in results.publicSet.namespaces where !ChaincodeName.system.contains(namespace.name) {
            if namespace.writesPublicly || !namespace.writes {
                interest.chaincodes.append(try self.publicCall(namespace, snapshot))
            }
            let readCollections =
                results.privateReads.first { $0.namespace == namespace.name }?.collections ?? []
            for collection in namespace.collections {
                let isRead = readCollections.contains(collection.name)
                guard isRead || collection.writes else { continue }
                interest.chaincodes.append(
                    try self.privateCall(namespace.name, collection, isRead: isRead, snapshot)
                )
            }
        }
        return interest
    }

    private static func publicCall(
        _ namespace: TransactionReadWriteSet.Namespace,
        _ snapshot: StateSnapshot
    ) throws -> Protos_ChaincodeCall {
        var call = Protos_ChaincodeCall()
        call.name = namespace.name
        guard snapshot.namespaceHasMetadata(namespace.name) else { return call }
        let keys = namespace.kv.writes.map(\.key) + namespace.kv.metadataWrites.map(\.key)
        try self.add(keys, to: &call) { key in
            try snapshot.metadata(namespace: namespace.name, key: key)
        }
        return call
    }

    private static func privateCall(
        _ namespace: String,
        _ collection: TransactionReadWriteSet.Collection,
        isRead: Bool,
        _ snapshot: StateSnapshot
    ) throws -> Protos_ChaincodeCall {
        var call = Protos_ChaincodeCall()
        call.name = namespace
        call.collectionNames = [collection.name]
        call.noPrivateReads = !isRead
        guard snapshot.collectionHasMetadata(namespace: namespace, collection: collection.name) else {
            return call
        }
        let hashes =
            collection.hashed.hashedWrites.map(\.keyHash) + collection.hashed.metadataWrites.map(\.keyHash)
        try self.add(hashes, to: &call) { hash in
            try snapshot.hashedMetadata(namespace: namespace, collection: collection.name, keyHash: hash)
        }
        return call
    }

    /// Adds the keys' own policies; if every key has one, the chaincode's policy doesn't matter.
    private static func add<Key>(
        _ keys: [Key],
        to call: inout Protos_ChaincodeCall,
        metadata: (Key) throws -> [Kvrwset_KVMetadataEntry]
    ) throws {
        var allHavePolicies = !keys.isEmpty
        for key in keys {
            let entry = try metadata(key).first { $0.name == CommittedState.validationParameter }
            guard let entry else {
                allHavePolicies = false
                continue
            }
            let policy = try Common_SignaturePolicyEnvelope(policyBytes: entry.value)
            if !call.keyPolicies.contains(policy) { call.keyPolicies.append(policy) }
        }
        call.disregardNamespacePolicy = allHavePolicies
    }
}

extension TransactionReadWriteSet.Collection {
    /// Whether values or metadata of the collection are written.
    fileprivate var writes: Bool {
        !self.hashed.hashedWrites.isEmpty || !self.hashed.metadataWrites.isEmpty
    }
}
