internal import Channel
package import FabricProtos
internal import Foundation
internal import GRPCCore
internal import GRPCProtobuf
internal import RPC
internal import SwiftProtobuf

/// One orderer, called directly.
package struct OrderingNode: Sendable {
    let connection: Connection
    package let channel: String
    let identity: ClientIdentity

    /// Hands a signed envelope to the orderer.
    ///
    /// - Throws: ``ClientError`` with the orderer's status and reason, unless it is SUCCESS.
    package func broadcast(_ envelope: Common_Envelope) async throws(ClientError) {
        let endpoint = self.connection.endpoint
        do {
            let answer = try await self.respond(to: envelope)
            guard answer.status == .success else {
                let code: ClientError.Code =
                    answer.status == .serviceUnavailable ? .unavailable : .refused
                throw ClientError(code, "\(endpoint) answered \(answer.status.name): \(answer.info)")
            }
        } catch {
            throw .from(error, at: endpoint)
        }
    }

    /// Delivers the orderer's blocks; parameters as for a peer's.
    package func blocks(
        from first: UInt64?,
        through last: UInt64?,
        _ receive: @Sendable @escaping (Common_Block) async throws -> Bool
    ) async throws {
        let request = try await SeekEnvelope.make(self.connection, self.channel, self.identity, first, last)
        let endpoint = self.connection.endpoint
        do {
            try await Orderer_AtomicBroadcast.Client(wrapping: self.connection.client).deliver { writer in
                try await writer.write(request)
            } onResponse: { response in
                for try await message in response.messages {
                    switch message.type {
                    case .block(let block):
                        guard try await receive(block) else { return }
                    case .status(let status):
                        try SeekEnvelope.check(status, endpoint)
                        return
                    case nil:
                        throw ClientError(.failed, "\(endpoint) sent an empty message")
                    }
                }
            }
        } catch let error as RPCError {
            throw ClientError.from(error, at: endpoint)
        }
    }
}

/// Requests for blocks, which peers and orderers take in the same form.
enum SeekEnvelope {
    static func make(
        _ connection: Connection,
        _ channel: String,
        _ identity: ClientIdentity,
        _ first: UInt64?,
        _ last: UInt64?
    ) async throws -> Common_Envelope {
        let start = first.map { Orderer_SeekPosition.block($0) } ?? .newestBlock
        let stop = first == nil && last == nil ? Orderer_SeekPosition.newestBlock : .block(last ?? .max)
        return try await Self.make(connection, channel, identity, Orderer_SeekInfo(from: start, to: stop))
    }

    static func make(
        _ connection: Connection,
        _ channel: String,
        _ identity: ClientIdentity,
        _ seek: Orderer_SeekInfo
    ) async throws -> Common_Envelope {
        try await identity.signing { signer in
            try .signed(
                .deliverSeekInfo,
                channel: channel,
                data: seek.serializedBytes(),
                signer: signer,
                nonce: freshNonce(),
                timestamp: Date(),
                tlsCertificateHash: connection.certificateHash
            )
        }
    }

    static func ended(_ endpoint: Endpoint) -> ClientError {
        ClientError(.unavailable, "\(endpoint) ended the stream without an answer")
    }

    static func unexpected(_ endpoint: Endpoint) -> ClientError {
        ClientError(.failed, "\(endpoint) sent a message of another kind than it was asked for")
    }

    static func check(_ status: Common_Status, _ endpoint: Endpoint) throws(ClientError) {
        let code: ClientError.Code
        switch status {
        case .success: return
        case .forbidden: code = .permissionDenied
        case .notFound: code = .notFound
        case .serviceUnavailable: code = .unavailable
        case .badRequest: code = .invalidArgument
        default: code = .failed
        }
        throw ClientError(code, "\(endpoint) ended the delivery of blocks with \(status.name)")
    }
}
