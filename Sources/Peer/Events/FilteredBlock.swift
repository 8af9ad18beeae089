internal import Channel
package import FabricProtos
internal import Foundation
internal import SwiftProtobuf

extension Protos_FilteredBlock {
    /// What `block` tells those who may know what happened but not read the data: identifiers, validation
    /// codes, and events without their payload.
    ///
    /// Envelopes that can't be read are left out.
    ///
    /// - Source: Fabric v3, package `core/peer`, deliver events.
    package init(_ block: Common_Block, channel: String) {
        self.init()
        self.channelID = channel
        self.number = block.header.number
        let codes = block.metadata(.transactionsFilter)
        for (index, bytes) in block.data.data.enumerated() {
            guard let envelope = try? Common_Envelope(serializedBytes: bytes),
                let headers = try? EnvelopeHeaders(envelope)
            else { continue }
            var transaction = Protos_FilteredTransaction()
            transaction.txid = headers.channel.txID
            transaction.type = Common_HeaderType(rawValue: Int(headers.channel.type)) ?? .message
            let code =
                codes.dropFirst(index).first.map(Int.init) ?? Protos_TxValidationCode.notValidated.rawValue
            transaction.txValidationCode = Protos_TxValidationCode(rawValue: code) ?? .invalidOtherReason
            if transaction.type == .endorserTransaction {
                transaction.transactionActions = Protos_FilteredTransactionActions(headers.payload.data)
            }
            self.filteredTransactions.append(transaction)
        }
    }
}

extension Protos_FilteredTransactionActions {
    /// The events of a serialized `Transaction`, without their payloads.
    fileprivate init(_ bytes: Data) {
        self.init()
        guard let transaction = try? Protos_Transaction(serializedBytes: bytes) else { return }
        self.chaincodeActions = transaction.actions.compactMap { action in
            guard let payload = try? Protos_ChaincodeActionPayload(serializedBytes: action.payload),
                let response = try? Protos_ProposalResponsePayload(
                    serializedBytes: payload.action.proposalResponsePayload
                ),
                let result = try? Protos_ChaincodeAction(serializedBytes: response.extension),
                var event = try? Protos_ChaincodeEvent(serializedBytes: result.events),
                !event.chaincodeID.isEmpty
            else { return nil }
            event.payload = Data()
            var filtered = Protos_FilteredChaincodeAction()
            filtered.chaincodeEvent = event
            return filtered
        }
    }
}
