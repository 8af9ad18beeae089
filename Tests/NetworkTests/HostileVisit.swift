import Channel
import FabricProtos
import Foundation
import GRPCCore
import RPC
import SwiftProtobuf

@testable import WeftClient

/// Knocks at the doors of a peer and an orderer.
struct HostileVisit: Sendable {
    var peer: Connection
    var orderer: Connection
    var channel: String

    private var gateway: Gateway_Gateway.Client<CoreClientTransport> { .init(wrapping: self.peer.client) }

    // MARK: - The peer

    /// To the channel, or to the peer itself.
    func propose(_ creator: HostileCreator, toChannel: Bool) async throws {
        _ = try await Protos_Endorser.Client(wrapping: self.peer.client).processProposal(
            creator.proposal(channel: toChannel ? self.channel : "")
        )
    }

    func evaluate(_ creator: HostileCreator) async throws {
        let proposal = try creator.proposal(channel: self.channel)
        _ = try await self.gateway.evaluate(
            .with {
                $0.channelID = self.channel
                $0.proposedTransaction = proposal
            }
        )
    }

    func endorse(_ creator: HostileCreator) async throws {
        let proposal = try creator.proposal(channel: self.channel)
        _ = try await self.gateway.endorse(
            .with {
                $0.channelID = self.channel
                $0.proposedTransaction = proposal
                $0.endorsingOrganizations = ["UtilityMSP"]
            }
        )
    }

    func submit(_ creator: HostileCreator) async throws {
        let envelope = try creator.envelope(
            .endorserTransaction,
            channel: self.channel,
            Data("no transaction".utf8),
            self.orderer
        )
        _ = try await self.gateway.submit(
            .with {
                $0.channelID = self.channel
                $0.preparedTransaction = envelope
            }
        )
    }

    func commitStatus(_ creator: HostileCreator) async throws {
        let request: Data = try Gateway_CommitStatusRequest.with {
            $0.channelID = self.channel
            $0.transactionID = String(repeating: "0", count: 64)
            $0.identity = creator.serialized
        }.serializedBytes()
        let signature = try creator.sign(request)
        _ = try await self.gateway.commitStatus(
            .with {
                $0.request = request
                $0.signature = signature
            }
        )
    }

    func events(_ creator: HostileCreator) async throws {
        let request: Data = try Gateway_ChaincodeEventsRequest.with {
            $0.channelID = self.channel
            $0.chaincodeID = "kv"
            $0.identity = creator.serialized
        }.serializedBytes()
        let signature = try creator.sign(request)
        let signed = Gateway_SignedChaincodeEventsRequest.with {
            $0.request = request
            $0.signature = signature
        }
        try await self.gateway.chaincodeEvents(signed) { response in
            for try await _ in response.messages {}
        }
    }

    func deliverFromPeer(_ creator: HostileCreator, filtered: Bool) async throws -> Common_Status {
        let envelope = try self.seek(creator, self.peer)
        let deliver = Protos_Deliver.Client(wrapping: self.peer.client)
        let send: @Sendable (RPCWriter<Common_Envelope>) async throws -> Void = {
            try await $0.write(envelope)
        }
        let receive:
            @Sendable (StreamingClientResponse<Protos_DeliverResponse>) async throws -> Common_Status = {
                for try await answer in $0.messages {
                    if case .status(let status) = answer.type { return status }
                    return .success
                }
                return .unknown
            }
        return filtered
            ? try await deliver.deliverFiltered(requestProducer: send, onResponse: receive)
            : try await deliver.deliver(requestProducer: send, onResponse: receive)
    }

    // MARK: - The orderer

    func broadcast(_ creator: HostileCreator) async throws -> Common_Status {
        let envelope = try creator.envelope(.message, channel: self.channel, Data("hello".utf8), self.orderer)
        return try await Orderer_AtomicBroadcast.Client(wrapping: self.orderer.client).broadcast {
            try await $0.write(envelope)
        } onResponse: { response in
            for try await answer in response.messages { return answer.status }
            return .unknown
        }
    }

    func deliverFromOrderer(_ creator: HostileCreator) async throws -> Common_Status {
        let envelope = try self.seek(creator, self.orderer)
        return try await Orderer_AtomicBroadcast.Client(wrapping: self.orderer.client).deliver {
            try await $0.write(envelope)
        } onResponse: { response in
            for try await answer in response.messages {
                if case .status(let status) = answer.type { return status }
                return .success
            }
            return .unknown
        }
    }

    /// A request for the newest block.
    private func seek(_ creator: HostileCreator, _ connection: Connection) throws -> Common_Envelope {
        let seek: Data = try Orderer_SeekInfo(from: .newestBlock, to: .newestBlock).serializedBytes()
        return try creator.envelope(.deliverSeekInfo, channel: self.channel, seek, connection)
    }
}
