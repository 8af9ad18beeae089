internal import Channel
package import FabricProtos
internal import Foundation
internal import GRPCCore
internal import Ledger
internal import SwiftProtobuf

extension Gateway {
    /// Waits until a transaction is committed and tells its fate.
    ///
    /// - Throws: ``GatewayFailure``: INVALID_ARGUMENT for an incomplete request, PERMISSION_DENIED for an unknown
    ///   channel or an access that is refused.
    package func commitStatus(
        _ signed: Gateway_SignedCommitStatusRequest
    ) async throws -> Gateway_CommitStatusResponse {
        guard !signed.request.isEmpty,
            let request = try? Gateway_CommitStatusRequest(serializedBytes: signed.request)
        else { throw GatewayFailure(.invalidArgument, "a commit status request is required") }
        guard !request.identity.isEmpty, !request.channelID.isEmpty, !request.transactionID.isEmpty else {
            throw GatewayFailure(
                .invalidArgument,
                "invalid commit status request: identity, channel and transaction are required"
            )
        }
        let channel = try self.authorizedChannel(
            request.channelID,
            resource: "gateway/CommitStatus",
            signed: SignedData(
                data: signed.request,
                identity: request.identity,
                signature: signed.signature
            ),
            subject: "transaction \(request.transactionID)"
        )
        do {
            let status = try await channel.status(ofTransaction: request.transactionID)
            return .with {
                $0.result = status.code
                $0.blockNumber = status.block
            }
        } catch is CancellationError {
            throw CancellationError()
        } catch let closed as CommitNotifier.Closed {
            throw GatewayFailure(.unavailable, "\(closed)")
        } catch {
            throw GatewayFailure(.aborted, "\(error)")
        }
    }

    /// Sends the events of a contract, block by block, for as long as the client listens.
    ///
    /// - Parameters:
    ///   - signed: The client's request.
    ///   - send: Takes the events of one block; called for blocks that have any.
    /// - Throws: ``GatewayFailure``: INVALID_ARGUMENT, PERMISSION_DENIED or ABORTED.
    package func chaincodeEvents(
        _ signed: Gateway_SignedChaincodeEventsRequest,
        send: (Gateway_ChaincodeEventsResponse) async throws -> Void
    ) async throws {
        guard !signed.request.isEmpty,
            let request = try? Gateway_ChaincodeEventsRequest(serializedBytes: signed.request)
        else { throw GatewayFailure(.invalidArgument, "a chaincode events request is required") }
        guard !request.chaincodeID.isEmpty, !request.identity.isEmpty else {
            throw GatewayFailure(.invalidArgument, "a chaincode name and an identity are required")
        }
        let channel = try self.authorizedChannel(
            request.channelID,
            resource: "gateway/ChaincodeEvents",
            signed: SignedData(
                data: signed.request,
                identity: request.identity,
                signature: signed.signature
            ),
            subject: "events of \(request.chaincodeID)"
        )
        try await self.sendEvents(of: channel, request, send)
    }

    private func sendEvents(
        of channel: PeerChannel,
        _ request: Gateway_ChaincodeEventsRequest,
        _ send: (Gateway_ChaincodeEventsResponse) async throws -> Void
    ) async throws {
        var number = try await self.firstBlock(request, on: channel)
        // Events are held back until the one of this transaction has passed; none is if there is no such event.
        var awaited = request.afterTransactionID
        while true {
            do {
                try await channel.committed.waitForBlock(number)
            } catch let closed as CommitNotifier.Closed {
                throw GatewayFailure(.unavailable, "\(closed)")
            }
            let block: Common_Block? =
                if let recent = channel.committed.recentBlock(number) {
                    recent.block
                } else {
                    try await self.read(number, of: channel)
                }
            guard let block else {
                throw GatewayFailure(.aborted, "block \(number) can't be read from the ledger")
            }
            var response = Gateway_ChaincodeEventsResponse()
            response.blockNumber = number
            for event in block.events(of: request.chaincodeID) {
                if awaited.isEmpty {
                    response.events.append(event)
                } else if event.txID == awaited {
                    awaited = ""
                }
            }
            if !response.events.isEmpty {
                try await send(response)
            }
            number += 1
        }
    }

    private func firstBlock(
        _ request: Gateway_ChaincodeEventsRequest,
        on channel: PeerChannel
    ) async throws -> BlockNumber {
        if !request.afterTransactionID.isEmpty {
            let known = try await withTaskExecutorPreference(self.surroundings.readers) {
                try channel.ledger.transaction(request.afterTransactionID)
            }
            if let known { return known.block }
        }
        switch request.startPosition.type {
        case nil, .nextCommit: return channel.committed.height
        case .specified(let position): return position.number
        case .oldest, .newest:
            throw GatewayFailure(
                .invalidArgument,
                "invalid start position type: give a block number, or none for the next block"
            )
        }
    }

    private func read(_ number: BlockNumber, of channel: PeerChannel) async throws -> Common_Block? {
        do {
            return try await withTaskExecutorPreference(self.surroundings.readers) {
                try channel.block(number)
            }
        } catch {
            throw GatewayFailure(.aborted, "block \(number) can't be read: \(error)")
        }
    }

    private func authorizedChannel(
        _ name: String,
        resource: String,
        signed: SignedData,
        subject: String
    ) throws -> PeerChannel {
        let channel = try self.channel(name, otherwise: .permissionDenied)
        do {
            try self.surroundings.access.authorize(
                AccessRequest(
                    resource: resource,
                    channel: channel.id,
                    requester: .signed(signed),
                    subject: subject,
                    unexpiredAt: Date()
                )
            )
        } catch {
            throw GatewayFailure(.permissionDenied, "\(error)")
        }
        return channel
    }
}

extension Common_Block {
    /// The events that valid transactions of this block emitted through `chaincode`, in order.
    fileprivate func events(of chaincode: String) -> [Protos_ChaincodeEvent] {
        zip(self.data.data, self.metadata(.transactionsFilter)).compactMap { envelope, code in
            guard code == UInt8(Protos_TxValidationCode.valid.rawValue),
                let transaction = try? DecodedTransaction.decode(envelope),
                case .success(.endorser(let endorsed)) = transaction.body,
                let event = endorsed.event, event.chaincodeID == chaincode
            else { return nil }
            return event
        }
    }
}
