internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// Signs what this node says in the protocol.
struct BFTSigner: Sendable {
    let channel: ChannelID
    let signer: RenewableIdentity
    let nonce: @Sendable () -> Data

    /// The signature of a statement: of a commit vote a serialized `common.MetadataSignature`, as it will stand in the
    /// block, since each has a nonce of its own.
    func sign(_ statement: BFTStatement, as id: NodeID) throws -> [UInt8] {
        let identity = self.signer.current
        guard case .vote(.commit, let ballot) = statement else {
            return [UInt8](try identity.sign(BFTSignedBytes.statement(statement, channel: self.channel)))
        }
        var header = Common_IdentifierHeader()
        header.identifier = UInt32(clamping: id)
        header.nonce = self.nonce()
        var signature = Common_MetadataSignature()
        signature.identifierHeader = try header.serializedBytes()
        guard let bytes = BFTSignedBytes.block(ballot, identifierHeader: signature.identifierHeader) else {
            throw ChainHalted(reason: "a block signature was asked for what is no block")
        }
        signature.signature = try identity.sign(bytes)
        return try signature.serializedBytes()
    }
}

/// The identities of the consenters that vote on one height.
struct BFTVoterKeys {
    private let channel: ChannelID
    private let identities: [NodeID: Identity]

    /// A consenter whose identity is not valid (any more) signs in vain, as under the BlockValidation policy.
    init(_ consenters: BFTConsenters, _ configuration: ChannelConfiguration) {
        self.channel = configuration.channelID
        var identities: [NodeID: Identity] = [:]
        for consenter in consenters.consenters {
            guard let identity = try? configuration.directory.identity(from: consenter.identity),
                (try? configuration.directory.validate(identity)) != nil
            else { continue }
            identities[consenter.id] = identity
        }
        self.identities = identities
    }

    /// Whether the signer signed this.
    func verify(_ claim: BFTClaim) -> Bool {
        guard let identity = self.identities[claim.signature.signer] else { return false }
        let bytes = Data(claim.signature.bytes)
        do {
            guard case .vote(.commit, let ballot) = claim.statement else {
                let message = BFTSignedBytes.statement(claim.statement, channel: self.channel)
                try identity.verify(bytes, of: message)
                return true
            }
            let signature = try Common_MetadataSignature(serializedBytes: bytes)
            let header = try Common_IdentifierHeader(serializedBytes: signature.identifierHeader)
            // As it stands in the block: nothing that a reader of the block takes for another signer.
            guard signature.signatureHeader.isEmpty, NodeID(header.identifier) == claim.signature.signer,
                let message = BFTSignedBytes.block(ballot, identifierHeader: signature.identifierHeader)
            else { return false }
            try identity.verify(signature.signature, of: message)
            return true
        } catch {
            return false
        }
    }

    /// What makes a block final, from its signatures; those that don't count are left out.
    ///
    /// - Returns: `nil` for a block that another protocol ordered.
    func certificate(of block: Common_Block) throws -> BFTCertificate? {
        guard let round = try BFTRound(of: block) else { return nil }
        let ballot = BFTBallot(round: round, digest: try ProposedBlock(final: block).digest)
        var signatures: [NodeID: BFTSignature] = [:]
        for signature in try block.ordererMetadata().metadata.signatures {
            guard let header = try? Common_IdentifierHeader(serializedBytes: signature.identifierHeader)
            else { continue }
            let claim = BFTClaim(
                statement: .vote(.commit, ballot),
                signature: BFTSignature(
                    signer: NodeID(header.identifier),
                    bytes: try signature.serializedBytes()
                )
            )
            if signatures[claim.signature.signer] == nil, self.verify(claim) {
                signatures[claim.signature.signer] = claim.signature
            }
        }
        return BFTCertificate(
            phase: .commit,
            ballot: ballot,
            signatures: signatures.values.sorted { $0.signer < $1.signer }
        )
    }
}

extension Common_Block {
    /// Writes the metadata of a block that this certificate makes final.
    ///
    /// - Source: Fabric v3.1, package `orderer/consensus/smartbft`, delivery of a decision.
    mutating func finish(with certificate: BFTCertificate, lastConfig: BlockNumber) throws {
        var metadata = Common_Metadata()
        metadata.value = try BFTSignedBytes.ordererMetadata(certificate.ballot.round, lastConfig: lastConfig)
        metadata.signatures = try certificate.signatures.map {
            try Common_MetadataSignature(serializedBytes: $0.bytes)
        }
        self.setMetadata(.signatures, try metadata.serializedBytes())
    }
}
