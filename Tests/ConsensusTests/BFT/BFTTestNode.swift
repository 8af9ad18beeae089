import Consensus

/// One engine whose driver signs and validates at once, and remembers what happened.
///
/// All others are played by the test.
struct BFTTestNode {
    private(set) var engine: BFT
    private(set) var state: BFTState
    private(set) var signed: [BFTStatement] = []
    private(set) var sent: [BFTMessage] = []
    private(set) var events: [BFTEvent] = []
    private(set) var decisions: [Decision] = []
    private(set) var contradiction: String?
    private(set) var answer: ProposalAnswer?
    var findsValid = true

    static let timeout: UInt64 = 10

    /// Stands for the block; what it is doesn't matter.
    static func digest(_ payload: [UInt8]) -> [UInt8] { [0xd] + payload }

    static func held(_ count: Int, through height: UInt64 = 0, certificate: BFTCertificate? = nil) -> BFTHeld
    {
        let voters = BFTVoters((1...UInt64(count)).map { $0 })
        return BFTHeld(height: height, certificate: certificate, previousVoters: voters, voters: voters)
    }

    init(_ id: NodeID, of count: Int, state: BFTState = BFTState(), held: BFTHeld? = nil) throws {
        self.state = state
        self.engine = try BFT(
            id: id,
            configuration: BFTConfiguration(timeoutTicks: Self.timeout, resendTicks: 1_000),
            restoring: state,
            held: held ?? Self.held(count),
            digest: { Self.digest($0) }
        )
    }

    /// The same node after a crash.
    func restarted(held: BFTHeld) throws -> BFTTestNode {
        try BFTTestNode(self.engine.id, of: held.voters.nodes.count, state: self.state, held: held)
    }

    mutating func give(_ input: BFT.Input) {
        let effects = self.engine.step(input)
        if let write = effects.write { self.state.apply(write) }
        self.contradiction = self.contradiction ?? effects.contradiction
        self.answer = effects.proposal ?? self.answer
        self.decisions += effects.decisions
        self.events += effects.events
        for event in effects.events {
            switch event {
            case .sign(let statement):
                self.signed.append(statement)
                self.give(.command(.signed(statement, [UInt8(self.engine.id)])))
            case .validate(let ballot, _): self.give(.command(.validated(ballot, isValid: self.findsValid)))
            default: break
            }
        }
        self.sent += effects.messages
    }

    mutating func receive(_ content: BFTMessage.Content, from node: NodeID) {
        self.give(.received(BFTMessage(from: node, to: self.engine.id, content: content)))
    }

    mutating func receive(_ phase: BFTPhase, _ ballot: BFTBallot, from nodes: NodeID...) {
        for node in nodes {
            self.receive(.vote(BFTVote(phase: phase, ballot: ballot, signature: [UInt8(node)])), from: node)
        }
    }

    mutating func receive(
        _ payload: [UInt8],
        in view: BFTView = 0,
        _ ticket: BFTTicket = .founding,
        from node: NodeID
    ) {
        let ballot = Self.ballot(payload, height: self.engine.details.height, view: view, ticket)
        self.receive(
            .proposal(
                BFTProposal(ballot: ballot, payload: payload, ticket: ticket, signature: [UInt8(node)])
            ),
            from: node
        )
    }

    mutating func receiveTimeout(of view: BFTView, lock: BFTCertificate? = nil, from nodes: NodeID...) {
        for node in nodes {
            let timeout = BFTTimeout(
                height: self.engine.details.height,
                view: view,
                lock: lock,
                signature: [UInt8(node)]
            )
            self.receive(.timeout(timeout), from: node)
        }
    }

    mutating func waitForTimeout() {
        self.give(.command(.requestsWait(true)))
        for _ in 0..<Self.timeout { self.give(.tick) }
    }

    // MARK: What others say

    static func ballot(
        _ payload: [UInt8],
        height: UInt64 = 1,
        view: BFTView = 0,
        _ ticket: BFTTicket = .founding
    ) -> BFTBallot {
        var decisions: UInt64 = 0
        if case .decided(let certificate) = ticket {
            decisions = certificate.ballot.round.decisionsInView + 1
        }
        let round = BFTRound(height: height, view: view, decisionsInView: decisions)
        return BFTBallot(round: round, digest: Self.digest(payload))
    }

    static func certificate(_ phase: BFTPhase, _ ballot: BFTBallot, from nodes: [NodeID]) -> BFTCertificate {
        BFTCertificate(
            phase: phase,
            ballot: ballot,
            signatures: nodes.map { BFTSignature(signer: $0, bytes: [UInt8($0)]) }
        )
    }

    static func timedOut(
        _ view: BFTView,
        from nodes: [NodeID],
        lock: BFTCertificate? = nil,
        of holder: NodeID? = nil
    ) -> BFTTicket {
        let parts = nodes.map { node in
            BFTTimeoutCertificate.Part(
                lock: node == holder ? lock?.view : nil,
                signature: BFTSignature(signer: node, bytes: [UInt8(node)])
            )
        }
        return .timedOut(BFTTimeoutCertificate(height: 1, view: view, parts: parts, lock: lock))
    }
}
