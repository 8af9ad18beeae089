package import Channel
package import FabricProtos
package import Foundation
internal import Ledger

/// What a contract sees of the transaction that it executes, and how it reaches the ledger.
///
/// The operations are those of Fabric's shim. Reads see the state as it was committed before the
/// simulation began, never this transaction's own writes; writes take effect only if the transaction is
/// ordered and found valid.
///
/// Blocking reads happen on the calling thread: contracts run on the endorser's own threads.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim`, interface `ChaincodeStubInterface`.
package final class ContractStub {
    /// The chaincode's name, which is also the namespace of its state.
    package let chaincodeName: String
    /// All arguments; the first is the function's name.
    package let arguments: [Data]
    /// Whether this is the init call of a chaincode whose definition requires one.
    package let isInit: Bool
    /// Values that the peer adds to each call.
    package let decorations: [String: Data]

    package let simulation: Simulation
    let runner: ContractRunner
    /// The event that the contract set last.
    package private(set) var event: Protos_ChaincodeEvent?

    init(
        chaincodeName: String,
        arguments: [Data],
        isInit: Bool,
        decorations: [String: Data],
        simulation: Simulation,
        runner: ContractRunner
    ) {
        self.chaincodeName = chaincodeName
        self.arguments = arguments
        self.isInit = isInit
        self.decorations = decorations
        self.simulation = simulation
        self.runner = runner
    }

    // MARK: Facts of the transaction

    /// The first argument as text, empty if there is none.
    package var function: String { self.arguments.first.map { String(decoding: $0, as: UTF8.self) } ?? "" }

    /// `argument` as text.
    ///
    /// - Throws: ``ContractError`` if it isn't UTF-8.
    package func text(_ argument: Data) throws(ContractError) -> String {
        guard let text = String(validating: argument, as: UTF8.self) else {
            throw ContractError("an argument of function \(self.function) is not UTF-8 text")
        }
        return text
    }

    package var transactionID: String { self.simulation.transactionID }
    /// The channel's name, empty for a call that concerns no channel.
    package var channelID: String { self.simulation.channelName }
    /// Who proposed the transaction, verified.
    package var creator: Identity { self.simulation.creator }
    package var signedProposal: Protos_SignedProposal { self.simulation.proposal.signedProposal }

    // MARK: State

    /// The committed value of `key`, `nil` if there is none.
    package func get(_ key: String) async throws -> Data? {
        try self.simulation.state().value(namespace: self.chaincodeName, key: key)
    }

    /// The committed values of `keys`, in their order.
    package func get(_ keys: [String]) async throws -> [Data?] {
        let state = try self.simulation.state()
        return try keys.map { try state.value(namespace: self.chaincodeName, key: $0) }
    }

    /// Writes `value`; an empty value deletes the key.
    package func put(_ key: String, _ value: Data) async throws {
        guard !key.isEmpty else { throw ContractError("key must not be an empty string") }
        try self.simulation.state().setValue(value, namespace: self.chaincodeName, key: key)
    }

    package func delete(_ key: String) async throws {
        try self.simulation.state().deleteValue(namespace: self.chaincodeName, key: key)
    }

    /// The rows from `start` up to, not including, `end`; empty bounds are open.
    ///
    /// Composite keys are not among them.
    package func range(from start: String, to end: String) async throws -> StateRows {
        for key in [start, end] where key.unicodeScalars.first == "\u{0}" {
            throw ContractError(
                "first character of the key [\(key)] contains a null character which is not allowed"
            )
        }
        return try self.rows(from: start.isEmpty ? "\u{1}" : start, to: end)
    }

    /// The rows from `start` up to, not including, `end`, as the chaincode protocol asks for them.
    package func rows(from start: String, to end: String) throws -> StateRows {
        let rows = try self.simulation.state().range(namespace: self.chaincodeName, start: start, end: end)
        return try StateRows { try rows.next() }
    }

    /// Up to `pageSize` rows from `start`, or from `bookmark` unless it is empty, as the chaincode protocol asks for them.
    ///
    /// Only for transactions that write nothing.
    package func rows(
        from start: String,
        to end: String,
        pageSize: Int,
        bookmark: String
    ) throws -> StatePage {
        guard pageSize > 0 else { throw ContractError("the page size must be above 0; it is \(pageSize)") }
        let size = min(pageSize, StateRows.totalLimit)
        let page = try self.simulation.state().rangePage(
            namespace: self.chaincodeName,
            start: bookmark.isEmpty ? start : bookmark,
            end: end,
            limit: size
        )
        return StatePage(
            rows: page.rows.map { StateRow(key: $0.key, value: $0.value) },
            bookmark: page.bookmark
        )
    }

    // MARK: Events and other contracts

    /// Takes over the event that the contract set last.
    func record(_ event: Protos_ChaincodeEvent) {
        self.event = event
        self.event?.chaincodeID = self.chaincodeName
        self.event?.txID = self.transactionID
    }

    /// Calls another chaincode within this transaction.
    ///
    /// On the same channel its reads and writes become part of this transaction; on another channel they
    /// are dropped. Its events are dropped either way.
    ///
    /// - Parameters:
    ///   - chaincode: the callee's name.
    ///   - arguments: what it is called with; the function's name first.
    ///   - channel: the callee's channel; empty for this one.
    /// - Returns: what the callee answered.
    /// - Throws: ``ContractError`` if the chaincode can't be run at all; what it answers is returned.
    package func invoke(
        _ chaincode: String,
        _ arguments: [Data],
        channel: String = ""
    ) async throws -> Protos_Response {
        try await self.runner.call(chaincode, arguments, channel: channel, from: self)
    }
}
