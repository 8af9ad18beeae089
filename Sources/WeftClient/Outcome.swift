internal import Channel
package import FabricProtos
public import Foundation
internal import SwiftProtobuf

/// What became of a transaction in the ledger.
public struct CommitStatus: Sendable {
    /// The transaction's identifier: 64 hexadecimal digits.
    public let transactionID: String
    /// The number of the block that holds it.
    public let block: UInt64
    /// The validation code by Fabric's number; 0 is valid.
    public let code: Int
    /// The validation code by Fabric's name, such as `VALID` or `MVCC_READ_CONFLICT`.
    public let codeName: String

    /// Whether the transaction took effect.
    public var isValid: Bool { self.code == 0 }

    package init(transactionID: String, block: UInt64, code: Protos_TxValidationCode) {
        self.transactionID = transactionID
        self.block = block
        self.code = code.rawValue
        self.codeName = code.name
    }
}

/// A transaction that is committed and valid, and what its contract answered.
public struct CommittedTransaction: Sendable {
    /// Where it stands in the ledger.
    public let status: CommitStatus
    /// The contract's answer.
    public let result: Data

    /// The transaction's identifier.
    public var transactionID: String { self.status.transactionID }
    /// The number of the block that holds it.
    public var block: UInt64 { self.status.block }
}

/// A transaction that endorsers have signed and the client has yet to sign and send.
public struct EndorsedTransaction: Sendable {
    /// The transaction's identifier.
    public let transactionID: String
    /// The contract's answer; it holds once the transaction is committed as valid.
    public let result: Data
    /// The payload that the client signs.
    package let payload: Data
}

/// An event that a contract emitted in a valid transaction.
public struct ContractEvent: Sendable {
    /// The number of the block that holds the transaction.
    public let block: UInt64
    /// The transaction's identifier.
    public let transactionID: String
    /// The contract's name.
    public let contract: String
    /// The event's name.
    public let name: String
    /// What the contract attached.
    public let payload: Data
}

extension EndorsedTransaction {
    /// How many endorsements the transaction carries.
    package var endorsementCount: Int {
        get throws {
            let payload = try Common_Payload(serializedBytes: self.payload)
            let transaction = try Protos_Transaction(serializedBytes: payload.data)
            guard let action = transaction.actions.first else { return 0 }
            return try Protos_ChaincodeActionPayload(serializedBytes: action.payload).action.endorsements
                .count
        }
    }
}
