internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// Keeps the private writes of an endorsed transaction until the transaction is committed.
///
/// The transaction itself carries only their hashes, so the endorsement is worthless without them: they are
/// stored durably before the peer answers.
///
/// - Source: Fabric v3.1, `core/endorser/pvtrwset_assembler.go`.
struct PrivateWriteKeeping {
    let channel: any EndorsingChannel
    let simulation: Simulation

    func keep(_ writes: Rwset_TxPvtReadWriteSet) throws {
        guard let snapshot = self.simulation.snapshot else { return }
        var kept = Transientstore_TxPvtReadWriteSetWithConfigInfo()
        kept.endorsedAt = snapshot.height
        kept.pvtRwset = writes
        for namespace in writes.nsPvtRwset {
            let definition = try LifecycleState.definition(of: namespace.namespace, in: snapshot)
            var configs = Protos_CollectionConfigPackage()
            for collection in namespace.collectionPvtRwset {
                let config = try self.config(collection.collectionName, definition, namespace.namespace)
                configs.config.append(.with { $0.staticCollectionConfig = config })
            }
            kept.collectionConfigs[namespace.namespace] = configs
        }
        try self.channel.ledger.transient.add(
            transaction: self.simulation.transactionID,
            height: snapshot.height,
            bytes: try kept.serializedData()
        )
    }

    private func config(
        _ name: String,
        _ definition: ChaincodeDefinition?,
        _ chaincode: String
    ) throws -> Protos_StaticCollectionConfig {
        if let organization = LifecycleState.organization(ofImplicitCollection: name) {
            return try Self.implicitConfig(name, organization)
        }
        guard let config = definition?.parameters.collection(name) else {
            throw ContractError("no collection config for chaincode \"\(chaincode)\", collection \"\(name)\"")
        }
        guard config.requiredPeerCount == 0 else {
            throw ContractError(
                """
                collection \(name) of \(chaincode) wants \(config.requiredPeerCount) other peers to hold the \
                private data before it is endorsed, and this peer can't send it to others; set its \
                required_peer_count to 0
                """
            )
        }
        return config
    }

    private static func implicitConfig(
        _ name: String,
        _ organization: String
    ) throws -> Protos_StaticCollectionConfig {
        let role = Common_MSPRole.with {
            $0.mspIdentifier = organization
            $0.role = .member
        }
        let principal = try Common_MSPPrincipal.with {
            $0.principalClassification = .role
            $0.principal = try role.serializedData()
        }
        return .with {
            $0.name = name
            $0.memberOrgsPolicy.signaturePolicy.identities = [principal]
            $0.memberOrgsPolicy.signaturePolicy.rule.nOutOf.n = 1
            $0.memberOrgsPolicy.signaturePolicy.rule.nOutOf.rules = [.with { $0.signedBy = 0 }]
        }
    }
}
