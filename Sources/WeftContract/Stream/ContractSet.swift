internal import Channel
package import FabricProtos
internal import Foundation
internal import SwiftProtobuf
internal import Synchronization

/// The contracts of one service, and how a call finds its transaction.
///
/// - Source: Fabric's contract API: `name` calls the first contract, `contract:name` another one.
package struct ContractSet: Sendable {
    /// A contract's transactions by name, and what answers other calls.
    private struct Entry: Sendable {
        var transactions: [String: Transaction]
        var otherwise: UntypedMethod?
    }

    /// The contract that answers calls without a contract's name.
    let standard: String
    private let contracts: [String: Entry]

    /// - Throws: ``ContractError`` if there is no contract, or two things have the same name.
    package init(_ contracts: [any Contract]) throws(ContractError) {
        guard let first = contracts.first else { throw ContractError("a service needs a contract") }
        self.standard = type(of: first).name
        let metadata = MetadataContract(contracts)
        var all: [String: Entry] = [:]
        for contract in contracts + [metadata] {
            let name = type(of: contract).name
            guard all[name] == nil else { throw ContractError("two contracts have the name \(name)") }
            var transactions: [String: Transaction] = [:]
            for transaction in contract.transactions {
                guard transactions.updateValue(transaction, forKey: transaction.name) == nil else {
                    throw ContractError("contract \(name) has two transactions \(transaction.name)")
                }
            }
            all[name] = Entry(transactions: transactions, otherwise: contract.otherwise)
        }
        self.contracts = all
    }

    /// Executes one call within the peer, which answers what the contract asks for.
    ///
    /// - Parameters:
    ///   - call: the call.
    ///   - batchedKeys: the most keys that are asked for at once.
    ///   - answer: answers one request; is not called again before it has returned, nor after this method has.
    /// - Returns: the response, and the event of a call that succeeded.
    package func execute(
        _ call: ContractCall,
        batchedKeys: Int,
        answer: @escaping @Sendable (Protos_ChaincodeMessage) async -> Protos_ChaincodeMessage
    ) async -> (response: Protos_Response, event: Protos_ChaincodeEvent?) {
        let session = TransactionSession(
            channel: call.channel,
            transactionID: call.proposal.channelHeader.txID,
            batchedKeys: batchedKeys,
            answer: answer
        )
        let context = TransactionContext(call, session)
        let response = await self.respond(to: context)
        await session.endAfterAnswer(ContractError.transactionHasEnded)
        return (response, response.status < 400 ? context.chaincodeEvent : nil)
    }

    /// Executes one call: whatever goes wrong becomes the response.
    func respond(to context: TransactionContext) async -> Protos_Response {
        do {
            let payload = try await self.result(of: context)
            return .with {
                $0.status = 200
                $0.payload = payload
            }
        } catch let error as ContractError {
            return .with {
                $0.status = Int32(clamping: error.status)
                $0.message = error.description
            }
        } catch {
            return .with {
                $0.status = 500
                $0.message = (error as? any LocalizedError)?.errorDescription ?? "\(error)"
            }
        }
    }

    private func result(of context: TransactionContext) async throws -> Data {
        let text = String(decoding: context.call.first ?? Data(), as: UTF8.self)
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
        let contract = parts.count == 2 ? String(parts[0]) : self.standard
        let name = String(parts.last ?? "")
        let arguments = Array(context.call.dropFirst())
        if let transaction = self.contracts[contract]?.transactions[name] {
            try transaction.check(arguments)
            context.session.isReadOnly.withLock { $0 = transaction.isReadOnly }
            return try await transaction.run(context, arguments)
        }
        if let otherwise = self.contracts[self.contracts[contract] == nil ? self.standard : contract]?
            .otherwise
        {
            return try await otherwise(context, arguments)
        }
        // Fabric's contract API lets a contract be initialized without a function.
        if context.isInit, context.call.isEmpty { return Data() }
        throw self.unknown(contract, name)
    }

    private func unknown(_ contract: String, _ name: String) -> ContractError {
        guard let entry = self.contracts[contract] else {
            return ContractError(
                "there is no contract \(contract.prefix(100)); there are: "
                    + self.contracts.keys.sorted().joined(separator: ", "),
                status: 404
            )
        }
        return ContractError(
            "contract \(contract) has no transaction \"\(name.prefix(100))\"; it has: "
                + entry.transactions.keys.sorted().joined(separator: ", "),
            status: 404
        )
    }
}
