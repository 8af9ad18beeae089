package import Channel
package import FabricProtos
package import Foundation

/// What happens to the private data of a channel.
package enum PrivateDataInput: Sendable {
    /// Private writes that this peer has endorsed are to reach other peers; answered by ``PrivateDataEffect/pushed``.
    case push([Gossip_PrivatePayload], request: UInt64)
    /// Private data is missing here; answered by ``PrivateDataEffect/pulled``.
    case pull([WantedPrivateData], request: UInt64)
    /// What was read for ``PrivateDataEffect/read``, whoever asked: who may have what is judged afterwards.
    case read([HeldPrivateData], for: PKIID, nonce: UInt64)
    /// What another peer pushed was kept, or could not be (`error`, else empty), for ``PrivateDataEffect/keep``.
    case kept(error: String, from: PKIID, nonce: UInt64)
}

/// What gossip wants done about the private data of a channel.
package enum PrivateDataEffect: Sendable {
    /// A push has ended: enough peers have it, or `failure` says why not.
    case pushed(request: UInt64, failure: String?)
    /// A pull has ended: what has become of each thing that was wanted, in the same order.
    case pulled(request: UInt64, [PulledPrivateData])
    /// Read what there is of these, with the policies that say who may have it.
    case read([Gossip_PvtDataDigest], requester: GossipConnection, nonce: UInt64)
    /// Keep what another peer has endorsed until the transaction is committed.
    case keep(Gossip_PrivatePayload, from: PKIID, nonce: UInt64)
}

/// Private writes of one transaction to one collection that this peer may have, and lacks.
package struct WantedPrivateData: Sendable {
    package var digest: Gossip_PvtDataDigest
    /// What the transaction says of the writes.
    package var hashes: PrivateWriteHashes
    /// Who may have the collection's data.
    package var members: Common_SignaturePolicyEnvelope
    /// The peers that endorsed the transaction: they had the data.
    package var endorsers: [PKIID]
    /// Blocks until the data is forgotten; 0 for never.
    package var blockToLive: UInt64

    package init(
        digest: Gossip_PvtDataDigest,
        hashes: PrivateWriteHashes,
        members: Common_SignaturePolicyEnvelope,
        endorsers: [PKIID],
        blockToLive: UInt64
    ) {
        self.digest = digest
        self.hashes = hashes
        self.members = members
        self.endorsers = endorsers
        self.blockToLive = blockToLive
    }
}

/// What has become of one ``WantedPrivateData``.
package struct PulledPrivateData: Sendable {
    /// Somebody who was asked in vain.
    package struct Attempt: Sendable, Equatable {
        package var mspID: MSPID?
        /// Where the peer is; its short name where that is not known.
        package var peer: String
        package var reason: String

        package init(mspID: MSPID?, peer: String, reason: String) {
            self.mspID = mspID
            self.peer = peer
            self.reason = reason
        }
    }

    /// The writes, a `kvrwset.KVRWSet`, each of which was endorsed; `nil` if nobody gave any.
    ///
    /// Keys may lack in it that were purged where it came from.
    package var bytes: Data?
    package var attempts: [Attempt]
    /// Why there was nobody to ask, or to ask further; empty if the data has come.
    package var reason: String

    package init(bytes: Data?, attempts: [Attempt] = [], reason: String = "") {
        self.bytes = bytes
        self.attempts = attempts
        self.reason = reason
    }
}

/// Private writes that this peer holds, and who may have them.
package struct HeldPrivateData: Sendable {
    package var element: Gossip_PvtDataElement
    /// The collection's members; nobody else gets the data.
    package var members: Common_SignaturePolicyEnvelope

    package init(element: Gossip_PvtDataElement, members: Common_SignaturePolicyEnvelope) {
        self.element = element
        self.members = members
    }
}
