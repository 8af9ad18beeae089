package import Channel
package import FabricProtos
public import Foundation
internal import GRPCCore
internal import GRPCProtobuf
internal import RPC
internal import SwiftProtobuf

/// One channel seen through a peer's gateway service, which finds endorsers and orderers for the client.
public struct Gateway: Sendable {
    let connection: Connection
    /// The channel's name.
    public let channel: String
    let identity: ClientIdentity
    /// How long each call may take.
    public var timeout: Duration = .seconds(60)

    init(connection: Connection, channel: String, identity: ClientIdentity) {
        self.connection = connection
        self.channel = channel
        self.identity = identity
    }

    // MARK: - Asking

    /// Runs a contract's function on one peer and returns its answer; nothing is written to the ledger.
    ///
    /// - Throws: ``ClientError``; code `refused` with the contract's own message when the contract refuses.
    public func evaluate(_ invocation: Invocation) async throws(ClientError) -> Data {
        let proposal = try await self.proposal(invocation)
        var request = Gateway_EvaluateRequest()
        request.transactionID = proposal.transactionID.description
        request.channelID = self.channel
        request.proposedTransaction = proposal.signed
        request.targetOrganizations = invocation.organizations
        do {
            let response: Gateway_EvaluateResponse = try await self.call(
                Gateway_Gateway.Method.Evaluate.descriptor,
                request
            )
            return response.result.payload
        } catch {
            throw self.error(error, proposal.transactionID.description)
        }
    }

    // MARK: - Writing

    /// Has a contract's function endorsed, ordered and committed, and returns once it is valid in the ledger.
    ///
    /// - Throws: ``ClientError``; code `refused` when an endorser refused and nothing was sent to the orderer,
    ///   `invalidated` when the transaction is in the ledger but took no effect, `unavailable` when the outcome isn't
    ///   known: ask for ``status(of:)`` then, before submitting again.
    public func submit(_ invocation: Invocation) async throws(ClientError) -> CommittedTransaction {
        let endorsed = try await self.endorse(invocation)
        try await self.submit(endorsed)
        return try await self.commit(of: endorsed)
    }

    /// Waits until a submitted transaction is valid in the ledger.
    ///
    /// - Throws: ``ClientError``, as ``submit(_:)-(Invocation)``.
    package func commit(
        of endorsed: EndorsedTransaction
    ) async throws(ClientError) -> CommittedTransaction {
        let status = try await self.status(of: endorsed.transactionID)
        guard status.isValid else {
            throw ClientError(
                .invalidated,
                """
                transaction \(status.transactionID) is in block \(status.block) but took no effect: it was judged \
                \(status.codeName) (\(status.code))
                """,
                transactionID: status.transactionID
            )
        }
        return CommittedTransaction(status: status, result: endorsed.result)
    }

    /// Collects the endorsements that a contract's policy asks for.
    ///
    /// - Throws: ``ClientError``, whose details name each organization that refused and why.
    public func endorse(_ invocation: Invocation) async throws(ClientError) -> EndorsedTransaction {
        let proposal = try await self.proposal(invocation)
        let transactionID = proposal.transactionID.description
        var request = Gateway_EndorseRequest()
        request.transactionID = transactionID
        request.channelID = self.channel
        request.proposedTransaction = proposal.signed
        request.endorsingOrganizations = invocation.organizations
        do {
            let response: Gateway_EndorseResponse = try await self.call(
                Gateway_Gateway.Method.Endorse.descriptor,
                request
            )
            let prepared = response.preparedTransaction
            return EndorsedTransaction(
                transactionID: transactionID,
                result: try Self.result(of: prepared.payload),
                payload: prepared.payload
            )
        } catch {
            throw self.error(error, transactionID)
        }
    }

    /// Signs an endorsed transaction and hands it to the ordering service.
    ///
    /// - Throws: ``ClientError``; code `unavailable` when the outcome isn't known.
    public func submit(_ transaction: EndorsedTransaction) async throws(ClientError) {
        do {
            var request = Gateway_SubmitRequest()
            request.transactionID = transaction.transactionID
            request.channelID = self.channel
            request.preparedTransaction = try await self.identity.signing { signer in
                try .signed(payload: transaction.payload, signer: signer)
            }
            let _: Gateway_SubmitResponse = try await self.call(
                Gateway_Gateway.Method.Submit.descriptor,
                request
            )
        } catch {
            throw self.error(error, transaction.transactionID)
        }
    }

    /// Waits until a transaction is in the ledger and says how it was judged.
    ///
    /// - Throws: ``ClientError``; code `unavailable` when the transaction isn't in the ledger within the timeout.
    public func status(of transactionID: String) async throws(ClientError) -> CommitStatus {
        do {
            var request = Gateway_CommitStatusRequest()
            request.transactionID = transactionID
            request.channelID = self.channel
            request.identity = self.identity.signer.serialized
            var signed = Gateway_SignedCommitStatusRequest()
            signed.request = try request.serializedBytes()
            let message = signed.request
            signed.signature = try await self.identity.signing { try $0.sign(message) }
            let response: Gateway_CommitStatusResponse = try await self.call(
                Gateway_Gateway.Method.CommitStatus.descriptor,
                signed
            )
            return CommitStatus(
                transactionID: transactionID,
                block: response.blockNumber,
                code: response.result
            )
        } catch {
            throw self.error(error, transactionID)
        }
    }

    // MARK: - Listening

    /// Follows a contract's events until `receive` returns false or the task is cancelled.
    ///
    /// Only valid transactions' events arrive, in the ledger's order. The next one is asked for when `receive` has
    /// returned, so a slow receiver slows the peer down and nothing piles up.
    ///
    /// - Parameters:
    ///   - contract: The contract's name.
    ///   - start: The first block to look at; nil for those that are committed from now on.
    ///   - receive: Takes one event; returns whether to go on.
    /// - Throws: ``ClientError`` when the peer ends the stream, and what `receive` throws.
    public func events(
        of contract: String,
        from start: UInt64? = nil,
        _ receive: @Sendable @escaping (ContractEvent) async throws -> Bool
    ) async throws {
        do {
            var request = Gateway_ChaincodeEventsRequest()
            request.channelID = self.channel
            request.chaincodeID = contract
            request.identity = self.identity.signer.serialized
            request.startPosition = start.map { .block($0) } ?? .nextCommitted
            var signed = Gateway_SignedChaincodeEventsRequest()
            signed.request = try request.serializedBytes()
            let message = signed.request
            signed.signature = try await self.identity.signing { try $0.sign(message) }
            try await self.stub.chaincodeEvents(signed) { response in
                for try await message in response.messages {
                    for event in message.events {
                        let event = ContractEvent(
                            block: message.blockNumber,
                            transactionID: event.txID,
                            contract: event.chaincodeID,
                            name: event.eventName,
                            payload: event.payload
                        )
                        guard try await receive(event) else { return }
                    }
                }
            }
        } catch let error as RPCError {
            throw self.error(error, nil)
        }
    }
}

extension Gateway {
    private var stub: Gateway_Gateway.Client<CoreClientTransport> { .init(wrapping: self.connection.client) }

    /// Makes a unary call.
    private func call<Request: Message, Response: Message>(
        _ method: MethodDescriptor,
        _ request: Request
    ) async throws -> Response {
        try await self.connection.transport.unary(
            request,
            method,
            serializer: ProtobufSerializer<Request>(),
            deserializer: ProtobufDeserializer<Response>(),
            timeout: self.timeout
        )
    }

    private func error(_ error: any Error, _ transactionID: String?) -> ClientError {
        .from(error, at: self.connection.endpoint, transactionID: transactionID)
    }

    private func proposal(_ invocation: Invocation) async throws(ClientError) -> Proposal {
        try await .signed(invocation, channel: self.channel, by: self.identity)
    }

    /// The contract's answer inside a prepared transaction.
    private static func result(of payload: Data) throws -> Data {
        let payload = try Common_Payload(serializedBytes: payload)
        let transaction = try Protos_Transaction(serializedBytes: payload.data)
        guard let action = transaction.actions.first else {
            throw ClientError(.failed, "the gateway prepared a transaction without an action")
        }
        let content = try Protos_ChaincodeActionPayload(serializedBytes: action.payload)
        let response = try Protos_ProposalResponsePayload(
            serializedBytes: content.action.proposalResponsePayload
        )
        return try Protos_ChaincodeAction(serializedBytes: response.extension).response.payload
    }
}

extension Proposal {
    /// Signs a proposal with a fresh nonce and the present time.
    package static func signed(
        _ invocation: Invocation,
        channel: String,
        by identity: ClientIdentity,
        type: Common_HeaderType = .endorserTransaction
    ) async throws(ClientError) -> Proposal {
        let nonce = try freshNonce()
        do {
            return try await identity.signing { signer in
                try Proposal(
                    channel: channel,
                    chaincode: invocation.contract,
                    arguments: invocation.arguments,
                    transient: invocation.transient,
                    isInit: invocation.isInit,
                    signer: signer,
                    nonce: nonce,
                    timestamp: Date(),
                    type: type
                )
            }
        } catch {
            throw ClientError(.failed, "the proposal can't be signed: \(error)")
        }
    }
}
