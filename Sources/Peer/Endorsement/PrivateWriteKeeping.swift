internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger
internal import SwiftProtobuf

/// Keeps the private writes of an endorsed transaction until the transaction is committed.
///
/// The transaction itself carries only their hashes, so the endorsement is worthless without them: they are
/// stored durably, and sent to as many other peers as their collections want, before the peer answers.
///
/// - Source: Fabric v3.1, `core/endorser/pvtrwset_assembler.go`.
struct PrivateWriteKeeping {
    let channel: any EndorsingChannel
    let simulation: Simulation
    /// The way to other peers.
    let link: PrivateDataLink?
    let ownOrganization: MSPID

    /// Stores the writes here.
    ///
    /// - Returns: what is to be sent to other peers.
    func keep(_ writes: Rwset_TxPvtReadWriteSet) throws -> [Gossip_PrivatePayload] {
        guard let snapshot = self.simulation.snapshot else { return [] }
        var kept = Transientstore_TxPvtReadWriteSetWithConfigInfo()
        kept.endorsedAt = snapshot.height
        kept.pvtRwset = writes
        var payloads: [Gossip_PrivatePayload] = []
        for namespace in writes.nsPvtRwset {
            let definition = try LifecycleState.definition(of: namespace.namespace, in: snapshot)
            var configs = Protos_CollectionConfigPackage()
            for collection in namespace.collectionPvtRwset {
                let config = try self.config(collection.collectionName, definition, namespace.namespace)
                configs.config.append(.with { $0.staticCollectionConfig = config })
                payloads.append(
                    .with {
                        $0.collectionName = collection.collectionName
                        $0.namespace = namespace.namespace
                        $0.txID = self.simulation.transactionID
                        $0.privateRwset = collection.rwset
                        $0.privateSimHeight = snapshot.height
                        $0.collectionConfigs.config = [.with { $0.staticCollectionConfig = config }]
                    }
                )
            }
            kept.collectionConfigs[namespace.namespace] = configs
        }
        try self.channel.ledger.transient.add(
            transaction: self.simulation.transactionID,
            height: snapshot.height,
            bytes: try kept.serializedData()
        )
        return payloads
    }

    private func config(
        _ name: String,
        _ definition: ChaincodeDefinition?,
        _ chaincode: String
    ) throws -> Protos_StaticCollectionConfig {
        guard var config = CollectionDefinitions.config(name, of: definition) else {
            throw ContractError("no collection config for chaincode \"\(chaincode)\", collection \"\(name)\"")
        }
        let owner = LifecycleState.organization(ofImplicitCollection: name)
        if let link, owner == self.ownOrganization.description {
            config.requiredPeerCount = Int32(clamping: link.options.implicitRequiredPeerCount)
            config.maximumPeerCount = Int32(clamping: link.options.implicitMaxPeerCount)
        }
        guard config.requiredPeerCount <= 0 || self.link?.exchange != nil else {
            throw ContractError(
                """
                collection \(name) of \(chaincode) wants \(config.requiredPeerCount) other peers to hold the \
                private data before it is endorsed, and this peer has no gossip that could send it to others; \
                switch its gossip on, or set the collection's required_peer_count to 0
                """
            )
        }
        return config
    }
}
