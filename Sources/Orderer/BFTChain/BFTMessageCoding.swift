internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// A message of a BFT consenter that can't be understood, or is larger than any that is needed.
struct UnreadableBFTMessage: Error, Equatable, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }
}

/// How large a message of another consenter may be, which may lie.
struct BFTMessageBounds: Equatable, Sendable {
    /// Bytes of one signature, with what belongs to it.
    static let signatureBytes = 4096
    /// Bytes of what stands for a block.
    static let digestBytes = 128
    /// Views, heights and decisions are far below, so that counting on from them can't overflow.
    static let highestNumber: UInt64 = 1 << 62

    /// Signatures of one certificate.
    var signatures: Int
    /// Bytes of a block's payload.
    var blockBytes: Int
    /// Bytes of one envelope.
    var envelopeBytes: Int

    init(signatures: Int, blockBytes: Int, envelopeBytes: Int) {
        self.signatures = signatures
        self.blockBytes = blockBytes
        self.envelopeBytes = envelopeBytes
    }

    /// What a channel needs under this configuration, and room for the next one: the sender may have it already.
    init(_ configuration: ChannelConfiguration) {
        let count = configuration.orderer?.consenters.count ?? 0
        let batch = configuration.orderer?.batch
        // Limits of a configuration are 32 bits wide.
        let envelope = 2 * (batch?.absoluteMaxBytes ?? 0) + 64 << 10
        self.init(
            signatures: max(16, 2 * count),
            blockBytes: 2 * envelope + 64 * (batch?.maxMessageCount ?? 0),
            envelopeBytes: envelope
        )
    }

    /// Bytes of a message without its block: two certificates of the largest kind, and what is around them.
    var messageBytes: Int { (2 * self.signatures + 2) * (Self.signatureBytes + 128) }
}

// MARK: - Writing

extension Weft_Consensus_StepRequest {
    /// The version of the protocol that this node speaks.
    static let spokenVersion: UInt32 = 1

    /// - Throws: `BinaryEncodingError`.
    init(_ message: BFTMessage, channel: String) throws {
        self.init()
        self.version = Self.spokenVersion
        self.channel = channel
        self.message = try Weft_Consensus_Message(message).serializedBytes()
        switch message.content {
        case .proposal(let proposal): self.block = Data(proposal.payload)
        case .decision(_, let payload?): self.block = Data(payload)
        case .payload(_, let payload): self.block = Data(payload)
        case .decision, .vote, .timeout, .enter, .status, .want: break
        }
    }
}

extension Weft_Consensus_Message {
    /// A message without its block.
    fileprivate init(_ message: BFTMessage) {
        self.init()
        self.from = message.from
        self.to = message.to
        switch message.content {
        case .proposal(let proposal):
            self.proposal.ballot = Weft_Consensus_Ballot(proposal.ballot)
            self.proposal.ticket = Weft_Consensus_Ticket(proposal.ticket)
            self.proposal.signature = Data(proposal.signature)
        case .vote(let vote):
            self.vote.phase = Weft_Consensus_Phase(vote.phase)
            self.vote.ballot = Weft_Consensus_Ballot(vote.ballot)
            self.vote.signature = Data(vote.signature)
        case .timeout(let timeout):
            self.timeout.height = timeout.height
            self.timeout.view = timeout.view
            if let lock = timeout.lock { self.timeout.lock = Weft_Consensus_Certificate(lock) }
            self.timeout.signature = Data(timeout.signature)
        case .enter(let height, let view, let ticket):
            self.enter.height = height
            self.enter.view = view
            self.enter.ticket = Weft_Consensus_Ticket(ticket)
        case .status(let height, let view):
            self.status.height = height
            self.status.view = view
        case .decision(let certificate, let payload):
            self.decision.certificate = Weft_Consensus_Certificate(certificate)
            self.decision.hasBlock_p = payload != nil
        case .want(let height, let digest):
            self.want.height = height
            self.want.digest = Data(digest)
        case .payload(let height, _):
            self.payload.height = height
        }
    }
}

extension Weft_Consensus_Phase {
    fileprivate init(_ phase: BFTPhase) {
        switch phase {
        case .prepare: self = .prepare
        case .commit: self = .commit
        }
    }
}

extension Weft_Consensus_Ballot {
    init(_ ballot: BFTBallot) {
        self.init()
        self.height = ballot.round.height
        self.view = ballot.round.view
        self.decisionsInView = ballot.round.decisionsInView
        self.digest = Data(ballot.digest)
    }
}

extension Weft_Consensus_Signature {
    fileprivate init(_ signature: BFTSignature) {
        self.init()
        self.signer = signature.signer
        self.signature = Data(signature.bytes)
    }
}

extension Weft_Consensus_Certificate {
    init(_ certificate: BFTCertificate) {
        self.init()
        self.phase = Weft_Consensus_Phase(certificate.phase)
        self.ballot = Weft_Consensus_Ballot(certificate.ballot)
        self.signatures = certificate.signatures.map { Weft_Consensus_Signature($0) }
    }
}

extension Weft_Consensus_Ticket {
    init(_ ticket: BFTTicket) {
        self.init()
        switch ticket {
        case .founding: self.founding = true
        case .decided(let certificate): self.decided = Weft_Consensus_Certificate(certificate)
        case .timedOut(let certificate):
            self.timedOut.height = certificate.height
            self.timedOut.view = certificate.view
            self.timedOut.parts = certificate.parts.map { part in
                .with {
                    if let lock = part.lock { $0.lock = lock }
                    $0.signature = Weft_Consensus_Signature(part.signature)
                }
            }
            if let lock = certificate.lock { self.timedOut.lock = Weft_Consensus_Certificate(lock) }
        }
    }
}
