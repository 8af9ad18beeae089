package import Channel
internal import FabricProtos
public import Foundation
internal import SwiftProtobuf
internal import Synchronization

/// What a transaction sees of the ledger, and of the proposal that it executes.
///
/// - Source: Fabric v3.1, `fabric-chaincode-go/shim`, interface `ChaincodeStubInterface`.
public final class TransactionContext: Sendable {
    /// The transaction's identifier.
    public let transactionID: String
    /// The channel's name.
    public let channel: String
    /// The time of the proposal as its creator gave it: the same on every peer, and the only time that a contract has.
    public let timestamp: Date
    /// The same time in whole seconds since 1970, rounded down: exact, whatever the creator gave.
    public let unixTime: Int64
    /// Who has proposed the transaction.
    public let creator: ClientIdentity
    /// Data for the contract alone, which never enters the transaction: private values, by name.
    public let transient: [String: Data]
    /// Values that the peer adds to each call.
    public let decorations: [String: Data]
    /// Whether this call initializes the contract.
    public let isInit: Bool
    /// Name and arguments of the call as they came.
    public let call: [Data]
    /// A value that ties the transient data to this proposal: SHA-256 of the nonce, the creator and the epoch.
    public let binding: Data

    let session: TransactionSession
    private let event = Mutex<(name: String, payload: Data)?>(nil)

    /// - Throws: if the message holds no proposal that can be read.
    convenience init(_ message: Protos_ChaincodeMessage, _ session: TransactionSession) throws {
        let input = try Protos_ChaincodeInput(serializedBytes: message.payload)
        let proposal = try UnpackedProposal(message.proposal)
        self.init(
            ContractCall(
                channel: message.channelID,
                arguments: input.args,
                isInit: message.type == .init_,
                decorations: input.decorations,
                proposal: proposal,
                creator: try ClientIdentity(serialized: proposal.signatureHeader.creator)
            ),
            session
        )
    }

    init(_ call: ContractCall, _ session: TransactionSession) {
        self.transactionID = call.proposal.channelHeader.txID
        self.channel = call.channel
        self.timestamp = call.proposal.channelHeader.timestamp.date
        self.unixTime = call.proposal.channelHeader.timestamp.seconds
        self.creator = call.creator
        self.transient = call.proposal.transient
        self.decorations = call.decorations
        self.isInit = call.isInit
        self.call = call.arguments
        self.binding = call.proposal.binding
        self.session = session
    }

    /// The contract's public state.
    public var state: WorldState { WorldState(session: self.session, collection: "") }

    /// A private collection of the contract, by its name in the contract's definition.
    public func privateData(_ collection: String) -> PrivateState {
        PrivateState(session: self.session, collection: collection)
    }

    /// The collection that every organization has for itself without defining one.
    public func privateData(ofOrganization mspID: String) -> PrivateState {
        self.privateData("_implicit_org_\(mspID)")
    }

    /// A transient value as something that was sent as such.
    ///
    /// - Throws: ``ContractError`` if it is missing, or something else.
    public func transient<Value: Decodable>(_ name: String, as type: Value.Type = Value.self) throws -> Value
    {
        guard let data = self.transient[name] else {
            throw ContractError("the transient data must have \"\(name)\"", status: 400)
        }
        do {
            return try ContractValue.decode(type, from: data)
        } catch {
            // Its text would show private data to whoever reads the message.
            throw ContractError("the transient value \"\(name)\" is no \(type)", status: 400)
        }
    }

    /// Has those who listen told of an event once the transaction is committed; of several, the last counts.
    ///
    /// - Throws: ``ContractError`` if the name is empty.
    public func emit(_ name: String, _ payload: some Encodable = Data()) throws {
        guard !name.isEmpty else { throw ContractError("an event needs a name") }
        let bytes = try ContractValue.encode(payload)
        self.event.withLock { $0 = (name, bytes) }
    }

    /// Calls another contract within this transaction.
    ///
    /// On the same channel its reads and writes become part of this transaction; on another channel it only reads.
    /// Arguments and result are bytes or texts as they are, and everything else JSON.
    ///
    /// - Parameters:
    ///   - contract: the other contract's name.
    ///   - function: its transaction.
    ///   - arguments: what it is called with.
    ///   - channel: its channel; `nil` for this one.
    /// - Returns: its result.
    /// - Throws: ``ContractError`` with the words of the other contract, or the peer, if it failed.
    public func invoke(
        _ contract: String,
        _ function: String,
        _ arguments: any Encodable...,
        on channel: String? = nil
    ) async throws -> Data {
        let encoded = try arguments.map { try ContractValue.encode($0) }
        let spec = Protos_ChaincodeSpec.with {
            $0.chaincodeID.name = channel.map { "\(contract)/\($0)" } ?? contract
            $0.input.args = [Data(function.utf8)] + encoded
        }
        let ended: Protos_ChaincodeMessage = try await self.session.ask(.invokeChaincode, spec)
        guard ended.type == .completed else {
            throw ContractError("\(contract) failed: \(String(decoding: ended.payload, as: UTF8.self))")
        }
        let response = try Protos_Response(serializedBytes: ended.payload)
        guard response.status < 400 else {
            throw ContractError(
                "\(contract) answered \(response.status): \(response.message)",
                status: Int(response.status)
            )
        }
        return response.payload
    }

    /// The event that was set last, as the peer wants it.
    var chaincodeEvent: Protos_ChaincodeEvent? {
        self.event.withLock { event in
            event.map { event in
                .with {
                    $0.eventName = event.name
                    $0.payload = event.payload
                    $0.txID = self.transactionID
                }
            }
        }
    }
}

extension Google_Protobuf_Timestamp {
    /// The nearest value that `Date` has.
    var date: Date {
        Date(timeIntervalSince1970: Double(self.seconds) + Double(self.nanos) / 1_000_000_000)
    }
}

/// What a contract is called with.
package struct ContractCall: Sendable {
    /// The channel whose state the call sees: not the proposal's, if another contract calls from there.
    package var channel: String
    /// The transaction's name and arguments: not the proposal's, if another contract calls.
    package var arguments: [Data]
    package var isInit: Bool
    package var decorations: [String: Data]
    package var proposal: UnpackedProposal
    package var creator: ClientIdentity

    package init(
        channel: String,
        arguments: [Data],
        isInit: Bool,
        decorations: [String: Data],
        proposal: UnpackedProposal,
        creator: ClientIdentity
    ) {
        self.channel = channel
        self.arguments = arguments
        self.isInit = isInit
        self.decorations = decorations
        self.proposal = proposal
        self.creator = creator
    }
}
