import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf

/// Makes transactions for the chain "side" as a client and its endorsers would.
///
/// Chaincode `othercc` is defined there; any one peer may endorse it.
struct TransactionFactory: Sendable {
    var channel = "vecside"
    var chaincode = "othercc"
    var creator: SigningIdentity
    var endorsers: [SigningIdentity]

    init(creator: SigningIdentity, endorsers: [SigningIdentity]) {
        self.creator = creator
        self.endorsers = endorsers
    }

    /// A transaction that does what `set` says.
    func transaction(_ set: Rwset_TxReadWriteSet) throws -> Common_Envelope {
        try self.transaction(results: set.serializedBytes())
    }

    func transaction(results: Data) throws -> Common_Envelope {
        let proposal = try Proposal(
            channel: self.channel,
            chaincode: self.chaincode,
            arguments: [Data("run".utf8)],
            signer: self.creator,
            nonce: secureRandomBytes(24),
            timestamp: Date()
        )
        var action = Protos_ChaincodeAction()
        action.results = results
        action.response.status = 200
        action.chaincodeID.name = self.chaincode
        action.chaincodeID.version = "2.1"
        let unpacked = try UnpackedProposal(proposal.signed)
        var payload = Protos_ProposalResponsePayload()
        payload.proposalHash = unpacked.proposalHash
        payload.extension = try action.serializedBytes()
        let bytes: Data = try payload.serializedBytes()
        let responses = try self.endorsers.map { endorser in
            var response = Protos_ProposalResponse()
            response.response.status = 200
            response.payload = bytes
            response.endorsement.endorser = endorser.serialized
            response.endorsement.signature = try endorser.sign(bytes + endorser.serialized)
            return response
        }
        return try Common_Envelope.signed(
            payload: Proposal.assemble(proposal.proposal, responses: responses),
            signer: self.creator
        )
    }

    /// A read-write set of one namespace.
    static func set(
        _ namespace: String,
        _ kv: Kvrwset_KVRWSet = Kvrwset_KVRWSet(),
        collections: [String: Kvrwset_HashedRWSet] = [:],
        privateHash: Data = Data()
    ) throws -> Rwset_TxReadWriteSet {
        var entry = Rwset_NsReadWriteSet()
        entry.namespace = namespace
        entry.rwset = try kv.serializedBytes()
        entry.collectionHashedRwset = try collections.sorted { $0.key < $1.key }.map { name, hashed in
            var collection = Rwset_CollectionHashedReadWriteSet()
            collection.collectionName = name
            collection.hashedRwset = try hashed.serializedBytes()
            collection.pvtRwsetHash = privateHash
            return collection
        }
        var set = Rwset_TxReadWriteSet()
        set.nsRwset = [entry]
        return set
    }

    /// A blind write of one key.
    static func write(_ key: String, _ value: String) -> Kvrwset_KVRWSet {
        var set = Kvrwset_KVRWSet()
        set.writes = [
            Kvrwset_KVWrite.with {
                $0.key = key
                $0.value = Data(value.utf8)
            }
        ]
        return set
    }

    /// A change of a key's endorsement policy.
    static func metadata(_ key: String, _ policy: Common_SignaturePolicyEnvelope) throws -> Kvrwset_KVRWSet {
        let bytes: Data = try policy.serializedBytes()
        var set = Kvrwset_KVRWSet()
        set.metadataWrites = [
            Kvrwset_KVMetadataWrite.with { write in
                write.key = key
                write.entries = [
                    Kvrwset_KVMetadataEntry.with {
                        $0.name = "VALIDATION_PARAMETER"
                        $0.value = bytes
                    }
                ]
            }
        ]
        return set
    }
}
