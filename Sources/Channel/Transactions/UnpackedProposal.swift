internal import Cryptography
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// Why a proposal is refused before anybody looks at its signature.
package struct InvalidProposal: Error, Equatable, Sendable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}

/// A signed proposal as an endorser sees it, decoded once.
///
/// - Source: Fabric v3, package `core/endorser`, unpacking and checking of proposals.
package final class UnpackedProposal: Sendable {
    package let signedProposal: Protos_SignedProposal
    package let proposal: Protos_Proposal
    package let header: Common_Header
    package let channelHeader: Common_ChannelHeader
    package let signatureHeader: Common_SignatureHeader
    /// The contract that the header extension names: the one that runs.
    package let chaincodeName: String
    package let input: Protos_ChaincodeInput
    package let transient: [String: Data]
    /// The part of the payload that enters the transaction: the invocation, without the transient map.
    package let visiblePayload: Data
    /// SHA-256 over channel header, signature header and visible payload.
    package let proposalHash: Data

    /// Decodes every part of a proposal.
    ///
    /// - Throws: ``InvalidProposal`` naming the part that is missing or can't be read.
    package init(_ signed: Protos_SignedProposal) throws(InvalidProposal) {
        self.signedProposal = signed
        let proposal = try decode("proposal") { try Protos_Proposal(serializedBytes: signed.proposalBytes) }
        let header = try decode("header") { try Common_Header(slicing: proposal.header) }
        self.proposal = proposal
        self.header = header
        let channelHeader = try decode("channel header") {
            try Common_ChannelHeader(serializedBytes: header.channelHeader)
        }
        self.channelHeader = channelHeader
        self.signatureHeader = try decode("signature header") {
            try Common_SignatureHeader(slicing: header.signatureHeader)
        }
        let called = try decode("header extension") {
            try Protos_ChaincodeHeaderExtension(serializedBytes: channelHeader.extension)
        }
        guard called.hasChaincodeID else {
            throw InvalidProposal("ChaincodeHeaderExtension.ChaincodeId is nil")
        }
        guard !called.chaincodeID.name.isEmpty else {
            throw InvalidProposal("ChaincodeHeaderExtension.ChaincodeId.Name is empty")
        }
        self.chaincodeName = called.chaincodeID.name
        let payload = try decode("payload") {
            try Protos_ChaincodeProposalPayload(serializedBytes: proposal.payload)
        }
        let invocation = try decode("chaincode invocation") {
            try Protos_ChaincodeInvocationSpec(serializedBytes: payload.input)
        }
        guard invocation.hasChaincodeSpec else {
            throw InvalidProposal("chaincode invocation spec did not contain chaincode spec")
        }
        guard invocation.chaincodeSpec.hasInput else {
            throw InvalidProposal("chaincode input did not contain any input")
        }
        self.input = invocation.chaincodeSpec.input
        self.transient = payload.transientMap
        let visible = try decode("payload") { try Proposal.visiblePayload(invocation: payload.input) }
        self.visiblePayload = visible
        self.proposalHash = Digest.sha256(header.channelHeader, header.signatureHeader, visible)
    }

    /// Checks the headers' values, in Fabric's words: type, epoch, nonce, creator, transaction identifier, signature present.
    ///
    /// - Throws: ``InvalidProposal`` naming the value.
    package func checkHeaders() throws(InvalidProposal) {
        let types: [Common_HeaderType] = [.endorserTransaction, .config]
        guard types.contains(where: { Int32($0.rawValue) == self.channelHeader.type }) else {
            throw InvalidProposal("invalid header type \(Self.name(ofType: self.channelHeader.type))")
        }
        guard self.channelHeader.epoch == 0 else {
            throw InvalidProposal("epoch is non-zero")
        }
        guard !self.signatureHeader.nonce.isEmpty else {
            throw InvalidProposal("nonce is empty")
        }
        guard !self.signatureHeader.creator.isEmpty else {
            throw InvalidProposal("creator is empty")
        }
        let identifier = TransactionID(
            nonce: self.signatureHeader.nonce,
            creator: self.signatureHeader.creator
        )
        guard self.channelHeader.txID == identifier.description else {
            throw InvalidProposal(
                "incorrectly computed txid '\(self.channelHeader.txID.prefix(80))' -- expected '\(identifier)'"
            )
        }
        guard !self.signedProposal.proposalBytes.isEmpty, !self.signedProposal.signature.isEmpty else {
            throw InvalidProposal("empty proposal or signature bytes")
        }
    }

    /// The name of a header type as the protocol spells it.
    private static func name(ofType number: Int32) -> String {
        switch Common_HeaderType(rawValue: Int(number)) {
        case .message: "MESSAGE"
        case .config: "CONFIG"
        case .configUpdate: "CONFIG_UPDATE"
        case .endorserTransaction: "ENDORSER_TRANSACTION"
        case .ordererTransaction: "ORDERER_TRANSACTION"
        case .deliverSeekInfo: "DELIVER_SEEK_INFO"
        case .chaincodePackage: "CHAINCODE_PACKAGE"
        default: String(number)
        }
    }

    /// Ties the transient data to this proposal: SHA-256 of nonce, creator and epoch.
    ///
    /// - Source: Fabric v3.1, `fabric-chaincode-go/shim`, the stub's binding.
    package var binding: Data {
        var epoch = self.channelHeader.epoch.littleEndian
        let epochBytes = withUnsafeBytes(of: &epoch) { Data($0) }
        return Digest.sha256(self.signatureHeader.nonce, self.signatureHeader.creator, epochBytes)
    }

    /// The proposal as its creator signed it.
    package var signedData: SignedData {
        SignedData(
            data: self.signedProposal.proposalBytes,
            identity: self.signatureHeader.creator,
            signature: self.signedProposal.signature
        )
    }
}

private func decode<Part>(_ part: String, _ body: () throws -> Part) throws(InvalidProposal) -> Part {
    do {
        return try body()
    } catch {
        throw InvalidProposal("the \(part) can't be decoded: \(error)")
    }
}
