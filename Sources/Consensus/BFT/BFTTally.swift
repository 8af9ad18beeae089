/// The newest vote of each kind from each node, at one height: bounded by the number of nodes.
///
/// A vote in a later view replaces the one before. Nothing is lost by it: whoever left a view shows others the way.
struct BFTTally: Sendable {
    var prepares: [NodeID: BFTVote] = [:]
    var commits: [NodeID: BFTVote] = [:]
    var timeouts: [NodeID: BFTTimeout] = [:]

    /// Counts a vote; returns another ballot that the same node supports in the same view, if there is one.
    mutating func insert(_ vote: BFTVote, from node: NodeID) -> BFTBallot? {
        let path = vote.phase == .prepare ? \BFTTally.prepares : \BFTTally.commits
        if let known = self[keyPath: path][node] {
            if known.ballot.round.view == vote.ballot.round.view {
                return known.ballot == vote.ballot ? nil : known.ballot
            }
            guard known.ballot.round.view < vote.ballot.round.view else { return nil }
        }
        self[keyPath: path][node] = vote
        return nil
    }

    mutating func insert(_ timeout: BFTTimeout, from node: NodeID) {
        if let known = self.timeouts[node], known.view >= timeout.view { return }
        self.timeouts[node] = timeout
    }

    /// The certificate of a ballot that `quorum` nodes support.
    func certificate(_ phase: BFTPhase, view: BFTView? = nil, quorum: Int) -> BFTCertificate? {
        let votes = phase == .prepare ? self.prepares : self.commits
        var nodes: [BFTBallot: [NodeID]] = [:]
        for (node, vote) in votes where view == nil || vote.ballot.round.view == view {
            nodes[vote.ballot, default: []].append(node)
        }
        // More than one is possible only if more than f nodes are Byzantine; then the order must still not depend
        // on hashing.
        let complete = nodes.filter { $0.value.count >= quorum }
        guard let ballot = complete.keys.min(by: { $0.precedes($1) }), let signers = complete[ballot] else {
            return nil
        }
        let signatures = signers.sorted().compactMap { node in
            votes[node].map { BFTSignature(signer: node, bytes: $0.signature) }
        }
        return BFTCertificate(phase: phase, ballot: ballot, signatures: signatures)
    }

    /// The timeout certificate of the latest view, at least `view`, that `quorum` nodes gave up.
    func timeoutCertificate(height: UInt64, from view: BFTView, quorum: Int) -> BFTTimeoutCertificate? {
        var nodes: [BFTView: [NodeID]] = [:]
        for (node, timeout) in self.timeouts where timeout.view >= view {
            nodes[timeout.view, default: []].append(node)
        }
        let complete = nodes.filter { $0.value.count >= quorum }
        guard let latest = complete.keys.max(), let signers = complete[latest] else { return nil }
        let timeouts = signers.sorted().compactMap { node in self.timeouts[node].map { (node, $0) } }
        let parts = timeouts.map { node, timeout in
            BFTTimeoutCertificate.Part(
                lock: timeout.lock?.view,
                signature: BFTSignature(signer: node, bytes: timeout.signature)
            )
        }
        let lock = timeouts.compactMap(\.1.lock).max { $0.view < $1.view }
        return BFTTimeoutCertificate(height: height, view: latest, parts: parts, lock: lock)
    }
}

extension BFTBallot {
    /// Any order that is the same in every run.
    fileprivate func precedes(_ other: BFTBallot) -> Bool {
        if self.round.view != other.round.view { return self.round.view < other.round.view }
        if self.round.decisionsInView != other.round.decisionsInView {
            return self.round.decisionsInView < other.round.decisionsInView
        }
        return self.digest.lexicographicallyPrecedes(other.digest)
    }
}

/// What others sent for the height after this node's: the newest message of each kind from each node.
struct BFTEarlyMessages: Sendable {
    private enum Kind: Int, Comparable {
        case proposal, prepare, commit, timeout

        static func < (left: Kind, right: Kind) -> Bool { left.rawValue < right.rawValue }

        init?(_ content: BFTMessage.Content) {
            switch content {
            case .proposal: self = .proposal
            case .vote(let vote): self = vote.phase == .prepare ? .prepare : .commit
            case .timeout: self = .timeout
            case .enter, .status, .decision, .want, .payload: return nil
            }
        }
    }

    private var messages: [NodeID: [Kind: BFTMessage]] = [:]

    mutating func keep(_ message: BFTMessage) {
        guard let kind = Kind(message.content) else { return }
        self.messages[message.from, default: [:]][kind] = message
    }

    /// Everything that was kept for `height`; nothing stays.
    mutating func take(at height: UInt64) -> [BFTMessage] {
        defer { self.messages = [:] }
        return self.messages.sorted { $0.key < $1.key }.flatMap { _, kinds in
            kinds.sorted { $0.key < $1.key }.map(\.value)
        }.filter { $0.height == height }
    }
}
