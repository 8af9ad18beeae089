package import Channel
internal import Cryptography
internal import Foundation
package import Ledger

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

extension ChaincodeDefinition {
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
