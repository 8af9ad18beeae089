package import Channel
package import FabricProtos
package import Foundation
internal import Ledger
package import SwiftProtobuf

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
    /// The proposal's time, as its creator gave it: the same for every endorser.
    package var timestamp: Google_Protobuf_Timestamp { self.simulation.proposal.channelHeader.timestamp }
    /// Who proposed the transaction, verified.
    package var creator: Identity { self.simulation.creator }
    /// The serialized identity of the proposal's creator.
    package var creatorBytes: Data { self.simulation.proposal.signatureHeader.creator }
    /// Data for the endorsers alone; it never enters the transaction.
    package var transient: [String: Data] { self.simulation.proposal.transient }
    package var signedProposal: Protos_SignedProposal { self.simulation.proposal.signedProposal }

    /// Ties the transient data to this proposal: SHA-256 of nonce, creator and epoch.
    package var binding: Data { self.simulation.proposal.binding }

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

    /// The rows whose composite key begins with `objectType` and `attributes`.
    package func range(_ objectType: String, _ attributes: [String]) async throws -> StateRows {
        let range = try CompositeKey.range(objectType, attributes)
        return try self.rows(from: range.start, to: range.end)
    }

    /// The rows from `start` up to, not including, `end`, as the chaincode protocol asks for them.
    package func rows(from start: String, to end: String) throws -> StateRows {
        let rows = try self.simulation.state().range(namespace: self.chaincodeName, start: start, end: end)
        return try StateRows { try rows.next() }
    }

    /// Up to `pageSize` rows from `start`, or from `bookmark` unless it is empty.
    ///
    /// Only for transactions that
    /// write nothing.
    package func page(
        from start: String,
        to end: String,
        size: Int,
        bookmark: String
    ) async throws -> StatePage {
        for key in [start, end] where key.unicodeScalars.first == "\u{0}" {
            throw ContractError(
                "first character of the key [\(key)] contains a null character which is not allowed"
            )
        }
        return try self.rows(
            from: start.isEmpty ? "\u{1}" : start,
            to: end,
            pageSize: size,
            bookmark: bookmark
        )
    }

    /// Up to `pageSize` rows whose composite key begins with `objectType` and `attributes`.
    package func page(
        _ objectType: String,
        _ attributes: [String],
        size: Int,
        bookmark: String
    ) async throws -> StatePage {
        let range = try CompositeKey.range(objectType, attributes)
        return try self.rows(from: range.start, to: range.end, pageSize: size, bookmark: bookmark)
    }

    /// A page as the chaincode protocol asks for it.
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

    /// Every value that `key` has had, newest first, deletions included.
    ///
    /// Nothing is recorded: the
    /// transaction stays valid if the history grows.
    package func history(of key: String) async throws -> HistoryRows {
        HistoryRows(try self.simulation.state().history(namespace: self.chaincodeName, key: key))
    }

    // MARK: Key-level endorsement

    /// The key's own endorsement policy, a serialized `SignaturePolicyEnvelope`; `nil` if it has none.
    package func validationParameter(of key: String) async throws -> Data? {
        Self.validationParameter(
            in: try self.simulation.state().metadata(namespace: self.chaincodeName, key: key)
        )
    }

    /// Sets the key's own endorsement policy; an empty one removes it.
    package func setValidationParameter(of key: String, _ policy: Data) async throws {
        try self.simulation.state().setMetadata(
            Self.metadata(validationParameter: policy),
            namespace: self.chaincodeName,
            key: key
        )
    }

    /// The name of the metadata entry that holds a key's endorsement policy.
    package static let validationParameterName = "VALIDATION_PARAMETER"

    static func validationParameter(in metadata: [Kvrwset_KVMetadataEntry]) -> Data? {
        metadata.first { $0.name == Self.validationParameterName }?.value
    }

    static func metadata(validationParameter policy: Data) -> [Kvrwset_KVMetadataEntry] {
        guard !policy.isEmpty else { return [] }
        return [
            .with {
                $0.name = Self.validationParameterName
                $0.value = policy
            }
        ]
    }

    // MARK: Events and other contracts

    /// Sets the transaction's event; of several, the last is kept.
    package func setEvent(_ name: String, _ payload: Data = Data()) throws(ContractError) {
        guard !name.isEmpty else { throw ContractError("event name can not be empty string") }
        self.event = .with {
            $0.chaincodeID = self.chaincodeName
            $0.txID = self.transactionID
            $0.eventName = name
            $0.payload = payload
        }
    }

    /// Takes over the event of a contract that runs in a process of its own.
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
