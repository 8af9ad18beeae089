internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

extension BFTMessage {
    /// Reads what another consenter sent.
    ///
    /// - Parameters:
    ///   - request: its content is a message.
    ///   - bounds: what is larger is refused before it is taken apart.
    /// - Throws: ``UnreadableBFTMessage``.
    init(_ request: Weft_Consensus_StepRequest, within bounds: BFTMessageBounds) throws(UnreadableBFTMessage)
    {
        guard request.message.count <= bounds.messageBytes else {
            throw UnreadableBFTMessage(
                "it has \(request.message.count) bytes without its block; \(bounds.messageBytes) are the most"
            )
        }
        guard request.block.count <= bounds.blockBytes else {
            throw UnreadableBFTMessage(
                "its block has \(request.block.count) bytes; \(bounds.blockBytes) are the most"
            )
        }
        let message: Weft_Consensus_Message
        do {
            message = try Weft_Consensus_Message(serializedBytes: request.message)
        } catch {
            throw UnreadableBFTMessage("it can't be decoded: \(error)")
        }
        let reader = BFTMessageReader(bounds: bounds)
        let content = try reader.content(of: message, block: request.block)
        self.init(from: message.from, to: message.to, content: content)
    }
}

/// Takes messages apart that may come from a liar.
struct BFTMessageReader {
    let bounds: BFTMessageBounds

    func content(
        of message: Weft_Consensus_Message,
        block: Data
    ) throws(UnreadableBFTMessage) -> BFTMessage.Content {
        switch message.content {
        case .proposal(let proposal):
            return .proposal(
                BFTProposal(
                    ballot: try self.ballot(proposal.ballot),
                    payload: try self.block(block),
                    ticket: try self.ticket(proposal.ticket),
                    signature: try self.signature(proposal.signature)
                )
            )
        case .vote(let vote):
            return .vote(
                BFTVote(
                    phase: try self.phase(vote.phase),
                    ballot: try self.ballot(vote.ballot),
                    signature: try self.signature(vote.signature)
                )
            )
        case .timeout(let timeout):
            return .timeout(
                BFTTimeout(
                    height: try self.number(timeout.height, "height"),
                    view: try self.number(timeout.view, "view"),
                    lock: timeout.hasLock ? try self.certificate(timeout.lock) : nil,
                    signature: try self.signature(timeout.signature)
                )
            )
        case .enter(let enter):
            return .enter(
                height: try self.number(enter.height, "height"),
                view: try self.number(enter.view, "view"),
                try self.ticket(enter.ticket)
            )
        case .status(let status):
            return .status(
                height: try self.number(status.height, "height"),
                view: try self.number(status.view, "view")
            )
        case .decision(let decision):
            let certificate = try self.certificate(decision.certificate)
            return .decision(certificate, payload: decision.hasBlock_p ? try self.block(block) : nil)
        case .want(let want):
            return .want(height: try self.number(want.height, "height"), digest: try self.digest(want.digest))
        case .payload(let payload):
            return .payload(height: try self.number(payload.height, "height"), try self.block(block))
        case nil:
            throw UnreadableBFTMessage("it says nothing that this version knows")
        }
    }

    private func block(_ bytes: Data) throws(UnreadableBFTMessage) -> [UInt8] {
        guard !bytes.isEmpty else { throw UnreadableBFTMessage("its block is missing") }
        return [UInt8](bytes)
    }

    func number(_ number: UInt64, _ what: String) throws(UnreadableBFTMessage) -> UInt64 {
        guard number < BFTMessageBounds.highestNumber else {
            throw UnreadableBFTMessage("the \(what) \(number) can't be reached")
        }
        return number
    }

    private func signature(_ bytes: Data) throws(UnreadableBFTMessage) -> [UInt8] {
        guard !bytes.isEmpty, bytes.count <= BFTMessageBounds.signatureBytes else {
            throw UnreadableBFTMessage(
                "a signature has \(bytes.count) bytes instead of 1 to \(BFTMessageBounds.signatureBytes)"
            )
        }
        return [UInt8](bytes)
    }

    func digest(_ bytes: Data) throws(UnreadableBFTMessage) -> [UInt8] {
        guard !bytes.isEmpty, bytes.count <= BFTMessageBounds.digestBytes else {
            throw UnreadableBFTMessage(
                "a digest has \(bytes.count) bytes instead of 1 to \(BFTMessageBounds.digestBytes)"
            )
        }
        return [UInt8](bytes)
    }

    private func phase(_ phase: Weft_Consensus_Phase) throws(UnreadableBFTMessage) -> BFTPhase {
        switch phase {
        case .prepare: return .prepare
        case .commit: return .commit
        case .unspecified, .UNRECOGNIZED: throw UnreadableBFTMessage("a vote of no known phase")
        }
    }

    func ballot(_ ballot: Weft_Consensus_Ballot) throws(UnreadableBFTMessage) -> BFTBallot {
        BFTBallot(
            round: BFTRound(
                height: try self.number(ballot.height, "height"),
                view: try self.number(ballot.view, "view"),
                decisionsInView: try self.number(ballot.decisionsInView, "count of decisions")
            ),
            digest: try self.digest(ballot.digest)
        )
    }

    private func signature(_ signature: Weft_Consensus_Signature) throws(UnreadableBFTMessage) -> BFTSignature
    {
        guard signature.signer > 0, signature.signer <= UInt64(UInt32.max) else {
            throw UnreadableBFTMessage("\(signature.signer) is no consenter's number")
        }
        return BFTSignature(signer: signature.signer, bytes: try self.signature(signature.signature))
    }

    /// As many signatures as there may be, each of another consenter.
    private func check(_ signers: [UInt64]) throws(UnreadableBFTMessage) {
        guard signers.count <= self.bounds.signatures else {
            throw UnreadableBFTMessage(
                "a certificate has \(signers.count) signatures; \(self.bounds.signatures) are the most"
            )
        }
        guard Set(signers).count == signers.count else {
            throw UnreadableBFTMessage("a certificate has two signatures of one consenter")
        }
    }

    func certificate(
        _ certificate: Weft_Consensus_Certificate
    ) throws(UnreadableBFTMessage) -> BFTCertificate {
        try self.check(certificate.signatures.map(\.signer))
        var signatures: [BFTSignature] = []
        for signature in certificate.signatures { signatures.append(try self.signature(signature)) }
        return BFTCertificate(
            phase: try self.phase(certificate.phase),
            ballot: try self.ballot(certificate.ballot),
            signatures: signatures
        )
    }

    func ticket(_ ticket: Weft_Consensus_Ticket) throws(UnreadableBFTMessage) -> BFTTicket {
        switch ticket.reason {
        case .founding(true): return .founding
        case .decided(let certificate): return .decided(try self.certificate(certificate))
        case .timedOut(let certificate): return .timedOut(try self.timeoutCertificate(certificate))
        case .founding(false), nil: throw UnreadableBFTMessage("a ticket without a reason")
        }
    }

    private func timeoutCertificate(
        _ certificate: Weft_Consensus_TimeoutCertificate
    ) throws(UnreadableBFTMessage) -> BFTTimeoutCertificate {
        try self.check(certificate.parts.map(\.signature.signer))
        var parts: [BFTTimeoutCertificate.Part] = []
        for part in certificate.parts {
            parts.append(
                BFTTimeoutCertificate.Part(
                    lock: part.hasLock ? try self.number(part.lock, "view") : nil,
                    signature: try self.signature(part.signature)
                )
            )
        }
        return BFTTimeoutCertificate(
            height: try self.number(certificate.height, "height"),
            view: try self.number(certificate.view, "view"),
            parts: parts,
            lock: certificate.hasLock ? try self.certificate(certificate.lock) : nil
        )
    }
}
