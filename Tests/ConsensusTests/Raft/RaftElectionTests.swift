import Consensus
import Testing

/// Elections: who campaigns when, who votes for whom, and who keeps still.
@Suite struct RaftElectionTests {
    @Test("whoever hears no leader asks first who would vote, and changes nothing by asking (thesis §9.6)")
    func asksFirst() throws {
        var node = try RaftNode(1)
        var ticks = 0
        while node.sent.isEmpty, ticks < 30 {
            ticks += 1
            node.run(.tick)
        }
        #expect((10...20).contains(ticks))
        let last = RaftPosition(index: 3, term: 1)
        #expect(
            node.sent
                == [2, 3].map { RaftMessage(from: 1, to: $0, term: 2, content: .preVote(last: last)) }
        )
        #expect(node.raft.hardState == RaftHardState(term: 1, vote: nil, commit: 3))
        #expect(node.raft.details.role == .preCandidate)

        // One who would is a majority with the node itself: now the term grows, and the vote is stored.
        let messages = node.receive(.preVoteReply(granted: true), from: 2, term: 2)
        #expect(node.disk.state.hardState == RaftHardState(term: 2, vote: 1, commit: 3))
        #expect(messages.map(\.content) == [2, 3].map { _ in .vote(last: last, isTransfer: false) })
        node.receive(.voteReply(granted: true), from: 3, term: 2)
        #expect(node.raft.status == ConsensusStatus(isLeader: true, leader: 1, term: 2))
    }

    @Test("timeouts differ by seed, and stay between one and two election timeouts")
    func randomizes() throws {
        var timeouts: Set<Int> = []
        for seed in UInt64(0)..<20 {
            var node = try RaftNode(1, configuration: RaftConfiguration(seed: seed))
            var ticks = 0
            while node.sent.isEmpty {
                ticks += 1
                node.run(.tick)
            }
            timeouts.insert(ticks)
        }
        #expect(timeouts.count > 5)
        #expect(timeouts.allSatisfy { (10..<20).contains($0) })
    }

    @Test("a vote leaves the node only after the write that holds it (figure 2)")
    func storesItsVote() throws {
        var raft = try RaftNode(2).raft
        let effects = raft.step(
            .received(
                RaftMessage(
                    from: 1,
                    to: 2,
                    term: 2,
                    content: .vote(last: RaftPosition(index: 3, term: 1), isTransfer: false)
                )
            )
        )
        #expect(effects.write?.hardState == RaftHardState(term: 2, vote: 1, commit: 3))
        #expect(effects.earlyMessages.isEmpty)
        #expect(effects.messages.map(\.content) == [.voteReply(granted: true)])
    }

    @Test("one vote per term; none for a shorter log; again for the same candidate (§5.2, §5.4.1)")
    func votesOnce() throws {
        var node = try RaftNode(2)
        let last = RaftPosition(index: 3, term: 1)
        let vote = RaftMessage.Content.vote(last: last, isTransfer: false)
        #expect(node.receive(vote, from: 1, term: 2).map(\.content) == [.voteReply(granted: true)])
        #expect(node.receive(vote, from: 3, term: 2).map(\.content) == [.voteReply(granted: false)])
        #expect(node.receive(vote, from: 1, term: 2).map(\.content) == [.voteReply(granted: true)])
        let shorter = RaftMessage.Content.vote(last: RaftPosition(index: 2, term: 1), isTransfer: false)
        #expect(node.receive(shorter, from: 3, term: 3).map(\.content) == [.voteReply(granted: false)])
        let later = RaftMessage.Content.vote(last: RaftPosition(index: 1, term: 2), isTransfer: false)
        #expect(node.receive(later, from: 3, term: 3).map(\.content) == [.voteReply(granted: true)])
    }

    @Test("who hears from a leader ignores candidates, unless the leader sent them (thesis §4.2.3, §3.10)")
    func keepsItsLeader() throws {
        var node = try RaftNode(2)
        node.receive(.heartbeat(commit: 3), from: 1, term: 2)
        let last = RaftPosition(index: 9, term: 9)
        #expect(node.receive(.preVote(last: last), from: 3, term: 10).isEmpty)
        #expect(node.receive(.vote(last: last, isTransfer: false), from: 3, term: 10).isEmpty)
        #expect(node.raft.status == ConsensusStatus(isLeader: false, leader: 1, term: 2))
        let replies = node.receive(.vote(last: last, isTransfer: true), from: 3, term: 10)
        #expect(replies.map(\.content) == [.voteReply(granted: true)])

        var patient = try RaftNode(2)
        patient.receive(.heartbeat(commit: 3), from: 1, term: 2)
        // Between one and two timeouts it votes for others and doesn't campaign itself.
        for _ in 0..<10 { patient.run(.tick) }
        if patient.raft.details.role == .follower {
            #expect(!patient.receive(.preVote(last: last), from: 3, term: 10).isEmpty)
        }
    }

    @Test("a leader that hears from no majority for an election timeout steps down (thesis §6.2)")
    func checksItsQuorum() throws {
        var group = try RaftGroup()
        group.elect(1)
        #expect(group[1].raft.status.isLeader)
        #expect(group[1].raft.details.activeNodes == [1, 2, 3])
        group.cut = [3]
        for _ in 0..<30 { group.run(1, .tick) }
        #expect(group[1].raft.status.isLeader)
        #expect(group[1].raft.details.activeNodes == [1, 2])
        group.cut = [1]
        for _ in 0..<30 { group.run(1, .tick) }
        #expect(!group[1].raft.status.isLeader)
    }

    @Test("a node of a later term tells a leader that its time is over")
    func tellsALateLeader() throws {
        var node = try RaftNode(2)
        node.receive(.heartbeat(commit: 3), from: 3, term: 7)
        #expect(
            node.receive(.heartbeat(commit: 3), from: 1, term: 5)
                == [RaftMessage(from: 2, to: 1, term: 7, content: .appended(index: 0))]
        )
        #expect(
            node.receive(.preVote(last: RaftPosition(index: 9, term: 9)), from: 1, term: 5)
                == [RaftMessage(from: 2, to: 1, term: 7, content: .preVoteReply(granted: false))]
        )
    }

    @Test("leadership is handed over to a node that holds the whole log, and meanwhile nothing is taken")
    func handsOver() throws {
        var group = try RaftGroup()
        group.elect(1)
        group.run(1, .command(.transferLeadership(to: 3)))
        #expect(group[3].raft.status == ConsensusStatus(isLeader: true, leader: 3, term: 3))
        #expect(group[1].raft.status.leader == 3)

        group.cut = [2]
        group.run(3, .command(.transferLeadership(to: 2)))
        let answer = group[3].raft.step(.propose([1])).proposal
        #expect(answer == .refused(reason: "leadership is being handed over to node 2"))
        for _ in 0..<10 { group.run(3, .tick) }
        #expect(group[3].raft.details.transferee == nil)
        #expect(group[3].raft.status.isLeader)
    }

    @Test("a ledger that is ahead of the log doesn't campaign, and votes only for who has what it has")
    func ledgerAhead() throws {
        var node = try RaftNode(2, .joining, delivered: 8)
        for _ in 0..<50 { node.run(.tick) }
        #expect(node.sent.isEmpty)
        let shorter = RaftMessage.Content.vote(last: RaftPosition(index: 7, term: 2), isTransfer: false)
        #expect(node.receive(shorter, from: 1, term: 3).map(\.content) == [.voteReply(granted: false)])
        let longer = RaftMessage.Content.vote(last: RaftPosition(index: 8, term: 2), isTransfer: false)
        #expect(node.receive(longer, from: 1, term: 3).map(\.content) == [.voteReply(granted: true)])
    }
}
