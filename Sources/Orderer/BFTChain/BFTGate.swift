internal import Channel
internal import Consensus

/// What comes between other consenters and the engine: every signature in a message is checked, with the key that its
/// signer has at the height of what it signed; and what would cost the engine or this node more than it is worth doesn't
/// come through.
///
/// What is sent for the height after the engine's waits here until that height begins, since its voters may be others.
struct BFTGate {
    /// Of those who vote on the engine's height.
    private(set) var keys: BFTVoterKeys
    /// Of those who voted on the height before.
    private(set) var previousKeys: BFTVoterKeys
    /// What is known to be signed: at this height and the one before.
    private var trusted: Set<BFTClaim> = []
    private var formerlyTrusted: Set<BFTClaim> = []
    /// The newest message of each kind from each node for the next height.
    private var early: [NodeID: [Kind: BFTMessage]] = [:]
    /// The earlier height that each node said last that it is at.
    private var behind: [NodeID: UInt64] = [:]

    /// Claims that are remembered at one height, whatever is sent.
    private static let capacity = 4096

    private enum Kind: Int, Hashable {
        case proposal, prepare, commit, timeout
    }

    init(keys: BFTVoterKeys, previousKeys: BFTVoterKeys) {
        self.keys = keys
        self.previousKeys = previousKeys
    }

    /// The next height begins, with these keys if its voters are others.
    mutating func enter(_ keys: BFTVoterKeys?) {
        self.previousKeys = self.keys
        if let keys { self.keys = keys }
        self.formerlyTrusted = self.trusted
        self.trusted = []
    }

    /// This node signed it itself.
    mutating func trust(_ claim: BFTClaim) {
        guard self.trusted.count < Self.capacity else { return }
        self.trusted.insert(claim)
    }

    /// Takes what was kept for the engine's height.
    mutating func takeEarly() -> [BFTMessage] {
        defer { self.early = [:] }
        return self.early.sorted { $0.key < $1.key }.flatMap { _, kinds in
            kinds.sorted { $0.key.rawValue < $1.key.rawValue }.map(\.value)
        }
    }

    /// What the engine gets of a message.
    mutating func admit(_ message: BFTMessage, at status: BFTStatus) -> [BFTMessage] {
        switch message.content {
        case .want, .payload: return [message]
        case .decision(let certificate, _):
            return self.isWorthChecking(certificate, status) && self.verify(message.claims, at: status.height)
                ? [message] : []
        case .status(let height, let view):
            return self.place(message, height: height, view: view, status)
        case .enter(let height, let view, _): return self.place(message, height: height, view: view, status)
        case .timeout(let timeout):
            return self.place(message, height: timeout.height, view: timeout.view, status)
        case .proposal(let proposal):
            guard proposal.ballot.round.height >= status.height else { return [] }
            return self.place(
                message,
                height: proposal.ballot.round.height,
                view: proposal.ballot.round.view,
                status
            )
        case .vote(let vote):
            // The last votes of a height come when it is decided: nobody needs help who sends them.
            guard vote.ballot.round.height >= status.height else { return [] }
            return self.place(
                message,
                height: vote.ballot.round.height,
                view: vote.ballot.round.view,
                status
            )
        }
    }

    /// By the height at which its sender is.
    private mutating func place(
        _ message: BFTMessage,
        height: UInt64,
        view: BFTView,
        _ status: BFTStatus
    ) -> [BFTMessage] {
        if height == status.height {
            self.behind[message.from] = nil
            return self.verify(message.claims, at: height) ? [message] : []
        }
        let position = BFTMessage(
            from: message.from,
            to: message.to,
            content: .status(height: height, view: view)
        )
        guard height > status.height else {
            // A node that is behind for a moment only needs no block.
            guard self.behind.updateValue(height, forKey: message.from) == height else { return [] }
            return [position]
        }
        self.behind[message.from] = nil
        guard height == status.height + 1 else { return [position] }
        if let kind = Self.kind(message.content) { self.early[message.from, default: [:]][kind] = message }
        guard let certificate = Self.proof(in: message), self.verify(certificate.claims, at: status.height)
        else { return [position] }
        return [
            position,
            BFTMessage(from: message.from, to: message.to, content: .decision(certificate, payload: nil)),
        ]
    }

    private static func kind(_ content: BFTMessage.Content) -> Kind? {
        switch content {
        case .proposal: .proposal
        case .vote(let vote): vote.phase == .prepare ? .prepare : .commit
        case .timeout: .timeout
        case .enter, .status, .decision, .want, .payload: nil
        }
    }

    /// What makes the block before final, in a message of the height after it.
    private static func proof(in message: BFTMessage) -> BFTCertificate? {
        switch message.content {
        case .proposal(let proposal):
            if case .decided(let certificate) = proposal.ticket { certificate } else { nil }
        case .enter(_, _, .decided(let certificate)): certificate
        default: nil
        }
    }

    /// A certificate of the engine's height, or of the height before, if that one contradicts what this node holds.
    private func isWorthChecking(_ certificate: BFTCertificate, _ status: BFTStatus) -> Bool {
        if certificate.height == status.height { return true }
        return certificate.height + 1 == status.height && certificate.ballot.digest != status.decided?.digest
    }

    // MARK: - Signatures

    private mutating func verify(_ claims: [BFTClaim], at height: UInt64) -> Bool {
        claims.allSatisfy { self.verify($0, at: height) }
    }

    private mutating func verify(_ claim: BFTClaim, at height: UInt64) -> Bool {
        if self.trusted.contains(claim) || self.formerlyTrusted.contains(claim) { return true }
        let keys: BFTVoterKeys
        if claim.statement.height == height {
            keys = self.keys
        } else if claim.statement.height + 1 == height {
            keys = self.previousKeys
        } else {
            return false
        }
        guard keys.verify(claim) else { return false }
        self.trust(claim)
        return true
    }
}
