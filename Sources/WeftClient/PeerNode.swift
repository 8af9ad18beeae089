package import Channel
package import FabricProtos
public import Foundation
internal import GRPCCore
internal import GRPCProtobuf
internal import RPC
internal import SwiftProtobuf

/// One peer, called directly: its endorser and its blocks.
public struct PeerNode: Sendable {
    let connection: Connection
    /// The channel's name; empty for calls that concern the peer as a whole.
    public let channel: String
    let identity: ClientIdentity
    /// How long each call may take; blocks may be followed for longer.
    public var timeout: Duration = .seconds(60)

    init(connection: Connection, channel: String, identity: ClientIdentity) {
        self.connection = connection
        self.channel = channel
        self.identity = identity
    }

    /// Runs a contract's function on this peer and returns its answer.
    ///
    /// - Throws: ``ClientError``; code `refused` with the peer's status and message when it refuses.
    public func query(_ invocation: Invocation) async throws(ClientError) -> Data {
        try await self.endorse(invocation).response.response.payload
    }

    /// Runs a contract's function on this peer and returns what the peer signed.
    package func endorse(
        _ invocation: Invocation,
        type: Common_HeaderType = .endorserTransaction
    ) async throws(ClientError) -> EndorsedProposal {
        let proposal = try await Proposal.signed(
            invocation,
            channel: self.channel,
            by: self.identity,
            type: type
        )
        let response = try await self.process(proposal.signed, proposal.transactionID.description)
        return EndorsedProposal(proposal: proposal, response: response)
    }

    /// Sends one signed proposal to this peer.
    package func process(
        _ proposal: Protos_SignedProposal,
        _ transactionID: String
    ) async throws(ClientError) -> Protos_ProposalResponse {
        let response: Protos_ProposalResponse
        do {
            response = try await self.respond(to: proposal)
        } catch {
            throw .from(error, at: self.connection.endpoint, transactionID: transactionID)
        }
        // JoinChain answers with status 0 in some releases.
        let status = response.response.status
        guard status == 0 || (200..<400).contains(status) else {
            throw ClientError(
                .refused,
                "\(self.connection.endpoint) refused with status \(status): \(response.response.message)",
                transactionID: transactionID
            )
        }
        return response
    }

    /// Has a proposal endorsed by several peers, and makes the envelope that an orderer takes.
    package static func endorse(
        _ invocation: Invocation,
        on peers: [PeerNode]
    ) async throws(ClientError) -> (envelope: Common_Envelope, transactionID: String, result: Data) {
        guard let first = peers.first else { throw ClientError(.invalidArgument, "no peer to endorse with") }
        let proposal = try await Proposal.signed(invocation, channel: first.channel, by: first.identity)
        let transactionID = proposal.transactionID.description
        do {
            let answers = try await withThrowingTaskGroup { group in
                for peer in peers {
                    group.addTask {
                        (peer.connection.endpoint, try await peer.process(proposal.signed, transactionID))
                    }
                }
                return try await group.reduce(into: [(Endpoint, Protos_ProposalResponse)]()) { $0.append($1) }
            }
            let named = answers.map { endpoint, response in
                let organization = EndorsementDisagreement.organization(of: response.endorsement.endorser)
                return (endorser: "\(organization) at \(endpoint)", payload: response.payload)
            }
            if let disagreement = EndorsementDisagreement(named) {
                throw ClientError(.refused, "\(AssemblyError.payloadsDiffer); \(disagreement)")
            }
            let responses = answers.map(\.1)
            let payload = try Proposal.assemble(proposal.proposal, responses: responses)
            let envelope = try await first.identity.signing {
                try Common_Envelope.signed(payload: payload, signer: $0)
            }
            return (envelope, transactionID, responses.first?.response.payload ?? Data())
        } catch {
            throw .from(error, at: first.connection.endpoint, transactionID: transactionID)
        }
    }

    // MARK: - Blocks

    /// Delivers the peer's blocks, in order, as the bytes of Fabric's `common.Block`.
    ///
    /// - Parameters:
    ///   - first: The number of the first block; nil for the newest.
    ///   - last: The number of the last block; nil to follow the chain for ever.
    ///   - receive: Takes a block's bytes; returns whether to go on. The next block is asked for when it has returned.
    /// - Throws: ``ClientError`` when the peer refuses or ends the stream, and what `receive` throws.
    public func serializedBlocks(
        from first: UInt64?,
        through last: UInt64?,
        _ receive: @Sendable @escaping (Data) async throws -> Bool
    ) async throws {
        try await self.blocks(from: first, through: last) { try await receive($0.serializedBytes()) }
    }

    /// Delivers the peer's blocks, decoded.
    package func blocks(
        from first: UInt64?,
        through last: UInt64?,
        _ receive: @Sendable @escaping (Common_Block) async throws -> Bool
    ) async throws {
        let request = try await SeekEnvelope.make(self.connection, self.channel, self.identity, first, last)
        let endpoint = self.connection.endpoint
        do {
            try await Protos_Deliver.Client(wrapping: self.connection.client).deliver { writer in
                try await writer.write(request)
            } onResponse: { response in
                for try await message in response.messages {
                    switch message.type {
                    case .block(let block):
                        guard try await receive(block) else { return }
                    case .status(let status):
                        try SeekEnvelope.check(status, endpoint)
                        return
                    default:
                        throw ClientError(.failed, "\(endpoint) sent a message that isn't a block")
                    }
                }
            }
        } catch let error as RPCError {
            throw ClientError.from(error, at: endpoint)
        }
    }
}

/// A proposal and one peer's signed response.
package struct EndorsedProposal: Sendable {
    package let proposal: Proposal
    package let response: Protos_ProposalResponse
}
