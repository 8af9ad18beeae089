import Consensus

/// All Byzantine nodes together: they see what any of them sees, and say what harms most.
///
/// Each runs the real engine, so that it takes part and leads; what the engine wants to send passes through
/// ``outgoing(_:of:)``, and ``act(in:)`` adds what no engine says. They can't forge others' signatures.
struct BFTAdversary {
    let liars: Set<NodeID>
    private var seen: [BFTMessage] = []
    private var tickets: [UInt64: [BFTTicket]] = [:]
    private var ballots: [UInt64: [BFTBallot]] = [:]
    private var votes: [BFTStatement: [NodeID: [UInt8]]] = [:]
    /// The latest place that any of them knows of.
    private var height: UInt64 = 1
    private var view: BFTView = 0

    init(liars: Set<NodeID>) { self.liars = liars }

    // MARK: Knowledge

    mutating func observe(_ message: BFTMessage) {
        guard message.height < 1 << 40 else { return }
        if self.seen.count < 300 {
            self.seen.append(message)
        } else {
            self.seen[Int(message.height % 300)] = message
        }
        for claim in message.claims {
            self.votes[claim.statement, default: [:]][claim.signature.signer] = claim.signature.bytes
            if case .vote(_, let ballot) = claim.statement { self.learn(ballot) }
        }
        // Where the others are; what liars say of it isn't true.
        if !self.liars.contains(message.from) { self.reach(message) }
        switch message.content {
        case .proposal(let proposal): self.keep(proposal.ticket, message.height)
        case .enter(_, _, let ticket): self.keep(ticket, message.height)
        case .timeout(let timeout): self.makeTicket(timeout.height, timeout.view)
        case .decision(let certificate, _): self.keep(.decided(certificate), certificate.height + 1)
        case .vote, .status, .want, .payload: break
        }
    }

    private mutating func reach(_ message: BFTMessage) {
        switch message.content {
        case .proposal(let proposal): self.reach(message.height, proposal.ballot.round.view)
        case .vote(let vote): self.reach(message.height, vote.ballot.round.view)
        case .timeout(let timeout): self.reach(message.height, timeout.view)
        case .enter(_, let view, _), .status(_, let view): self.reach(message.height, view)
        case .decision(let certificate, _): self.reach(certificate.height &+ 1, certificate.view)
        case .want, .payload: break
        }
    }

    private mutating func learn(_ ballot: BFTBallot) {
        if self.ballots[ballot.round.height]?.contains(ballot) != true {
            self.ballots[ballot.round.height, default: []].append(ballot)
        }
    }

    private mutating func reach(_ height: UInt64, _ view: BFTView) {
        if height > self.height {
            self.height = height
            self.view = view
            self.ballots = self.ballots.filter { $0.key + 2 >= height }
            self.tickets = self.tickets.filter { $0.key + 1 >= height }
            self.votes = self.votes.filter { statement, _ in
                switch statement {
                case .vote(_, let ballot): ballot.round.height + 1 >= height
                case .timeout(let other, _, _): other + 1 >= height
                }
            }
        } else if height == self.height {
            self.view = max(self.view, view)
        }
    }

    private mutating func keep(_ ticket: BFTTicket, _ height: UInt64) {
        guard self.tickets[height]?.contains(ticket) != true, (self.tickets[height]?.count ?? 0) < 60 else {
            return
        }
        self.tickets[height, default: []].append(ticket)
    }

    /// The timeouts that admit no lock, as a ticket: the worst that can be shown.
    private mutating func makeTicket(_ height: UInt64, _ view: BFTView) {
        let parts = (self.votes[.timeout(height: height, view: view, lock: nil)] ?? [:]).sorted {
            $0.key < $1.key
        }.map {
            BFTTimeoutCertificate.Part(lock: nil, signature: BFTSignature(signer: $0.key, bytes: $0.value))
        }
        guard parts.count >= 2 else { return }
        self.keep(
            .timedOut(BFTTimeoutCertificate(height: height, view: view, parts: parts, lock: nil)),
            height
        )
    }

    // MARK: What the engine wanted to say

    mutating func outgoing(_ message: BFTMessage, of cluster: BFTCluster) -> [BFTMessage] {
        self.observe(message)
        // Withholds.
        if cluster.dice.chance(150) { return [] }
        var message = message
        switch message.content {
        case .proposal(let proposal):
            // Equivocates: half of the nodes see another block.
            guard message.to % 2 == 0, cluster.dice.chance(500) else { return [message] }
            guard let other = self.otherBlock(than: proposal.payload, of: cluster) else { return [message] }
            let forged = self.proposal(
                other,
                proposal.ballot.round,
                proposal.ticket,
                by: message.from,
                of: cluster
            )
            message.content = .proposal(forged)
            self.observe(message)
        case .timeout(var timeout):
            // Lies about its lock.
            guard timeout.lock != nil, cluster.dice.chance(500) else { return [message] }
            timeout.lock = nil
            timeout.signature = cluster.invariants.sign(timeout.statement, by: message.from, isHonest: false)
            message.content = .timeout(timeout)
            self.observe(message)
        default: break
        }
        return [message]
    }

    private func otherBlock(than payload: [UInt8], of cluster: BFTCluster) -> [UInt8]? {
        guard var block = SimulatedBlock(bytes: payload), !block.isConfig else { return nil }
        if block.envelopes.count > 1, cluster.dice.chance(700) {
            block.envelopes.removeLast()
        } else if cluster.dice.chance(800), let waiting = self.waiting(of: cluster, but: block.envelopes) {
            block.envelopes = [waiting]
        } else {
            block.envelopes.append(cluster.lastEnvelope + 1_000)
        }
        return block.bytes
    }

    private func waiting(of cluster: BFTCluster, but used: [UInt64]) -> UInt64? {
        cluster.dice.pick(
            cluster.outstanding.filter { !used.contains($0) && cluster.configurations[$0] == nil }.sorted()
        )
    }

    private func proposal(
        _ payload: [UInt8],
        _ round: BFTRound,
        _ ticket: BFTTicket,
        by node: NodeID,
        of cluster: BFTCluster
    ) -> BFTProposal {
        let ballot = BFTBallot(round: round, digest: BFTCluster.digest(payload))
        let signature = cluster.invariants.sign(.vote(.prepare, ballot), by: node, isHonest: false)
        return BFTProposal(ballot: ballot, payload: payload, ticket: ticket, signature: signature)
    }

    // MARK: What no engine says

    mutating func act(in cluster: BFTCluster) {
        guard let liar = cluster.dice.pick(self.liars.sorted()), cluster.nodes[liar]?.isUp == true else {
            return
        }
        let targets = cluster.members.filter { $0 != liar && cluster.dice.chance(600) }
        var contents: [BFTMessage.Content] = []
        switch cluster.dice.below(10) {
        case 0...3: contents = self.voteForEverything(by: liar, of: cluster)
        case 4, 5: contents = self.freshProposal(by: liar, of: cluster)
        case 6:
            let view = self.view &+ UInt64(cluster.dice.below(2))
            var timeout = BFTTimeout(height: self.height, view: view, lock: nil, signature: [])
            timeout.signature = cluster.invariants.sign(timeout.statement, by: liar, isHonest: false)
            contents = [.timeout(timeout)]
        case 7: contents = self.smallCertificate(of: cluster)
        case 8:
            let height = cluster.dice.pick([0, self.height, self.height + 3, 1 << 50, .max]) ?? 0
            contents = [.status(height: height, view: .max), .want(height: self.height, digest: [1])]
        default: contents = cluster.dice.pick(self.seen).map { [$0.content] } ?? []
        }
        for content in contents {
            for target in targets {
                let message = BFTMessage(from: liar, to: target, content: content)
                self.observe(message)
                cluster.transmit(message)
            }
        }
    }

    /// Votes in both phases for every block that it knows of.
    private func voteForEverything(by liar: NodeID, of cluster: BFTCluster) -> [BFTMessage.Content] {
        let ballots = (self.ballots[self.height] ?? []).suffix(3)
        return ballots.flatMap { ballot in
            [BFTPhase.prepare, .commit].map { phase in
                let signature = cluster.invariants.sign(.vote(phase, ballot), by: liar, isHonest: false)
                return .vote(BFTVote(phase: phase, ballot: ballot, signature: signature))
            }
        }
    }

    /// Proposes a new block in a view that it leads, with any ticket that it has: an old one, or one that binds it.
    private func freshProposal(by liar: NodeID, of cluster: BFTCluster) -> [BFTMessage.Content] {
        let voters = BFTVoters(cluster.consenters)
        let views = (0..<UInt64(voters.nodes.count)).map { self.view &+ $0 }
        guard let view = views.first(where: { voters.leader(of: $0) == liar }),
            let ticket = cluster.dice.pick(self.tickets[self.height] ?? []),
            let tip = cluster.nodes[liar]?.tip.block, tip.number + 1 == self.height
        else { return [] }
        guard let envelope = self.waiting(of: cluster, but: []) else { return [] }
        let block = SimulatedBlock(number: self.height, previousHash: tip.hash, envelopes: [envelope])
        var decisions: UInt64 = 0
        if case .decided(let certificate) = ticket {
            decisions = certificate.ballot.round.decisionsInView &+ 1
        }
        let round = BFTRound(height: self.height, view: view, decisionsInView: decisions)
        return [.proposal(self.proposal(block.bytes, round, ticket, by: liar, of: cluster))]
    }

    /// A certificate of all votes that it has seen, though they are too few, or doubled.
    private func smallCertificate(of cluster: BFTCluster) -> [BFTMessage.Content] {
        guard let ballot = cluster.dice.pick(self.ballots[self.height] ?? []),
            let phase = cluster.dice.pick([BFTPhase.prepare, .commit])
        else { return [] }
        var signatures = (self.votes[.vote(phase, ballot)] ?? [:]).sorted { $0.key < $1.key }.map {
            BFTSignature(signer: $0.key, bytes: $0.value)
        }
        signatures += signatures
        let certificate = BFTCertificate(phase: phase, ballot: ballot, signatures: signatures)
        return [
            .decision(certificate, payload: nil),
            .enter(height: self.height &+ 1, view: ballot.round.view, .decided(certificate)),
        ]
    }
}
