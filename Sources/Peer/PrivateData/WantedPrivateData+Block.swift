internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger
internal import SwiftProtobuf

extension WantedPrivateData {
    /// What is missing from a block, as other peers are asked for it.
    ///
    /// `nil` if the collection is not defined any more: then nobody is entitled to it.
    init?(
        _ missing: MissingPrivateData,
        block: BlockNumber,
        transactionID: String,
        collection: TransactionReadWriteSet.Collection,
        endorsers: [Data],
        definition: ChaincodeDefinition?
    ) {
        guard let config = CollectionDefinitions.config(missing.collection, of: definition) else {
            return nil
        }
        self.init(
            digest: .with {
                $0.txID = transactionID
                $0.namespace = missing.namespace
                $0.collection = missing.collection
                $0.blockSeq = block
                $0.seqInBlock = UInt64(missing.transaction)
            },
            hashes: PrivateWriteHashes(collection),
            members: config.memberOrgsPolicy.signaturePolicy,
            endorsers: endorsers.compactMap { try? PKIID(identity: $0) },
            blockToLive: config.blockToLive
        )
    }

    /// The same, from a transaction as the ledger holds it.
    init?(
        _ missing: MissingPrivateData,
        block: BlockNumber,
        envelope: Data,
        definition: ChaincodeDefinition?
    ) {
        guard let decoded = try? DecodedTransaction.decode(envelope),
            case .success(.endorser(let transaction)) = decoded.body,
            let namespace = transaction.readWriteSet.namespaces.first(where: {
                $0.name.utf8.elementsEqual(missing.namespace.utf8)
            }),
            let collection = namespace.collections.first(where: {
                $0.name.utf8.elementsEqual(missing.collection.utf8)
            })
        else { return nil }
        self.init(
            missing,
            block: block,
            transactionID: decoded.headers.channel.txID,
            collection: collection,
            endorsers: transaction.signatureSet.map(\.identity),
            definition: definition
        )
    }
}
