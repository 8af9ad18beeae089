import Consensus
import Testing

/// What a node keeps to after a crash, and how it helps and is helped.
@Suite struct BFTCrashTests {
    private typealias Node = BFTTestNode

    private static let x: [UInt8] = [1]
    private static let y: [UInt8] = [2]

    @Test("after a restart a node signs the same vote again, and no other in that view")
    func neverVotesTwice() throws {
        var node = try Node(2, of: 4)
        node.receive(Self.x, from: 1)
        node = try node.restarted(held: Node.held(4))
        node.receive(Self.y, from: 1)
        node.receive(Self.x, from: 1)
        #expect(node.signed == [.vote(.prepare, Node.ballot(Self.x))])
    }

    @Test("a leader that restarts proposes the same block again")
    func neverProposesTwice() throws {
        var node = try Node(1, of: 4)
        node.give(.propose(Self.x))
        node = try node.restarted(held: Node.held(4))
        node.give(.propose(Self.y))
        #expect(node.answer != .accepted(position: 1))
        #expect(node.signed == [.vote(.prepare, Node.ballot(Self.x))])
        let proposals = node.sent.filter { if case .proposal = $0.content { true } else { false } }
        #expect(proposals.count == 3)
    }

    @Test("a lock, and that a view was given up, outlive a crash")
    func lockSurvives() throws {
        var node = try Node(2, of: 4)
        node.receive(Self.x, from: 1)
        node.receive(.prepare, Node.ballot(Self.x), from: 3)
        node.waitForTimeout()
        let statements = node.signed
        node = try node.restarted(held: Node.held(4))
        node.give(.tick)
        #expect(statements == node.signed)
        #expect(statements.last == .timeout(height: 1, view: 0, lock: 0))
        #expect(node.engine.details.hasTimedOut)
    }

    @Test("a decision whose block the ledger lost is told again, and then what was promised behind it")
    func tellsAgain() throws {
        var node = try Node(2, of: 4)
        node.receive(Self.x, from: 1)
        node.receive(.commit, Node.ballot(Self.x), from: 1, 3, 4)
        let certificate = Node.certificate(.commit, Node.ballot(Self.x), from: [1, 3, 4])
        let held = Node.held(4, through: 1, certificate: certificate)
        node.give(.command(.held(held)))
        node.receive(Self.y, in: 0, .decided(certificate), from: 1)
        let vote = BFTStatement.vote(.prepare, Node.ballot(Self.y, height: 2, view: 0, .decided(certificate)))
        #expect(node.signed.last == vote)
        // The ledger's block was never synced.
        node = try node.restarted(held: Node.held(4))
        node.give(.tick)
        #expect(node.decisions == [Decision(position: 1, payload: Self.x)])
        #expect(node.signed.isEmpty)
        node.give(.command(.held(held)))
        #expect(node.signed == [vote])
    }

    @Test("a node votes two heights behind its ledger at most")
    func waitsForLedger() throws {
        var node = try Node(1, of: 1)
        for payload in [Self.x, Self.y] {
            node.give(.propose(payload))
            guard
                case .final(let certificate)? = node.events.last(where: {
                    if case .final = $0 { true } else { false }
                })
            else { continue }
            node.give(.command(.held(Node.held(1, through: certificate.height, certificate: certificate))))
        }
        #expect(node.decisions.count == 2)
        #expect(node.engine.details.proposable == nil)
        node.give(.released(through: 1))
        #expect(node.engine.details.proposable?.height == 3)
    }

    @Test("a ledger that lost more than one block is refused")
    func refusesLostLedger() throws {
        let before = Node.certificate(.commit, Node.ballot([9], height: 5), from: [1, 2, 3])
        var node = try Node(2, of: 4, held: Node.held(4, through: 5, certificate: before))
        node.receive(Self.x, in: 0, .decided(before), from: 1)
        #expect(throws: BFTStateError.self) { try node.restarted(held: Node.held(4, through: 3)) }
    }

    @Test("two final blocks at a height stop the channel; a single liar's claim doesn't")
    func contradiction() throws {
        let certificate = Node.certificate(.commit, Node.ballot(Self.x), from: [1, 2, 3])
        var node = try Node(4, of: 4, held: Node.held(4, through: 1, certificate: certificate))
        node.receive(
            .decision(Node.certificate(.commit, Node.ballot(Self.y), from: [1, 2]), payload: nil),
            from: 2
        )
        #expect(node.contradiction == nil)
        node.receive(
            .decision(Node.certificate(.commit, Node.ballot(Self.y), from: [1, 2, 3]), payload: nil),
            from: 2
        )
        #expect(node.contradiction?.contains("two different blocks 1") == true)
    }

    @Test("a node that is behind gets the block and its proof")
    func helps() throws {
        var node = try Node(2, of: 4)
        node.receive(Self.x, from: 1)
        node.receive(.commit, Node.ballot(Self.x), from: 1, 3, 4)
        let certificate = Node.certificate(.commit, Node.ballot(Self.x), from: [1, 3, 4])
        node.give(.command(.held(Node.held(4, through: 1, certificate: certificate))))
        node.receive(.status(height: 1, view: 0), from: 3)
        #expect(node.sent.last?.content == .decision(certificate, payload: Self.x))
        // That is enough for one that knows nothing.
        var other = try Node(3, of: 4)
        other.receive(.decision(certificate, payload: Self.x), from: 2)
        #expect(other.decisions == [Decision(position: 1, payload: Self.x)])
    }

    @Test("a node that asks again and again gets a block once between two repeats")
    func helpsOnce() throws {
        var node = try Node(2, of: 4)
        node.receive(Self.x, from: 1)
        for _ in 0..<10 { node.receive(.want(height: 1, digest: Node.digest(Self.x)), from: 3) }
        #expect(node.sent.count { $0.content == .payload(height: 1, Self.x) } == 1)
    }

    @Test("behind a configuration block the new consenters vote, and the old ones' decision is the ticket")
    func changesVoters() throws {
        let certificate = Node.certificate(.commit, Node.ballot(Self.x), from: [1, 2, 3])
        var node = try Node(4, of: 4)
        node.receive(.decision(certificate, payload: Self.x), from: 2)
        let before = BFTVoters([1, 2, 3, 4])
        let after = BFTVoters([2, 3, 4, 5, 6, 7])
        node.give(
            .command(
                .held(BFTHeld(height: 1, certificate: certificate, previousVoters: before, voters: after))
            )
        )
        #expect(node.engine.status.leader == 2)
        let ballot = Node.ballot(Self.y, height: 2, view: 0, .decided(certificate))
        node.receive(Self.y, in: 0, .decided(certificate), from: 2)
        #expect(node.signed == [.vote(.prepare, ballot)])
        // Node 1 has no vote any more; q is 4 of 6.
        node.receive(.prepare, ballot, from: 1, 5)
        #expect(node.signed.count == 1)
        node.receive(.prepare, ballot, from: 6)
        #expect(node.signed.last == .vote(.commit, ballot))
    }

    @Test("a node that was removed votes no more, and still helps who is behind")
    func removed() throws {
        let certificate = Node.certificate(.commit, Node.ballot(Self.x), from: [1, 2, 3])
        var node = try Node(4, of: 4)
        node.receive(.decision(certificate, payload: Self.x), from: 2)
        let before = BFTVoters([1, 2, 3, 4])
        let after = BFTVoters([1, 2, 3])
        node.give(
            .command(
                .held(BFTHeld(height: 1, certificate: certificate, previousVoters: before, voters: after))
            )
        )
        node.receive(Self.y, in: 0, .decided(certificate), from: 1)
        node.waitForTimeout()
        #expect(node.signed.isEmpty)
        node.receive(.status(height: 1, view: 0), from: 3)
        #expect(node.sent.contains { $0.content == .decision(certificate, payload: Self.x) })
    }

    @Test("a node that pulled a block shows it to who lacks it")
    func showsPulledBlocks() throws {
        let certificate = Node.certificate(.commit, Node.ballot(Self.x), from: [1, 2, 3])
        var held = Node.held(4, through: 1, certificate: certificate)
        held.payload = Self.x
        var node = try Node(2, of: 4)
        node.give(.command(.held(held)))
        node.receive(.status(height: 1, view: 0), from: 3)
        let shown = node.sent.filter { $0.to == 3 }.map(\.content)
        #expect(shown.contains(.decision(certificate, payload: Self.x)))
        var other = try Node(3, of: 4)
        for content in shown { other.receive(content, from: 2) }
        #expect(other.decisions == [Decision(position: 1, payload: Self.x)])
    }

    @Test("a node that starts shows the newest block of its ledger to who lacks it")
    func showsItsNewestBlockAfterARestart() throws {
        let certificate = Node.certificate(.commit, Node.ballot(Self.x), from: [1, 2, 3])
        var held = Node.held(4, through: 1, certificate: certificate)
        held.payload = Self.x
        var node = try Node(2, of: 4).restarted(held: held)
        node.receive(.status(height: 1, view: 0), from: 3)
        let shown = node.sent.filter { $0.to == 3 }.map(\.content)
        #expect(shown.contains(.decision(certificate, payload: Self.x)))
    }

    @Test("a node pulls blocks when f+1 nodes are further, not when one says so")
    func behind() throws {
        func behind(_ claims: [NodeID: UInt64]) throws -> Bool {
            var node = try Node(4, of: 4)
            for _ in 0..<2_000 {
                for (other, height) in claims { node.receive(.status(height: height, view: 0), from: other) }
                node.give(.tick)
            }
            return node.events.contains(.behind(through: 4))
        }
        #expect(try !behind([1: .max]))
        #expect(try behind([1: .max, 2: 5]))
    }

    @Test("what a flood leaves behind is bounded by the number of nodes, and so are the answers")
    func flood() throws {
        var node = try Node(4, of: 4)
        for number in UInt64(0)..<500 {
            let far = Node.ballot([UInt8(number % 200)], height: 1 + number % 3, view: number)
            node.receive(.commit, far, from: 3)
            node.receive(.prepare, far, from: 3)
            node.receiveTimeout(of: number, from: 3)
            node.receive(.status(height: 0, view: 0), from: 3)
            node.receive(.want(height: 1, digest: [1]), from: 3)
        }
        #expect(node.sent.count <= 8)
        #expect(node.state == BFTState())
        // And the others go on.
        node.receive(Self.x, from: 1)
        node.receive(.prepare, Node.ballot(Self.x), from: 2)
        #expect(node.signed.last == .vote(.commit, Node.ballot(Self.x)))
    }
}
