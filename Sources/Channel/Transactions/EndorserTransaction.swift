internal import Cryptography
package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// The one action of an endorser transaction, decoded: what was simulated, and who endorses it.
package final class EndorserTransaction: Sendable {
    package typealias Failure = DecodedTransaction.BodyFailure

    /// The name of the invoked contract.
    package let chaincode: String
    /// The version that the endorsers say they ran.
    package let chaincodeVersion: String
    package let readWriteSet: TransactionReadWriteSet
    package let event: Protos_ChaincodeEvent?
    package let response: Protos_Response
    /// `protos.ProposalResponsePayload` as the endorsers signed it.
    package let proposalResponsePayload: Data
    package let endorsements: [Protos_Endorsement]
    /// `protos.ChaincodeProposalPayload` without the transient map.
    package let chaincodeProposalPayload: Data

    /// What each endorser signed: the response payload followed by its own identity.
    package var signatureSet: [SignedData] {
        self.endorsements.map { endorsement in
            SignedData(
                data: self.proposalResponsePayload + endorsement.endorser,
                identity: endorsement.endorser,
                signature: endorsement.signature
            )
        }
    }

    /// Decodes the body of a transaction of type ENDORSER_TRANSACTION, with all checks that need neither keys
    /// nor ledger.
    package static func decode(_ headers: EnvelopeHeaders) -> Result<EndorserTransaction, Failure> {
        do {
            return .success(try EndorserTransaction(headers))
        } catch {
            return .failure(error)
        }
    }

    private init(_ headers: EnvelopeHeaders) throws(Failure) {
        let (payload, response) = try Self.actionPayload(headers)
        let action = payload.action
        self.chaincodeProposalPayload = payload.chaincodeProposalPayload
        self.proposalResponsePayload = action.proposalResponsePayload
        self.endorsements = action.endorsements

        let called = try Self.decode(.badHeaderExtension, "header extension") {
            try Protos_ChaincodeHeaderExtension(serializedBytes: headers.channel.extension)
        }
        let result = try Self.decode(.badResponsePayload, "chaincode action") {
            try Protos_ChaincodeAction(serializedBytes: response.extension)
        }
        self.response = result.response
        self.readWriteSet = try Self.decode(.badRwset, "read-write set") {
            try TransactionReadWriteSet(serialized: result.results)
        }
        try Self.checkNames(called: called, answered: result)
        self.chaincode = called.chaincodeID.name
        self.chaincodeVersion = result.chaincodeID.version
        self.event = try Self.event(of: result, by: called.chaincodeID.name)

        // Names are compared by their bytes: Swift takes canonically equivalent texts for equal.
        var seen = Set<[UInt8]>()
        for namespace in self.readWriteSet.namespaces where !seen.insert(Array(namespace.name.utf8)).inserted
        {
            throw Self.late(
                .illegalWriteset,
                "namespace \(namespace.name) appears twice in the read-write set"
            )
        }
    }

    /// The checks that come before the ledger is searched for the transaction's identifier.
    private static func actionPayload(
        _ headers: EnvelopeHeaders
    ) throws(Failure) -> (Protos_ChaincodeActionPayload, Protos_ProposalResponsePayload) {
        let identifier = TransactionID(nonce: headers.signature.nonce, creator: headers.signature.creator)
        guard headers.channel.txID == identifier.description else {
            throw Self.early(
                .badProposalTxid,
                "transaction identifier is \(headers.channel.txID.prefix(80)), "
                    + "but nonce and creator give \(identifier)"
            )
        }
        guard !headers.payload.data.isEmpty,
            let transaction = try? Protos_Transaction(slicing: headers.payload.data)
        else { throw Self.early(.invalidEndorserTransaction, "the transaction can't be decoded") }
        guard transaction.actions.count == 1, let action = transaction.actions.first else {
            throw Self.early(
                .invalidEndorserTransaction,
                "the transaction has \(transaction.actions.count) actions, it must have 1"
            )
        }
        // Nearly always the bytes of the transaction's own header, which is decoded.
        let header =
            action.header == headers.payload.header.signatureHeader
            ? headers.signature : try? Common_SignatureHeader(slicing: action.header)
        guard let header, !header.nonce.isEmpty, !header.creator.isEmpty else {
            throw Self.early(.invalidEndorserTransaction, "the action's header lacks nonce or creator")
        }
        guard let payload = try? Protos_ChaincodeActionPayload(slicing: action.payload),
            let response = try? Protos_ProposalResponsePayload(
                slicing: payload.action.proposalResponsePayload
            )
        else { throw Self.early(.invalidEndorserTransaction, "the action's payload can't be decoded") }
        let hash = Digest.sha256(
            headers.payload.header.channelHeader,
            action.header,
            payload.chaincodeProposalPayload
        )
        guard !payload.chaincodeProposalPayload.isEmpty, response.proposalHash == hash else {
            throw Self.early(
                .invalidEndorserTransaction,
                "the endorsers answered the proposal with hash \(response.proposalHash.hexadecimal), "
                    + "but this transaction's proposal has hash \(hash.hexadecimal)"
            )
        }
        return (payload, response)
    }

    /// Checks the contract's names byte by byte: Swift takes canonically equivalent texts for equal.
    private static func checkNames(
        called: Protos_ChaincodeHeaderExtension,
        answered: Protos_ChaincodeAction
    ) throws(Failure) {
        guard called.hasChaincodeID else {
            throw Self.late(.invalidOtherReason, "the header extension names no chaincode")
        }
        guard answered.hasChaincodeID else {
            throw Self.late(.invalidOtherReason, "the endorsers' response names no chaincode")
        }
        guard !called.chaincodeID.name.isEmpty else {
            throw Self.late(.invalidChaincode, "the chaincode's name is empty")
        }
        guard called.chaincodeID.name.utf8.elementsEqual(answered.chaincodeID.name.utf8) else {
            throw Self.late(
                .invalidChaincode,
                "the proposal is for chaincode \(called.chaincodeID.name), "
                    + "but \(answered.chaincodeID.name) answered it"
            )
        }
        guard !answered.chaincodeID.version.isEmpty else {
            throw Self.late(.invalidChaincode, "the chaincode's version is empty")
        }
    }

    private static func event(
        of result: Protos_ChaincodeAction,
        by chaincode: String
    ) throws(Failure) -> Protos_ChaincodeEvent? {
        guard !result.events.isEmpty else { return nil }
        let event = try Self.decode(.invalidOtherReason, "chaincode event") {
            try Protos_ChaincodeEvent(serializedBytes: result.events)
        }
        guard event.chaincodeID.utf8.elementsEqual(chaincode.utf8) else {
            throw Self.late(
                .invalidOtherReason,
                "the event says it is of chaincode \(event.chaincodeID), but \(chaincode) was invoked"
            )
        }
        return event
    }

    private static func decode<Part>(
        _ code: Protos_TxValidationCode,
        _ part: String,
        _ body: () throws -> Part
    ) throws(Failure) -> Part {
        do {
            return try body()
        } catch {
            throw Self.late(code, "the \(part) can't be decoded: \(error)")
        }
    }

    private static func early(_ code: Protos_TxValidationCode, _ reason: String) -> Failure {
        Failure(invalid: InvalidTransaction(code, reason), precedesDuplicateCheck: true)
    }

    private static func late(_ code: Protos_TxValidationCode, _ reason: String) -> Failure {
        Failure(invalid: InvalidTransaction(code, reason), precedesDuplicateCheck: false)
    }
}
