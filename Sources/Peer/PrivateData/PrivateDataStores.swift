internal import Channel
package import FabricProtos
package import Foundation
package import Gossip
internal import Ledger
internal import SwiftProtobuf

/// The private data that a peer holds of one channel, as other peers come to have it or bring it.
///
/// - Source: Fabric v3.1, package `gossip/privdata`, data retriever and coordinator.
package struct PrivateDataStores: PrivateDataHolder {
    private let channel: PeerChannel
    private let link: PrivateDataLink

    /// Different sets that are kept for one transaction: each endorser has one for each collection, and a liar who may
    /// read the channel could send any number.
    static let maximumSets = 200

    package init(channel: PeerChannel, link: PrivateDataLink) {
        self.channel = channel
        self.link = link
    }

    package func held(_ digests: [Gossip_PvtDataDigest]) -> [HeldPrivateData] {
        var reading = Reading(channel: self.channel)
        return digests.flatMap { digest in (try? reading.held(digest)) ?? [] }
    }

    /// What is kept under a height beyond what this peer may have seen counts as kept at the latest, so that it is
    /// forgotten in time like everything else.
    package func keep(_ payload: Gossip_PrivatePayload) -> String {
        let ledger = self.channel.ledger
        do {
            // Too late for the commit; if it is missing, it will be asked for.
            guard try !ledger.containsTransaction(payload.txID) else { return "" }
            let kept = Transientstore_TxPvtReadWriteSetWithConfigInfo.with {
                $0.endorsedAt = payload.privateSimHeight
                $0.pvtRwset.dataModel = .kv
                $0.pvtRwset.nsPvtRwset = [
                    .with {
                        $0.namespace = payload.namespace
                        $0.collectionPvtRwset = [
                            .with {
                                $0.collectionName = payload.collectionName
                                $0.rwset = payload.privateRwset
                            }
                        ]
                    }
                ]
                $0.collectionConfigs[payload.namespace] = payload.collectionConfigs
            }
            let bytes: Data = try kept.serializedBytes()
            let present = try ledger.transient.entries(transaction: payload.txID)
            guard !present.contains(where: { $0.bytes == bytes }) else { return "" }
            guard present.count < Self.maximumSets else {
                return "\(present.count) private write sets are kept for transaction \(payload.txID) already"
            }
            let latest = ledger.height &+ self.link.options.transientstoreMaxBlockRetention
            try ledger.transient.add(
                transaction: payload.txID,
                height: min(payload.privateSimHeight, latest),
                bytes: bytes
            )
            return ""
        } catch {
            return "the private data can't be stored: \(error)"
        }
    }

    package func payloads(ofBlock number: UInt64, for requester: Data) -> [Data] {
        let view = PrivateDataView(channel: self.channel, requester: requester)
        guard let sets = try? view.privateData(of: number) else { return [] }
        return sets.sorted { $0.key < $1.key }.compactMap { transaction, set in
            var payload = Gossip_PvtDataPayload()
            payload.txSeqInBlock = transaction
            guard let bytes: Data = try? set.serializedBytes() else { return nil }
            payload.payload = bytes
            return try? payload.serializedData()
        }
    }

    /// Does what gossip wants done with the stores; blocks while it does.
    ///
    /// - Returns: what gossip is to be told; `nil` for an effect that is not about the stores.
    package func perform(_ effect: PrivateDataEffect) -> PrivateDataInput? {
        switch effect {
        case .read(let digests, let requester, let nonce):
            .read(self.held(digests), for: requester.peer, nonce: nonce)
        case .keep(let payload, let peer, let nonce):
            .kept(error: self.keep(payload), from: peer, nonce: nonce)
        case .pushed, .pulled: nil
        }
    }
}

/// One answer's worth of reading: blocks and definitions are read once.
private struct Reading {
    let channel: PeerChannel
    let snapshot: StateSnapshot
    /// The last block's sets: with all, and without what was purged.
    private var block: (number: BlockNumber, all: [PrivateWriteSet], rest: [PrivateWriteSet])?
    private var definitions: [String: ChaincodeDefinition?] = [:]

    init(channel: PeerChannel) {
        self.channel = channel
        self.snapshot = channel.ledger.snapshot()
    }

    mutating func held(_ digest: Gossip_PvtDataDigest) throws -> [HeldPrivateData] {
        guard digest.blockSeq < self.snapshot.height else { return try self.endorsed(digest) }
        return try self.committed(digest).map { [$0] } ?? []
    }

    /// From the private store; keys that were purged are left out, and what has expired is not there.
    private mutating func committed(_ digest: Gossip_PvtDataDigest) throws -> HeldPrivateData? {
        if self.block?.number != digest.blockSeq {
            let store = self.channel.ledger.privateStore
            self.block = (
                digest.blockSeq,
                try store.writeSets(block: digest.blockSeq, includingPurged: true),
                try store.writeSets(block: digest.blockSeq)
            )
        }
        guard let block, let stored = block.all.first(where: { $0.isNamed(by: digest) }),
            let config = try self.config(digest.namespace, digest.collection),
            !config.hasExpired(writtenIn: digest.blockSeq, height: self.snapshot.height)
        else { return nil }
        let rest = block.rest.first { $0.isNamed(by: digest) }
        let isWhole = rest?.bytes == stored.bytes
        return HeldPrivateData(
            element: .with {
                $0.digest = digest
                $0.payload = [isWhole ? stored.bytes : rest?.bytes ?? Data()]
            },
            members: config.memberOrgsPolicy.signaturePolicy
        )
    }

    /// From what is kept for transactions that are not committed; who may have it was decided when it was endorsed.
    ///
    /// One who sends false data may send a false policy with it: only sets of one policy go together.
    private func endorsed(_ digest: Gossip_PvtDataDigest) throws -> [HeldPrivateData] {
        var held: [Common_SignaturePolicyEnvelope: HeldPrivateData] = [:]
        for entry in try self.channel.ledger.transient.entries(transaction: digest.txID) {
            let kept = try Transientstore_TxPvtReadWriteSetWithConfigInfo(serializedBytes: entry.bytes)
            let sets = kept.pvtRwset.nsPvtRwset
                .filter { $0.namespace.utf8.elementsEqual(digest.namespace.utf8) }
                .flatMap(\.collectionPvtRwset)
                .filter { $0.collectionName.utf8.elementsEqual(digest.collection.utf8) }
            guard !sets.isEmpty,
                let config = kept.collectionConfigs[digest.namespace]?.config
                    .map(\.staticCollectionConfig)
                    .first(where: { $0.name.utf8.elementsEqual(digest.collection.utf8) })
            else { continue }
            let policy = config.memberOrgsPolicy.signaturePolicy
            let empty = HeldPrivateData(element: .with { $0.digest = digest }, members: policy)
            held[policy, default: empty].element.payload += sets.map(\.rwset)
        }
        return Array(held.values)
    }

    private mutating func config(
        _ namespace: String,
        _ collection: String
    ) throws -> Protos_StaticCollectionConfig? {
        if self.definitions[namespace] == nil {
            self.definitions[namespace] = .some(
                try LifecycleState.definition(of: namespace, in: self.snapshot)
            )
        }
        return CollectionDefinitions.config(collection, of: self.definitions[namespace] ?? nil)
    }
}

extension PrivateWriteSet {
    fileprivate func isNamed(by digest: Gossip_PvtDataDigest) -> Bool {
        UInt64(self.transaction) == digest.seqInBlock
            && self.namespace.utf8.elementsEqual(digest.namespace.utf8)
            && self.collection.utf8.elementsEqual(digest.collection.utf8)
    }
}

extension Protos_StaticCollectionConfig {
    /// Whether what was written in a block is to be forgotten once the ledger has `height` blocks.
    fileprivate func hasExpired(writtenIn block: BlockNumber, height: BlockNumber) -> Bool {
        guard self.blockToLive > 0 else { return false }
        let (last, overflow) = block.addingReportingOverflow(self.blockToLive)
        return !overflow && last < .max && last + 1 < height
    }
}
