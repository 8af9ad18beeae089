import Channel
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Ledger

/// The chains of a real network, and what its peers made of them.
struct RecordedChain: Decodable {
    struct Transaction: Decodable {
        let txID: String?
        let validationCode: Int

        enum CodingKeys: String, CodingKey {
            case txID = "tx_id"
            case validationCode = "validation_code"
        }
    }
    struct Block: Decodable {
        let number: UInt64
        let headerHash: String
        let commitHash: String?
        let transactions: [Transaction]

        enum CodingKeys: String, CodingKey {
            case number, transactions
            case headerHash = "header_hash"
            case commitHash = "commit_hash"
        }
    }
    let channel: String
    let chain: [Block]

    static func load(_ name: String) throws -> (blocks: [Common_Block], recorded: RecordedChain) {
        let folder = VectorReport.folder("blocks")
        let blocks = try BlockFile(contentsOf: folder.appendingPathComponent("\(name).peer.blocks"))
            .map { try Common_Block(serializedBytes: $0) }
        let json = try Data(contentsOf: folder.appendingPathComponent("\(name).json"))
        return (blocks, try JSONDecoder().decode(RecordedChain.self, from: json))
    }
}

extension BlockToCommit {
    /// A recorded block as it came from the orderer, with the verdicts of the checks before the ledger's.
    ///
    /// What the ledger itself has to find out (duplicates and conflicts) comes as VALID.
    init(recorded block: Common_Block) {
        let codes = block.metadata(.transactionsFilter)
        let foundByLedger: [Protos_TxValidationCode] = [
            .duplicateTxid, .mvccReadConflict, .phantomReadConflict,
        ]
        let transactions = zip(codes, block.data.data).map { code, envelope in
            let recorded = Protos_TxValidationCode(rawValue: Int(code)) ?? .invalidOtherReason
            return TransactionToCommit(
                code: foundByLedger.contains(recorded) ? .valid : recorded,
                envelope: envelope
            )
        }
        var block = block
        block.setMetadata(.transactionsFilter, Data())
        block.setMetadata(.commitHash, Data())
        self.init(block: block, transactions: transactions)
    }
}

/// The state of the recorded chain after one block, as decoded from the files of a real peer.
struct RecordedState: Decodable {
    struct Metadata: Decodable {
        let name: String
        let valueHex: String

        enum CodingKeys: String, CodingKey {
            case name
            case valueHex = "value_hex"
        }
    }
    struct Entry: Decodable {
        let keyHex: String
        let valueHex: String?
        /// SHA-256 of values too long to be listed.
        let valueHash: String?
        let version: [UInt64]
        let metadata: [Metadata]?

        enum CodingKeys: String, CodingKey {
            case keyHex = "key_hex"
            case valueHex = "value_hex"
            case valueHash = "value_sha256"
            case version, metadata
        }
    }
    struct Hash: Decodable {
        let keyHash: String
        let valueHash: String
        let version: [UInt64]
        let metadata: [Metadata]?

        enum CodingKeys: String, CodingKey {
            case keyHash = "key_hash"
            case valueHash = "value_hash"
            case version, metadata
        }
    }
    let block: UInt64
    let publicState: [String: [Entry]]
    let privateHashes: [String: [Hash]]

    enum CodingKeys: String, CodingKey {
        case block
        case publicState = "public_state"
        case privateHashes = "private_state_hashes"
    }

    static func load(_ name: String) throws -> RecordedState {
        let file = VectorReport.folder("snapshots").appendingPathComponent("\(name).state.json")
        return try JSONDecoder().decode(RecordedState.self, from: Data(contentsOf: file))
    }

    /// One line for each key of the state.
    var lines: [String] {
        func line(
            _ namespace: String,
            _ key: String,
            _ value: String,
            _ version: [UInt64],
            _ metadata: [Metadata]?
        ) -> String {
            let names = (metadata ?? []).map { "\($0.name)=\($0.valueHex)" }.joined(separator: ",")
            return "\(namespace) \(key) \(value) \(version) \(names)"
        }
        let keys = self.publicState.flatMap { namespace, entries in
            entries.map {
                line(namespace, $0.keyHex, $0.valueHex ?? $0.valueHash ?? "", $0.version, $0.metadata)
            }
        }
        let hashes = self.privateHashes.flatMap { namespace, entries in
            entries.map { line(namespace, $0.keyHash, $0.valueHash, $0.version, $0.metadata) }
        }
        return (keys + hashes).sorted()
    }
}
