import Consensus

/// A fault that is put into every honest node of a BFT cluster on purpose, to see that the simulator finds it.
///
/// Each is made at the seam between the engine and its driver; a wrong rule inside the engine is imitated by what the
/// driver tells it.
package enum BFTMutation: String, CaseIterable, Sendable {
    /// One vote less than a quorum decides.
    case smallQuorum
    /// The block signature leaves with the prepare vote, before a quorum is known to have prepared.
    case earlyBlockSignature
    /// The highest lock of a timeout certificate doesn't bind the next leader.
    case skipLockRule
    /// A timeout certificate of an earlier view lets a leader propose.
    case trustOldTicket
    /// A prepare vote isn't stored, so that a node may vote twice.
    case forgetVote
    /// The lock isn't stored.
    case forgetLock
    /// Signatures leave before what they promise is durable.
    case signBeforeSync
    /// The last decided block is dropped from the consensus store before the ledger has it.
    case releaseBeforeSync

    /// What the engine is told, instead of what is true.
    func change(_ ticket: BFTTicket, for view: BFTView) -> BFTTicket {
        guard case .timedOut(var certificate) = ticket else { return ticket }
        switch self {
        case .skipLockRule:
            certificate.lock = nil
            certificate.parts = certificate.parts.map {
                BFTTimeoutCertificate.Part(lock: nil, signature: $0.signature)
            }
        case .trustOldTicket:
            if certificate.view < view { certificate.view = view &- 1 }
        default: break
        }
        return .timedOut(certificate)
    }

    func change(_ message: BFTMessage) -> BFTMessage {
        var message = message
        switch message.content {
        case .proposal(var proposal):
            proposal.ticket = self.change(proposal.ticket, for: proposal.ballot.round.view)
            message.content = .proposal(proposal)
        case .enter(let height, let view, let ticket):
            message.content = .enter(height: height, view: view, self.change(ticket, for: view))
        default: break
        }
        return message
    }

    /// What is left of a record after a crash.
    func change(_ state: BFTState) -> BFTState {
        var state = state
        switch self {
        case .forgetVote: state.record?.voted = nil
        case .forgetLock: state.record?.lock = nil
        default: break
        }
        return state
    }
}
