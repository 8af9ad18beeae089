internal import Channel
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// The private data of committed blocks, as far as one requester may see it.
///
/// - Source: Fabric v3, package `core/peer`, deliver with private data.
struct PrivateDataView: Sendable {
    let channel: PeerChannel
    /// The requester's serialized identity.
    let requester: Data

    /// The private write sets of the block's transactions, by their place in the block: those that this peer
    /// has, of collections that the requester is a member of.
    func privateData(of block: BlockNumber) throws -> [UInt64: Rwset_TxPvtReadWriteSet] {
        let configuration = self.channel.configuration
        let writeSets = try self.channel.ledger.privateStore.writeSets(block: block)
        guard !writeSets.isEmpty, let identity = try? configuration.directory.identity(from: self.requester)
        else { return [:] }
        let state = CommittedState(self.channel.ledger.snapshot())
        var rules = NamespaceRulesCache()
        var result: [UInt64: Rwset_TxPvtReadWriteSet] = [:]
        for set in writeSets {
            let known = try rules.rules(of: set.namespace, configuration: configuration, state: state)
            guard known?.isMember(identity, ofCollection: set.collection) == true else { continue }
            result[UInt64(set.transaction), default: .init()].add(set)
        }
        return result
    }
}

extension Rwset_TxPvtReadWriteSet {
    fileprivate mutating func add(_ set: PrivateWriteSet) {
        var collection = Rwset_CollectionPvtReadWriteSet()
        collection.collectionName = set.collection
        collection.rwset = set.bytes
        if let index = self.nsPvtRwset.firstIndex(where: {
            $0.namespace.utf8.elementsEqual(set.namespace.utf8)
        }) {
            self.nsPvtRwset[index].collectionPvtRwset.append(collection)
        } else {
            var namespace = Rwset_NsPvtReadWriteSet()
            namespace.namespace = set.namespace
            namespace.collectionPvtRwset = [collection]
            self.nsPvtRwset.append(namespace)
        }
    }
}
