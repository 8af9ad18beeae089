import Consensus
import Testing

/// The rules of docs/decisions/0032-bft-protocol.md, one node at a time.
@Suite struct BFTTests {
    private typealias Node = BFTTestNode

    private static let x: [UInt8] = [1]
    private static let y: [UInt8] = [2]

    // MARK: Quorums

    @Test("q is ⌈(n+f+1)/2⌉: two quorums share an honest node, and the honest are one", arguments: 1...13)
    func quorum(n: Int) {
        let voters = BFTVoters((1...UInt64(n)).map { $0 })
        let expected = [1, 2, 2, 3, 4, 4, 5, 6, 6, 7, 8, 8, 9][n - 1]
        #expect(voters.faults == (n - 1) / 3)
        #expect(voters.quorum == expected)
        #expect(2 * voters.quorum - n >= voters.faults + 1)
        #expect(voters.quorum <= n - voters.faults)
    }

    @Test("the nodes lead in turn, in ascending order, each once")
    func leaders() {
        let voters = BFTVoters([4, 2, 9, 2])
        #expect((0..<4).map { voters.leader(of: $0) } == [2, 4, 9, 2])
        #expect(BFTVoters([]).leader(of: 1) == nil)
    }

    // MARK: The two phases

    @Test("a node that is alone decides alone")
    func alone() throws {
        var node = try Node(1, of: 1)
        node.give(.propose(Self.x))
        #expect(node.answer == .accepted(position: 1))
        #expect(node.decisions == [Decision(position: 1, payload: Self.x)])
    }

    @Test(
        "the block signature leaves with q prepare votes, never before, for every n",
        arguments: [4, 5, 6, 7, 10]
    )
    func blockSignature(n: Int) throws {
        let ballot = Node.ballot(Self.x)
        let quorum = BFTVoters((1...UInt64(n)).map { $0 }).quorum
        var node = try Node(2, of: n)
        node.receive(Self.x, from: 1)
        #expect(node.signed == [.vote(.prepare, ballot)])
        // The leader's vote and its own are there.
        for other in UInt64(3)..<UInt64(quorum) {
            node.receive(.prepare, ballot, from: other)
            #expect(node.signed == [.vote(.prepare, ballot)])
            #expect(node.state.record?.lock == nil)
        }
        node.receive(.prepare, ballot, from: UInt64(quorum))
        #expect(node.signed == [.vote(.prepare, ballot), .vote(.commit, ballot)])
        #expect(node.state.record?.lock?.signatures.count == quorum)
    }

    @Test("q commit votes decide, one less doesn't", arguments: [4, 6, 7])
    func decides(n: Int) throws {
        let ballot = Node.ballot(Self.x)
        let quorum = UInt64(BFTVoters((1...UInt64(n)).map { $0 }).quorum)
        var node = try Node(UInt64(n), of: n)
        node.receive(Self.x, from: 1)
        for other in 1..<quorum { node.receive(.commit, ballot, from: other) }
        #expect(node.decisions.isEmpty)
        node.receive(.commit, ballot, from: quorum)
        #expect(node.decisions == [Decision(position: 1, payload: Self.x)])
        #expect(node.events.contains(.final(Node.certificate(.commit, ballot, from: Array(1...quorum)))))
    }

    @Test("votes of different views, or for different blocks, don't add up")
    func adds() throws {
        var node = try Node(4, of: 4)
        node.receive(.commit, Node.ballot(Self.x), from: 1)
        node.receive(.commit, Node.ballot(Self.x, view: 1), from: 2)
        node.receive(.commit, Node.ballot(Self.y), from: 3)
        #expect(node.engine.status.leader == 1)
        #expect(node.decisions.isEmpty)
        #expect(!node.sent.contains { if case .want = $0.content { true } else { false } })
    }

    @Test("an invalid block gets no vote and ends its view")
    func invalid() throws {
        var node = try Node(2, of: 4)
        node.findsValid = false
        node.receive(Self.x, from: 1)
        #expect(node.signed == [.timeout(height: 1, view: 0, lock: nil)])
    }

    @Test("only the leader proposes, and only with the round and digest that fit")
    func proposers() throws {
        var node = try Node(2, of: 4)
        node.receive(Self.x, from: 3)
        let ballot = Node.ballot(Self.y)
        node.receive(
            .proposal(BFTProposal(ballot: ballot, payload: Self.x, ticket: .founding, signature: [1])),
            from: 1
        )
        #expect(node.signed.isEmpty)
        #expect(node.events.count { if case .refused = $0 { true } else { false } } == 2)
    }

    @Test("a node that votes for two blocks in a view is reported, and counts once")
    func equivocation() throws {
        var node = try Node(2, of: 4)
        node.receive(Self.x, from: 1)
        node.receive(Self.y, from: 1)
        let both = BFTEvent.equivocation(1, Node.ballot(Self.x), Node.ballot(Self.y))
        #expect(node.events.contains(both))
        node.receive(.prepare, Node.ballot(Self.y), from: 3)
        #expect(node.signed == [.vote(.prepare, Node.ballot(Self.x))])
    }

    // MARK: Views

    @Test("f+1 timeouts draw a node along, q of them lead into the next view")
    func timeouts() throws {
        var node = try Node(4, of: 4)
        node.receiveTimeout(of: 0, from: 2)
        #expect(node.signed.isEmpty)
        node.receiveTimeout(of: 0, from: 3)
        #expect(node.signed == [.timeout(height: 1, view: 0, lock: nil)])
        #expect(node.engine.details.view == 1)
        #expect(node.engine.status.leader == 2)
    }

    @Test("the timeout of the view's own leader draws a node along by itself, that of another view's doesn't")
    func timeoutOfTheLeader() throws {
        var node = try Node(4, of: 4)
        node.receiveTimeout(of: 0, from: 2)
        #expect(node.signed.isEmpty)
        node = try Node(4, of: 4)
        node.receiveTimeout(of: 0, from: 1)
        #expect(node.signed == [.timeout(height: 1, view: 0, lock: nil)])
        #expect(node.engine.details.view == 0)
    }

    @Test("time runs only while there is something to wait for")
    func idle() throws {
        var node = try Node(2, of: 4)
        for _ in 0..<100 { node.give(.tick) }
        #expect(node.signed.isEmpty)
        node.waitForTimeout()
        #expect(node.signed == [.timeout(height: 1, view: 0, lock: nil)])
    }

    @Test("a complaint gives up the view that it is about, and no other")
    func complaint() throws {
        var node = try Node(2, of: 4)
        node.give(.command(.complain(view: 3)))
        #expect(node.signed.isEmpty)
        node.give(.command(.complain(view: 0)))
        #expect(node.signed == [.timeout(height: 1, view: 0, lock: nil)])
    }

    @Test("who gave a view up neither prepares nor commits in it")
    func timedOut() throws {
        var node = try Node(2, of: 4)
        node.waitForTimeout()
        node.receive(Self.x, from: 1)
        node.receive(.prepare, Node.ballot(Self.x), from: 1, 3, 4)
        #expect(node.signed == [.timeout(height: 1, view: 0, lock: nil)])
        // But it learns what the others decide.
        node.receive(.commit, Node.ballot(Self.x), from: 1, 3, 4)
        #expect(node.decisions.count == 1)
    }

    // MARK: Tickets and the lock rule

    /// A node that is locked on x in view 0.
    private func locked(_ id: NodeID = 4) throws -> BFTTestNode {
        var node = try Node(id, of: 4)
        node.receive(Self.x, from: 1)
        node.receive(.prepare, Node.ballot(Self.x), from: 2, 3)
        #expect(node.engine.details.lock == Node.ballot(Self.x))
        return node
    }

    private var lock: BFTCertificate { Node.certificate(.prepare, Node.ballot(Self.x), from: [1, 2, 3]) }

    @Test("the highest lock of a timeout certificate binds the next leader")
    func lockBinds() throws {
        let ticket = Node.timedOut(0, from: [1, 2, 3], lock: self.lock, of: 3)
        var node = try Node(4, of: 4)
        node.receive(Self.y, in: 1, ticket, from: 2)
        #expect(node.engine.details.view == 1)
        #expect(node.signed.isEmpty)
        node = try Node(4, of: 4)
        node.receive(Self.x, in: 1, ticket, from: 2)
        #expect(node.signed == [.vote(.prepare, Node.ballot(Self.x, view: 1, ticket))])
    }

    @Test("a quorum without the lock frees a node from it: nothing was decided")
    func quorumFrees() throws {
        var node = try self.locked()
        node.receive(Self.y, in: 1, Node.timedOut(0, from: [1, 2, 3]), from: 2)
        #expect(node.signed.last == .vote(.prepare, Node.ballot(Self.y, view: 1)))
        #expect(node.engine.details.lock == Node.ballot(Self.x))
    }

    @Test("without a timeout certificate a locked node supports only its lock")
    func lockHolds() throws {
        let before = Node.certificate(.commit, Node.ballot([9]), from: [1, 2, 3])
        var later = before
        later.ballot.round.view = 1
        var node = try Node(4, of: 4, held: Node.held(4, through: 1, certificate: before))
        node.receive(Self.x, in: 0, .decided(before), from: 1)
        let ballot = Node.ballot(Self.x, height: 2, view: 0, .decided(before))
        node.receive(.prepare, ballot, from: 2, 3)
        #expect(node.engine.details.lock == ballot)
        // The block before was decided in view 1 too: a ticket, but no reason to support another block.
        node.receive(Self.y, in: 1, .decided(later), from: 2)
        #expect(node.engine.details.view == 1)
        #expect(node.signed.last == .vote(.commit, ballot))
    }

    @Test("a certificate of an earlier view, of too few, of strangers, or with a hidden lock is no ticket")
    func badTickets() throws {
        let tickets = [
            Node.timedOut(0, from: [1, 2]), Node.timedOut(0, from: [1, 2, 2]),
            Node.timedOut(0, from: [1, 2, 8]),
            Node.timedOut(0, from: [1, 2, 3], lock: nil, of: nil).withPart(lock: 0),
            Node.timedOut(
                0,
                from: [1, 2, 3],
                lock: Node.certificate(.prepare, Node.ballot(Self.y), from: [1, 2]),
                of: 1
            ),
        ]
        for ticket in tickets {
            var node = try Node(4, of: 4)
            node.receive(Self.y, in: 1, ticket, from: 2)
            #expect(node.engine.details.view == 0)
            #expect(node.signed.isEmpty)
        }
        var node = try Node(4, of: 4)
        node.receive(Self.y, in: 2, Node.timedOut(0, from: [1, 2, 3]), from: 3)
        #expect(node.engine.details.view == 0)
        node.receive(Self.y, in: 1, .founding, from: 2)
        #expect(node.engine.details.view == 0)
    }

    @Test("a new leader proposes the highest lock again, by itself; the driver's block waits")
    func proposesAgain() throws {
        var node = try self.locked(2)
        node.receiveTimeout(of: 0, from: 1, 3)
        let ballot = Node.ballot(Self.x, view: 1)
        #expect(node.engine.details.view == 1)
        #expect(node.signed.last == .vote(.prepare, ballot))
        #expect(
            node.sent.contains {
                if case .proposal(let sent) = $0.content { sent.ballot == ballot } else { false }
            }
        )
        node.give(.propose(Self.y))
        guard case .refused = node.answer else {
            Issue.record("the leader took \(String(describing: node.answer))")
            return
        }
    }

    @Test("a leader that must repeat a block that it lacks asks for it")
    func asksForBlock() throws {
        var node = try Node(2, of: 4)
        node.receiveTimeout(of: 0, lock: self.lock, from: 1, 3)
        node.waitForTimeout()
        #expect(node.engine.details.view == 1)
        #expect(node.sent.contains { $0.content == .want(height: 1, digest: Node.digest(Self.x)) })
        node.receive(.payload(height: 1, Self.y), from: 3)
        #expect(!node.signed.contains(.vote(.prepare, Node.ballot(Self.x, view: 1))))
        node.receive(.payload(height: 1, Self.x), from: 3)
        #expect(node.signed.contains(.vote(.prepare, Node.ballot(Self.x, view: 1))))
    }
}

extension BFTTicket {
    /// One node claims a lock of that view.
    fileprivate func withPart(lock: BFTView) -> BFTTicket {
        guard case .timedOut(var certificate) = self else { return self }
        certificate.parts[0].lock = lock
        return .timedOut(certificate)
    }
}
