internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf
internal import Synchronization

/// The contracts of one service, and how a call finds its transaction.
///
/// - Source: Fabric's contract API: `name` calls the first contract, `contract:name` another one.
package struct ContractSet: Sendable {
    /// The contract that answers calls without a contract's name.
    let standard: String
    private let contracts: [String: [String: Transaction]]

    /// - Throws: ``ContractError`` if there is no contract, or two things have the same name.
    package init(_ contracts: [any Contract]) throws(ContractError) {
        guard let first = contracts.first else { throw ContractError("a service needs a contract") }
        self.standard = type(of: first).name
        let metadata = MetadataContract(contracts)
        var all: [String: [String: Transaction]] = [:]
        for contract in contracts + [metadata] {
            let name = type(of: contract).name
            guard all[name] == nil else { throw ContractError("two contracts have the name \(name)") }
            var transactions: [String: Transaction] = [:]
            for transaction in contract.transactions {
                guard transactions.updateValue(transaction, forKey: transaction.name) == nil else {
                    throw ContractError("contract \(name) has two transactions \(transaction.name)")
                }
            }
            all[name] = transactions
        }
        self.contracts = all
    }

    /// Executes one call: whatever goes wrong becomes the response.
    func respond(to context: TransactionContext) async -> Protos_Response {
        do {
            // Fabric's contract API lets a contract be initialized without a function.
            if context.isInit, context.call.isEmpty { return .with { $0.status = 200 } }
            let transaction = try self.transaction(context.call.first ?? Data())
            let arguments = Array(context.call.dropFirst())
            try transaction.check(arguments)
            context.session.isReadOnly.withLock { $0 = transaction.isReadOnly }
            let payload = try await transaction.run(context, arguments)
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

    private func transaction(_ function: Data) throws(ContractError) -> Transaction {
        let text = String(decoding: function, as: UTF8.self)
        let parts = text.split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false).map(
            String.init
        )
        let contract = parts.count == 2 ? parts[0] : self.standard
        let name = parts.last ?? ""
        guard let transactions = self.contracts[contract] else {
            throw ContractError(
                "there is no contract \(contract.prefix(100)); there are: "
                    + self.contracts.keys.sorted().joined(separator: ", "),
                status: 404
            )
        }
        guard let transaction = transactions[name] else {
            throw ContractError(
                "contract \(contract) has no transaction \"\(name.prefix(100))\"; it has: "
                    + transactions.keys.sorted().joined(separator: ", "),
                status: 404
            )
        }
        return transaction
    }
}
