package import FabricProtos
package import Foundation
internal import SwiftProtobuf

/// Why endorsers' responses don't make a transaction.
package enum AssemblyError: Error, Equatable, Sendable, CustomStringConvertible {
    case noResponses
    /// An endorser refused: its status and message.
    case refused(status: Int32, message: String)
    /// An endorser answered success without signing it.
    case notEndorsed
    /// Two endorsers came to different results.
    case payloadsDiffer
    case malformedProposal(String)

    package var description: String {
        switch self {
        case .noResponses: "a transaction needs at least one endorsement"
        case .refused(let status, let message): "an endorser refused with status \(status): \(message)"
        case .notEndorsed: "an endorser's response carries no endorsement"
        case .payloadsDiffer:
            "ProposalResponsePayloads do not match: the endorsers came to different results, for example "
                + "because one of them is behind or the contract is not deterministic"
        case .malformedProposal(let reason): "the proposal can't be decoded: \(reason)"
        }
    }
}

extension Proposal {
    /// Puts a proposal and the endorsers' responses together.
    ///
    /// All responses must carry the very same payload and a status from 200 to 399. An endorser that appears
    /// twice counts once.
    ///
    /// - Returns: The bytes of `common.Payload`, which the proposal's creator has yet to sign.
    /// - Throws: ``AssemblyError``.
    /// - Source: Fabric v3, package `protoutil`, signed transactions.
    package static func assemble(
        _ proposal: Protos_Proposal,
        responses: [Protos_ProposalResponse]
    ) throws(AssemblyError) -> Data {
        let header: Common_Header
        let visible: Data
        do {
            header = try Common_Header(serializedBytes: proposal.header)
            let payload = try Protos_ChaincodeProposalPayload(serializedBytes: proposal.payload)
            visible = try Self.visiblePayload(invocation: payload.input)
        } catch {
            throw .malformedProposal("\(error)")
        }
        return try Self.assemble(header, visible, responses)
    }

    /// The same, of a proposal that is decoded already.
    package static func assemble(
        _ proposal: UnpackedProposal,
        responses: [Protos_ProposalResponse]
    ) throws(AssemblyError) -> Data {
        try Self.assemble(proposal.header, proposal.visiblePayload, responses)
    }

    private static func assemble(
        _ header: Common_Header,
        _ visiblePayload: Data,
        _ responses: [Protos_ProposalResponse]
    ) throws(AssemblyError) -> Data {
        guard let first = responses.first else { throw .noResponses }
        var endorsements: [Protos_Endorsement] = []
        var endorsers = Set<Data>()
        for response in responses {
            guard (200..<400).contains(response.response.status) else {
                throw .refused(status: response.response.status, message: response.response.message)
            }
            guard response.hasEndorsement, !response.payload.isEmpty else { throw .notEndorsed }
            guard response.payload == first.payload else { throw .payloadsDiffer }
            if endorsers.insert(response.endorsement.endorser).inserted {
                endorsements.append(response.endorsement)
            }
        }
        do {
            return try Self.payload(header, visiblePayload, first.payload, endorsements)
        } catch {
            throw .malformedProposal("\(error)")
        }
    }

    /// The bytes of a `common.Payload` around a transaction with one action.
    private static func payload(
        _ header: Common_Header,
        _ visiblePayload: Data,
        _ responsePayload: Data,
        _ endorsements: [Protos_Endorsement]
    ) throws -> Data {
        let size = visiblePayload.count + responsePayload.count + 1_000 * (endorsements.count + 2)
        var endorsed = WireMessage(capacity: size)
        endorsed.field(1, responsePayload)
        for endorsement in endorsements { endorsed.element(2, try endorsement.serializedBytes() as [UInt8]) }
        var actionPayload = WireMessage(capacity: size)
        actionPayload.field(1, visiblePayload)
        actionPayload.message(2, endorsed.bytes)
        var action = WireMessage(capacity: size)
        action.field(1, header.signatureHeader)
        action.field(2, actionPayload.bytes)
        var transaction = WireMessage(capacity: size)
        transaction.message(1, action.bytes)
        var payload = WireMessage(capacity: size)
        payload.message(1, try header.serializedBytes())
        payload.field(2, transaction.bytes)
        return payload.data
    }

    /// The part of a proposal's payload that enters the transaction and the proposal's hash: the invocation,
    /// without the transient map.
    package static func visiblePayload(invocation: Data) throws -> Data {
        var visible = Protos_ChaincodeProposalPayload()
        visible.input = invocation
        return try visible.serializedBytes()
    }
}
