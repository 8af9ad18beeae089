internal import Channel
package import FabricProtos
internal import Foundation
internal import GRPCCore
internal import GRPCProtobuf
internal import SwiftProtobuf

// What nodes answer, as they answer it: for tools that report refusals in the nodes' own words.

extension PeerNode {
    /// Sends one signed proposal to this peer.
    ///
    /// - Returns: The peer's answer, refusals included.
    /// - Throws: `RPCError` when the call itself fails.
    package func respond(to proposal: Protos_SignedProposal) async throws -> Protos_ProposalResponse {
        var options = CallOptions.defaults
        options.timeout = self.timeout
        return try await Protos_Endorser.Client(wrapping: self.connection.client)
            .processProposal(proposal, options: options)
    }

    /// Asks for one block, and waits for it if it isn't there yet.
    ///
    /// - Returns: The block, or the status with which the peer refused.
    /// - Throws: `RPCError` when the call fails; ``ClientError`` when the peer sends anything else.
    package func block(
        at position: Orderer_SeekPosition,
        bestEffort: Bool = false
    ) async throws -> DeliveredBlock {
        let request = try await SeekEnvelope.make(
            self.connection,
            self.channel,
            self.identity,
            .one(position, bestEffort: bestEffort)
        )
        let endpoint = self.connection.endpoint
        return try await Protos_Deliver.Client(wrapping: self.connection.client).deliver { writer in
            try await writer.write(request)
        } onResponse: { response in
            try await DeliveredBlock(firstOf: response.messages, endpoint) { message in
                switch message.type {
                case .block(let block): .block(block)
                case .status(let status): .status(status)
                default: nil
                }
            }
        }
    }

    /// Follows the peer's blocks without their contents, from the newest on.
    ///
    /// - Parameters:
    ///   - opened: Called once the request is under way.
    ///   - receive: Takes a block; returns whether to go on.
    /// - Returns: The status with which the peer ended the stream; nil when `receive` had enough.
    /// - Throws: `RPCError` when the call fails; ``ClientError`` when the peer sends anything else.
    package func filteredBlocks(
        opened: @Sendable @escaping () -> Void,
        _ receive: @Sendable @escaping (Protos_FilteredBlock) async throws -> Bool
    ) async throws -> Common_Status? {
        let request = try await SeekEnvelope.make(
            self.connection,
            self.channel,
            self.identity,
            Orderer_SeekInfo(from: .newestBlock, to: .block(.max))
        )
        return try await Protos_Deliver.Client(wrapping: self.connection.client).deliverFiltered { writer in
            try await writer.write(request)
            opened()
        } onResponse: { response -> Common_Status? in
            for try await message in response.messages {
                switch message.type {
                case .filteredBlock(let block):
                    guard try await receive(block) else { return nil }
                case .status(let status): return status
                default: throw SeekEnvelope.unexpected(self.connection.endpoint)
                }
            }
            throw SeekEnvelope.ended(self.connection.endpoint)
        }
    }
}

extension OrderingNode {
    /// Hands a signed envelope to the orderer.
    ///
    /// - Returns: The orderer's answer, refusals included.
    /// - Throws: `RPCError` when the call itself fails; ``ClientError`` when the orderer ends it without an answer.
    package func respond(to envelope: Common_Envelope) async throws -> Orderer_BroadcastResponse {
        let answer = try await Orderer_AtomicBroadcast.Client(wrapping: self.connection.client)
            .broadcast { writer in
                try await writer.write(envelope)
            } onResponse: { response -> Orderer_BroadcastResponse? in
                for try await message in response.messages { return message }
                return nil
            }
        guard let answer else { throw SeekEnvelope.ended(self.connection.endpoint) }
        return answer
    }

    /// Asks for one block, as of a peer.
    package func block(
        at position: Orderer_SeekPosition,
        bestEffort: Bool = false
    ) async throws -> DeliveredBlock {
        let request = try await SeekEnvelope.make(
            self.connection,
            self.channel,
            self.identity,
            .one(position, bestEffort: bestEffort)
        )
        let endpoint = self.connection.endpoint
        return try await Orderer_AtomicBroadcast.Client(wrapping: self.connection.client).deliver { writer in
            try await writer.write(request)
        } onResponse: { response in
            try await DeliveredBlock(firstOf: response.messages, endpoint) { message in
                switch message.type {
                case .block(let block): .block(block)
                case .status(let status): .status(status)
                case nil: nil
                }
            }
        }
    }
}

/// What a node answers when it is asked for one block.
package enum DeliveredBlock: Sendable {
    case block(Common_Block)
    /// The node refused.
    case status(Common_Status)
}

extension DeliveredBlock {
    /// What the first message says; `meaning` gives `nil` for one that says something else.
    fileprivate init<Message>(
        firstOf messages: RPCAsyncSequence<Message, any Error>,
        _ endpoint: Endpoint,
        _ meaning: (Message) -> DeliveredBlock?
    ) async throws {
        for try await message in messages {
            guard let block = meaning(message) else { throw SeekEnvelope.unexpected(endpoint) }
            self = block
            return
        }
        throw SeekEnvelope.ended(endpoint)
    }
}

extension Orderer_SeekInfo {
    /// A request for the block at one position.
    fileprivate static func one(_ position: Orderer_SeekPosition, bestEffort: Bool) -> Self {
        var seek = Self(from: position, to: position)
        if bestEffort { seek.errorResponse = .bestEffort }
        return seek
    }
}
