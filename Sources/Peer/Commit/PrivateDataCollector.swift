internal import Channel
internal import Cryptography
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger
internal import SwiftProtobuf

/// Finds the private data that belongs to a block, and notes what is missing.
///
/// A peer has the private data of what it endorsed itself, or was sent before the commit. The rest is asked of other
/// peers (``CommitTimePull``); what does not come is fetched later.
///
/// - Source: Fabric v3, package `gossip/privdata`, coordinator.
struct PrivateDataCollector {
    let transient: TransientStore
    /// The serialized identity of this peer, which decides what it may have.
    let localIdentity: Data
    let configuration: ChannelConfiguration
    let state: CommittedState

    /// What goes into the ledger beside a block.
    struct Collected {
        var writeSets: [PrivateWriteSet] = []
        var missing: [MissingPrivateData] = []
        /// What of it should be asked of other peers before the commit.
        var wanted: [Wanted] = []

        /// Takes private data that came after all.
        mutating func found(_ place: MissingPrivateData, _ bytes: Data) {
            self.missing.removeAll { $0 == place }
            self.writeSets.append(
                PrivateWriteSet(
                    transaction: place.transaction,
                    namespace: place.namespace,
                    collection: place.collection,
                    bytes: bytes
                )
            )
        }
    }

    struct Wanted {
        var missing: MissingPrivateData
        var data: WantedPrivateData
    }

    /// Looks for the private data of transaction `index` of a block.
    ///
    /// What is missing is asked of other peers unless `endorsers`, those of the transaction, is `nil`.
    func collect(
        _ set: TransactionReadWriteSet,
        transactionID: String,
        block: BlockNumber,
        index: Int,
        endorsers: [Identity]?,
        rules: inout NamespaceRulesCache,
        into collected: inout Collected
    ) throws {
        var kept: [Data]?
        for namespace in set.namespaces {
            for collection in namespace.collections where collection.holdsPrivateWrites {
                let rules = try rules.rules(
                    of: namespace.name,
                    configuration: self.configuration,
                    state: self.state
                )
                let isEligible = rules.map { self.isMember(of: collection.name, $0) } ?? false
                if isEligible {
                    let candidates = try kept ?? self.keptSets(of: transactionID)
                    kept = candidates
                    if let bytes = candidates.first(where: { Digest.sha256($0) == collection.privateHash }) {
                        collected.writeSets.append(
                            PrivateWriteSet(
                                transaction: index,
                                namespace: namespace.name,
                                collection: collection.name,
                                bytes: bytes
                            )
                        )
                        continue
                    }
                }
                let missing = MissingPrivateData(
                    transaction: index,
                    namespace: namespace.name,
                    collection: collection.name,
                    isEligible: isEligible
                )
                collected.missing.append(missing)
                guard isEligible, let endorsers,
                    let data = WantedPrivateData(
                        missing,
                        block: block,
                        transactionID: transactionID,
                        collection: collection,
                        endorsers: endorsers.map(\.serialized),
                        definition: try self.state.definition(of: namespace.name)
                    )
                else { continue }
                collected.wanted.append(Wanted(missing: missing, data: data))
            }
        }
    }

    private func isMember(of collection: String, _ rules: NamespaceRules) -> Bool {
        guard let identity = try? self.configuration.directory.identity(from: self.localIdentity) else {
            return false
        }
        return rules.isMember(identity, ofCollection: collection)
    }

    /// The private write sets that are kept for a transaction, of whatever collection.
    func keptSets(of transactionID: String) throws -> [Data] {
        try self.transient.entries(transaction: transactionID).flatMap { entry in
            guard let set = try? Transientstore_TxPvtReadWriteSetWithConfigInfo(serializedBytes: entry.bytes)
            else { return [Data]() }
            return set.pvtRwset.nsPvtRwset.flatMap { $0.collectionPvtRwset.map(\.rwset) }
        }
    }
}

extension TransactionReadWriteSet.Collection {
    /// Whether there is a private side to this: reads alone have none.
    fileprivate var holdsPrivateWrites: Bool { !self.privateHash.isEmpty }
}
