import Channel
import FabricProtos
import Foundation
import Ledger
import Peer
import SwiftProtobuf
import Synchronization
import WeftClient

/// Where the blocks of a channel can be read: a running peer, Weft's or Fabric's, or the folder of a stopped one.
protocol ChainSource: Sendable {
    /// How messages call it.
    var name: String { get }

    /// The number of blocks.
    func height() async throws -> BlockNumber

    /// The block with the first transaction of this identifier; `nil` if there is none.
    func block(transaction identifier: String) async throws -> Common_Block?

    /// Blocks that follow each other.
    func blocks(_ numbers: ClosedRange<BlockNumber>) async throws -> [Common_Block]

    /// The definition of a chaincode as it is now; `nil` if there is none or it can't be told.
    func definition(of chaincode: String) async throws -> ChaincodeDefinition?
}

extension ChainSource {
    func block(_ number: BlockNumber) async throws -> Common_Block {
        guard let block = try await self.blocks(number...number).first else {
            throw Failure("\(self.name) has no block \(number)")
        }
        return block
    }
}

/// A running peer, asked through services that Fabric's peers have, too.
struct PeerChain: ChainSource {
    let connection: Connection
    let channel: String
    let identity: ClientIdentity

    var name: String { "\(self.connection.endpoint)" }

    private func query(_ invocation: Invocation) async throws(ClientError) -> Data {
        try await self.connection.peer(channel: self.channel, as: self.identity).query(invocation)
    }

    func height() async throws -> BlockNumber {
        let answer = try await self.query(Invocation("qscc", "GetChainInfo", [self.channel]))
        return try Common_BlockchainInfo(serializedBytes: answer).height
    }

    func block(transaction identifier: String) async throws -> Common_Block? {
        do {
            let answer = try await self.query(
                Invocation("qscc", "GetBlockByTxID", [self.channel, identifier])
            )
            return try Common_Block(serializedBytes: answer)
        } catch let error as ClientError
            where error.code == .refused && error.message.contains("no such transaction")
        {
            return nil
        }
    }

    func blocks(_ numbers: ClosedRange<BlockNumber>) async throws -> [Common_Block] {
        let collected = Mutex<[Common_Block]>([])
        try await self.connection.peer(channel: self.channel, as: self.identity).blocks(
            from: numbers.lowerBound,
            through: numbers.upperBound
        ) { block in
            collected.withLock { $0.append(block) }
            return block.header.number < numbers.upperBound
        }
        return collected.withLock { $0 }
    }

    func definition(of chaincode: String) async throws -> ChaincodeDefinition? {
        var query = Lifecycle_QueryChaincodeDefinitionArgs()
        query.name = chaincode
        let answer: Data
        do {
            answer = try await self.query(
                Invocation(
                    contract: "_lifecycle",
                    arguments: [Data("QueryChaincodeDefinition".utf8), query.serializedBytes()]
                )
            )
        } catch let error as ClientError where error.code == .refused {
            // Not defined, or this client may not ask.
            return nil
        }
        let found = try Lifecycle_QueryChaincodeDefinitionResult(serializedBytes: answer)
        return ChaincodeDefinition(
            sequence: found.sequence,
            parameters: ChaincodeParameters(
                version: found.version,
                initRequired: found.initRequired,
                endorsementPlugin: found.endorsementPlugin,
                validationPlugin: found.validationPlugin,
                validationParameter: found.validationParameter,
                collections: found.collections
            )
        )
    }
}

/// The ledger folder of a peer that is stopped.
struct FolderChain: ChainSource {
    let name: String
    private let ledger: StoppedLedger

    init(folder: String) throws {
        self.name = folder
        self.ledger = try StoppedLedger(folder: folder)
    }

    func height() async throws -> BlockNumber { self.ledger.height }

    func block(transaction identifier: String) async throws -> Common_Block? {
        try self.ledger.block(transaction: identifier)
    }

    func blocks(_ numbers: ClosedRange<BlockNumber>) async throws -> [Common_Block] {
        try numbers.compactMap { try self.ledger.block($0) }
    }

    func definition(of chaincode: String) async throws -> ChaincodeDefinition? {
        try LifecycleState.definition(of: chaincode) { key in
            try self.ledger.value(namespace: ChaincodeName.lifecycle, key: key)
        }
    }
}
