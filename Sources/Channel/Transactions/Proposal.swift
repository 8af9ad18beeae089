package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// A proposal to run a contract, signed by its creator: what a client sends to endorsers.
///
/// - Source: Fabric v3, package `protoutil`, proposals.
package struct Proposal: Sendable {
    package let transactionID: TransactionID
    package let signed: Protos_SignedProposal
    /// The decoded form of `signed.proposalBytes`.
    package let proposal: Protos_Proposal

    /// Builds and signs a proposal.
    ///
    /// - Parameters:
    ///   - channel: The channel's name; empty for calls that concern no channel.
    ///   - chaincode: The contract to run.
    ///   - arguments: The function's name first.
    ///   - transient: Data for the endorsers alone; it never enters the transaction.
    ///   - isInit: Whether this is the initialization of a contract whose definition requires one.
    ///   - signer: The creator.
    ///   - nonce: 24 random bytes, never used before.
    ///   - timestamp: The creator's time; endorsers refuse one more than 15 minutes off.
    ///   - type: ENDORSER_TRANSACTION, or CONFIG for the call that joins a channel.
    /// - Throws: `CryptographyError` if the key can't sign.
    package init(
        channel: String,
        chaincode: String,
        arguments: [Data],
        transient: [String: Data] = [:],
        isInit: Bool = false,
        signer: SigningIdentity,
        nonce: Data,
        timestamp: Date,
        type: Common_HeaderType = .endorserTransaction
    ) throws {
        var chaincodeID = Protos_ChaincodeID()
        chaincodeID.name = chaincode
        var headerExtension = Protos_ChaincodeHeaderExtension()
        headerExtension.chaincodeID = chaincodeID

        self.transactionID = TransactionID(nonce: nonce, creator: signer.serialized)
        var channelHeader = Common_ChannelHeader()
        channelHeader.type = Int32(type.rawValue)
        channelHeader.timestamp = Google_Protobuf_Timestamp(date: timestamp)
        channelHeader.channelID = channel
        channelHeader.txID = self.transactionID.description
        channelHeader.extension = try headerExtension.serializedBytes()

        var signatureHeader = Common_SignatureHeader()
        signatureHeader.creator = signer.serialized
        signatureHeader.nonce = nonce

        var header = Common_Header()
        header.channelHeader = try channelHeader.serializedBytes()
        header.signatureHeader = try signatureHeader.serializedBytes()

        var specification = Protos_ChaincodeSpec()
        specification.type = .golang
        specification.chaincodeID = chaincodeID
        specification.input.args = arguments
        specification.input.isInit = isInit
        var invocation = Protos_ChaincodeInvocationSpec()
        invocation.chaincodeSpec = specification

        var payload = Protos_ChaincodeProposalPayload()
        payload.input = try invocation.serializedBytes()
        payload.transientMap = transient

        var proposal = Protos_Proposal()
        proposal.header = try header.serializedBytes()
        proposal.payload = try payload.serializedBytes()
        self.proposal = proposal
        var signed = Protos_SignedProposal()
        signed.proposalBytes = try proposal.serializedBytes()
        signed.signature = try signer.sign(signed.proposalBytes)
        self.signed = signed
    }
}
