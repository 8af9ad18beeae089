internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger

/// What a contract wants with a private collection.
enum CollectionOperation {
    case read, readHash, write
}

/// What is known of the private collections of one chaincode during one simulation.
struct CollectionAccess {
    /// The committed definition, read through the simulator.
    var definition: ChaincodeDefinition?
    /// Verdicts by collection, so that policies are evaluated once.
    var readers: [String: Bool] = [:]
    var writers: [String: Bool] = [:]
}

extension ContractStub {
    /// Checks that the collection exists and that the creator may do `operation`.
    ///
    /// The first private operation of a chaincode reads its whole definition through the simulator, so the
    /// transaction conflicts with a new definition; Fabric's peers record the same reads.
    ///
    /// - Returns: the recorder of reads and writes.
    /// - Source: Fabric v3.1, `core/chaincode/handler.go`, `errorIfCreatorHasNoReadPermission` and its twin.
    func authorize(
        _ operation: CollectionOperation,
        _ collection: String
    ) throws -> TransactionSimulator {
        let state = try self.simulation.state()
        guard !self.isInit else {
            throw ContractError("private data APIs are not allowed in chaincode Init()")
        }
        guard let configuration = self.simulation.configuration else {
            throw ContractError("private data needs a channel")
        }
        if self.simulation.collectionAccess[self.chaincodeName] == nil {
            let definition = try LifecycleState.definition(of: self.chaincodeName) { key in
                try state.value(namespace: ChaincodeName.lifecycle, key: key)
            }
            self.simulation.collectionAccess[self.chaincodeName] = CollectionAccess(definition: definition)
        }
        if let organization = LifecycleState.organization(ofImplicitCollection: collection) {
            let members = configuration.application?.organizations ?? []
            guard members.contains(where: { $0.mspID.description == organization }) else {
                throw self.unknown(collection)
            }
            return state
        }
        let definition = self.simulation.collectionAccess[self.chaincodeName]?.definition
        guard let config = definition?.parameters.collection(collection) else {
            throw self.unknown(collection)
        }
        switch operation {
        case .readHash: return state
        case .read:
            guard try !config.memberOnlyRead || self.isMember(of: config, \.readers, configuration) else {
                throw self.refused("read", collection)
            }
        case .write:
            guard try !config.memberOnlyWrite || self.isMember(of: config, \.writers, configuration) else {
                throw self.refused("write", collection)
            }
        }
        return state
    }

    private func isMember(
        of collection: Protos_StaticCollectionConfig,
        _ verdicts: WritableKeyPath<CollectionAccess, [String: Bool]>,
        _ configuration: ChannelConfiguration
    ) throws -> Bool {
        if let known = self.simulation.collectionAccess[self.chaincodeName]?[keyPath: verdicts][
            collection.name
        ] {
            return known
        }
        let policy = try CompiledPolicy(
            signaturePolicy: collection.memberOrgsPolicy.signaturePolicy,
            directory: configuration.directory
        )
        let verdict: Bool
        do {
            try policy.evaluate([self.simulation.creator])
            verdict = true
        } catch {
            verdict = false
        }
        self.simulation.collectionAccess[self.chaincodeName]?[keyPath: verdicts][collection.name] = verdict
        return verdict
    }

    private func unknown(_ collection: String) -> ContractError {
        ContractError("collection \(self.channelID)/\(self.chaincodeName)/\(collection) could not be found")
    }

    private func refused(_ operation: String, _ collection: String) -> ContractError {
        ContractError(
            """
            tx creator does not have \(operation) access permission on privatedata \
            in chaincodeName:\(self.chaincodeName) collectionName: \(collection)
            """
        )
    }
}
