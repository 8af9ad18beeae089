internal import FabricProtos
package import Foundation
package import Ledger

/// The ledger as validation sees it: the state after the last committed block.
package struct CommittedState: ValidationState {
    private let snapshot: StateSnapshot

    package init(_ snapshot: StateSnapshot) {
        self.snapshot = snapshot
    }

    package func containsTransaction(_ identifier: String) throws -> Bool {
        try self.snapshot.containsTransaction(identifier)
    }

    package func definition(of chaincode: String) throws -> ChaincodeDefinition? {
        try LifecycleState.definition(of: chaincode, in: self.snapshot)
    }

    package func keyPolicy(of key: WrittenKey, in namespace: String) throws -> Data? {
        let metadata =
            switch key {
            case .plain(let key):
                try self.snapshot.metadata(namespace: namespace, key: key)
            case .hashed(let hash, let collection):
                try self.snapshot.hashedMetadata(namespace: namespace, collection: collection, keyHash: hash)
            }
        let entry = metadata.first { $0.name.utf8.elementsEqual(Self.validationParameter.utf8) }
        return entry.flatMap { $0.value.isEmpty ? nil : $0.value }
    }

    /// The metadata entry that holds a key's endorsement policy.
    static let validationParameter = "VALIDATION_PARAMETER"
}
