internal import FabricProtos
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

    init(transactionID: String, block: UInt64, code: Protos_TxValidationCode) {
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

extension Protos_TxValidationCode {
    /// The code's name in Fabric's words, such as `MVCC_READ_CONFLICT`.
    package var name: String {
        Self.names[self.rawValue] ?? "code \(self.rawValue)"
    }

    private static let names: [Int: String] = [
        0: "VALID", 1: "NIL_ENVELOPE", 2: "BAD_PAYLOAD", 3: "BAD_COMMON_HEADER", 4: "BAD_CREATOR_SIGNATURE",
        5: "INVALID_ENDORSER_TRANSACTION", 6: "INVALID_CONFIG_TRANSACTION", 7: "UNSUPPORTED_TX_PAYLOAD",
        8: "BAD_PROPOSAL_TXID", 9: "DUPLICATE_TXID", 10: "ENDORSEMENT_POLICY_FAILURE",
        11: "MVCC_READ_CONFLICT",
        12: "PHANTOM_READ_CONFLICT", 13: "UNKNOWN_TX_TYPE", 14: "TARGET_CHAIN_NOT_FOUND",
        15: "MARSHAL_TX_ERROR", 16: "NIL_TXACTION", 17: "EXPIRED_CHAINCODE",
        18: "CHAINCODE_VERSION_CONFLICT", 19: "BAD_HEADER_EXTENSION", 20: "BAD_CHANNEL_HEADER",
        21: "BAD_RESPONSE_PAYLOAD", 22: "BAD_RWSET", 23: "ILLEGAL_WRITESET", 24: "INVALID_WRITESET",
        25: "INVALID_CHAINCODE", 254: "NOT_VALIDATED", 255: "INVALID_OTHER_REASON",
    ]
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
