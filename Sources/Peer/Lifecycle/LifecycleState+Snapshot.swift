package import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
package import Ledger
internal import SwiftProtobuf

extension LifecycleState {
    /// The definition of `chaincode` that is committed in `snapshot`, `nil` if there is none.
    package static func definition(
        of chaincode: String,
        in snapshot: StateSnapshot
    ) throws -> ChaincodeDefinition? {
        try self.definition(of: chaincode) { key in
            try snapshot.value(namespace: ChaincodeName.lifecycle, key: key)?.value
        }
    }
}

extension LifecycleState {
    /// The names of all chaincodes whose definition is committed in `snapshot`.
    package static func definedChaincodes(in snapshot: StateSnapshot) throws -> [String] {
        let prefix = self.metadataKey(self.definitions, "")
        let rows = snapshot.range(namespace: ChaincodeName.lifecycle, start: prefix, end: prefix + "\u{7F}")
        var names: [String] = []
        while let row = try rows.next() {
            names.append(String(decoding: row.key.dropFirst(prefix.utf8.count), as: UTF8.self))
        }
        return names
    }
}

extension ChaincodeDefinition {
    /// The package that `organization` runs for this definition of `chaincode`; `nil` if it named none, or this peer
    /// doesn't hold the organization's approval.
    package func packageID(
        of chaincode: String,
        approvedBy organization: MSPID,
        in snapshot: StateSnapshot
    ) throws -> String? {
        let name = LifecycleState.approvalName(chaincode, sequence: self.sequence)
        let value = try snapshot.privateValue(
            namespace: ChaincodeName.lifecycle,
            collection: LifecycleState.implicitCollection(of: organization.description),
            key: LifecycleState.fieldKey(LifecycleState.sources, name, "PackageID")
        )
        guard let value,
            case .string(let packageID)? = try Lifecycle_StateData(serializedBytes: value.value).type,
            !packageID.isEmpty
        else { return nil }
        return packageID
    }
    /// Whether `organization` has approved exactly this definition of `chaincode`.
    ///
    /// Approvals are private to their organizations; every peer compares their hashes.
    package func isApproved(
        of chaincode: String,
        by organization: MSPID,
        in snapshot: StateSnapshot
    ) throws -> Bool {
        let collection = LifecycleState.implicitCollection(of: organization.description)
        let name = LifecycleState.approvalName(chaincode, sequence: self.sequence)
        let mismatches = try LifecycleRecord(self.parameters).mismatches(
            LifecycleState.definitions,
            name
        ) { key in
            try snapshot.hashed(
                namespace: ChaincodeName.lifecycle,
                collection: collection,
                keyHash: Digest.sha256(Data(key.utf8))
            )?.value
        }
        return mismatches.isEmpty
    }
}
