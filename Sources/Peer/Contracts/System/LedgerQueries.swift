internal import Channel
package import FabricProtos
internal import Foundation
internal import Ledger
internal import SwiftProtobuf

/// The system contract `qscc`: blocks and transactions of a channel's ledger.
///
/// Arguments: a function's name, a channel, and what is looked for.
///
/// - Source: Fabric v3.1, `core/scc/qscc/query.go`.
package struct LedgerQueries: Contract {
    private let channels: any EndorsingChannels
    private let access: AccessGate

    package init(channels: any EndorsingChannels, access: AccessGate) {
        self.channels = channels
        self.access = access
    }

    package func invoke(_ stub: ContractStub) async -> Protos_Response {
        let caller = stub.simulation.proposal.chaincodeName
        guard caller == ChaincodeName.ledgerQueries else {
            return .failure(
                """
                Rejecting invoke of QSCC from another chaincode because of potential for deadlocks, \
                original invocation for '\(caller)'
                """
            )
        }
        guard stub.arguments.count >= 2 else {
            return .failure("Incorrect number of arguments, \(stub.arguments.count)")
        }
        let function = stub.function
        let name = String(decoding: stub.arguments[1], as: UTF8.self)
        guard function == "GetChainInfo" || stub.arguments.count >= 3 else {
            return .failure("missing 3rd argument for \(function)")
        }
        guard let channel = self.channels.channel(named: name) else {
            if let failure = self.channels.failure(ofChannel: name) { return .failure("\(failure)") }
            return .failure("Invalid chain ID, \(name)")
        }
        let wanted = stub.arguments.count > 2 ? stub.arguments[2] : Data()
        do {
            try self.access.authorize(
                AccessRequest(
                    resource: "\(ChaincodeName.ledgerQueries)/\(function)",
                    channel: channel.id,
                    requester: .verified(stub.creator),
                    subject: Self.describe(wanted)
                )
            )
        } catch {
            return .failure("access denied for [\(function)][\(name)]: \(error.reason)")
        }
        do {
            return .success(try Self.answer(function, wanted, channel.ledger))
        } catch {
            return .failure(String(describing: error))
        }
    }

    /// What was looked for, for the record of accesses: text as it is, hashes in hexadecimal.
    private static func describe(_ wanted: Data) -> String {
        guard let text = String(validating: wanted, as: UTF8.self),
            text.utf8.allSatisfy({ (0x20..<0x7F).contains($0) })
        else { return wanted.prefix(64).hexadecimal }
        return String(text.prefix(128))
    }

    private static func answer(_ function: String, _ wanted: Data, _ ledger: Ledger) throws -> Data {
        let text = String(decoding: wanted, as: UTF8.self)
        switch function {
        case "GetChainInfo":
            return try Self.information(ledger).serializedData()
        case "GetBlockByNumber":
            guard let number = UInt64(text) else {
                throw ContractError("Failed to parse block number \(text.prefix(80)), error: not a number")
            }
            // The highest number stands for the newest block.
            let height = ledger.height
            let target = number == .max && height > 0 ? height - 1 : number
            guard target < height, let block = try ledger.log.serializedBlock(target) else {
                throw ContractError(
                    "Failed to get block number \(number), error no such block number [\(number)] in index"
                )
            }
            return block
        case "GetBlockByHash":
            guard let block = try ledger.block(hash: wanted) else {
                let hash = wanted.prefix(64).hexadecimal
                throw ContractError(
                    "Failed to get block hash \(hash), error no such block hash [\(hash)] in index"
                )
            }
            return try block.serializedData()
        case "GetTransactionByID":
            guard let record = try ledger.transaction(text),
                let envelope = try ledger.envelope(block: record.block, index: record.index)
            else { throw Self.missing(transaction: text) }
            return try Protos_ProcessedTransaction.with {
                $0.transactionEnvelope = try Common_Envelope(serializedBytes: envelope)
                $0.validationCode = Int32(truncatingIfNeeded: record.code.rawValue)
            }.serializedData()
        case "GetBlockByTxID":
            guard let record = try ledger.transaction(text),
                let block = try ledger.log.serializedBlock(record.block)
            else { throw Self.missing(transaction: text) }
            return block
        default:
            throw ContractError("Requested function \(function) not found.")
        }
    }

    private static func missing(transaction identifier: String) -> ContractError {
        let text = identifier.prefix(128)
        return ContractError(
            "Failed to get transaction with id \(text), error no such transaction ID [\(text)] in index"
        )
    }

    private static func information(_ ledger: Ledger) throws -> Common_BlockchainInfo {
        // One header fixes all three, however fast blocks arrive.
        guard let header = ledger.lastHeader else { return .init() }
        return .with {
            $0.height = header.number &+ 1
            $0.currentBlockHash = header.hash
            $0.previousBlockHash = header.previousHash
        }
    }
}
