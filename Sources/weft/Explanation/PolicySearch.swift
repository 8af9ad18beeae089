import Channel
import FabricProtos
import Foundation
import Peer
import SwiftProtobuf

import struct Channel.Version

/// Looks for what was in force when a transaction was judged: definitions of contracts and key-level policies, by the
/// blocks before it, from the newest on.
struct PolicySearch: Sendable {
    /// A key whose policy was changed by an earlier transaction of the same block, which nobody may write then.
    struct ChangedKey {
        var key: StateKey
        var writer: TransactionPlace
    }

    /// The policies found; a key whose policy is known to be none has an empty one.
    private(set) var policies: [StateKey: Data] = [:]
    private(set) var changedKeys: [ChangedKey] = []
    private var keys: Set<StateKey>
    /// By chaincode: the key that every definition changes.
    private var definitions: [StateKey: String]
    /// By chaincode: the transaction that committed the newest definition before this transaction.
    private(set) var committed: [String: Lifecycle_CommitChaincodeDefinitionArgs] = [:]

    /// Searches for the policies of `keys` and the definitions of `chaincodes`.
    init(keys: Set<StateKey>, chaincodes: [String]) {
        self.keys = keys
        let named = chaincodes.map {
            (StateKey(ChaincodeName.lifecycle, LifecycleState.sequenceKey(of: $0)), $0)
        }
        self.definitions = Dictionary(named, uniquingKeysWith: { first, _ in first })
    }

    /// Takes the transactions before the one that is explained in its own block, those that failed later checks, too.
    mutating func takeOwnBlock(_ transactions: [WrittenTransaction]) {
        for transaction in transactions {
            let metadata = transaction.changes.compactMap { key, change -> StateKey? in
                if case .metadata = change { key } else { nil }
            }
            for key in metadata + Array(transaction.policies.keys)
            where self.keys.contains(key) && !self.changedKeys.contains(where: { $0.key == key }) {
                self.changedKeys.append(ChangedKey(key: key, writer: transaction.place))
            }
        }
    }

    /// Takes the valid transactions of an earlier block, the last one first.
    ///
    /// - Returns: Whether anything is still to be found.
    mutating func take(_ transactions: [WrittenTransaction]) -> Bool {
        for transaction in transactions {
            for (key, change) in transaction.changes {
                if self.keys.contains(key) { self.take(key, change, transaction) }
                if let chaincode = self.definitions.removeValue(forKey: key) {
                    self.committed[chaincode] = transaction.definition
                }
            }
        }
        return !self.keys.isEmpty || !self.definitions.isEmpty
    }

    private mutating func take(_ key: StateKey, _ change: KeyChange, _ transaction: WrittenTransaction) {
        switch change {
        case .metadata(let policy): self.policies[key] = policy ?? Data()
        case .removal: self.policies[key] = Data()
        case .value:
            // Metadata that is not written along stays as it was.
            guard let policy = transaction.policies[key] else { return }
            self.policies[key] = policy ?? Data()
        }
        self.keys.remove(key)
    }
}

extension EndorserTransaction {
    /// The definition that a call of `_lifecycle` commits; `nil` for any other call.
    var committedDefinition: Lifecycle_CommitChaincodeDefinitionArgs? {
        guard self.chaincode == ChaincodeName.lifecycle,
            let payload = try? Protos_ChaincodeProposalPayload(
                serializedBytes: self.chaincodeProposalPayload
            ),
            let invocation = try? Protos_ChaincodeInvocationSpec(serializedBytes: payload.input)
        else { return nil }
        let arguments = invocation.chaincodeSpec.input.args
        guard arguments.count == 2, arguments[0] == Data("CommitChaincodeDefinition".utf8) else { return nil }
        return try? Lifecycle_CommitChaincodeDefinitionArgs(serializedBytes: arguments[1])
    }

    /// The version of a chaincode's definition that the endorsers read.
    func definitionVersion(of chaincode: String) -> Version? {
        let key = LifecycleState.sequenceKey(of: chaincode)
        let lifecycle = self.readWriteSet.namespaces.first { $0.name == ChaincodeName.lifecycle }
        guard let read = lifecycle?.kv.reads.first(where: { $0.key == key }), read.hasVersion else {
            return nil
        }
        return Version(read.version)
    }
}

extension ChaincodeDefinition {
    /// The definition that a transaction commits, with the defaults that peers put in.
    init(_ committed: Lifecycle_CommitChaincodeDefinitionArgs) {
        let standard = ChaincodeParameters.self
        self.init(
            sequence: committed.sequence,
            parameters: ChaincodeParameters(
                version: committed.version,
                initRequired: committed.initRequired,
                endorsementPlugin: committed.endorsementPlugin.isEmpty
                    ? standard.standardEndorsementPlugin : committed.endorsementPlugin,
                validationPlugin: committed.validationPlugin.isEmpty
                    ? standard.standardValidationPlugin : committed.validationPlugin,
                validationParameter: committed.validationParameter.isEmpty
                    ? standard.standardValidationParameter : committed.validationParameter,
                collections: committed.collections
            )
        )
    }
}

/// What was in force before a transaction, as far as it was found.
struct FoundRules: ValidationState {
    var definitions: [String: ChaincodeDefinition] = [:]
    var policies: [StateKey: Data] = [:]

    func containsTransaction(_ identifier: String) throws -> Bool { false }

    func definition(of chaincode: String) throws -> ChaincodeDefinition? { self.definitions[chaincode] }

    func keyPolicy(of key: WrittenKey, in namespace: String) throws -> Data? {
        self.policies[StateKey(key, in: namespace)].flatMap { $0.isEmpty ? nil : $0 }
    }
}

extension StateKey {
    init(_ key: WrittenKey, in namespace: String) {
        switch key {
        case .plain(let key): self.init(namespace, key)
        case .hashed(let hash, let collection): self.init(namespace, collection, hash: hash)
        }
    }
}
