import Consensus
import Testing

/// Consenters that lost their disks, and come back under their old numbers.
@Suite struct RaftRecollectionTests {
    private static let last = RaftPosition(index: 3, term: 1)

    /// Node 3 of three, with nothing in its store.
    private func forgetful() throws -> RaftNode { try RaftNode(3, .joining, forgotten: [1, 2]) }

    @Test("it asks all others for their terms, and says nothing else")
    func asks() throws {
        var node = try self.forgetful()
        let question = RaftMessage.Content.preVote(last: RaftPosition())
        #expect(
            node.run(.tick) == [1, 2].map { RaftMessage(from: 3, to: $0, term: 1, content: question) }
        )
        // What the others say besides doesn't count before everybody has answered.
        let append = RaftMessage.Content.append(RaftAppend(previous: RaftPosition(), entries: [], commit: 0))
        for content in [append, .heartbeat(commit: 0), .vote(last: Self.last, isTransfer: true)] {
            #expect(node.receive(content, from: 1, term: 5).isEmpty)
        }
        #expect(node.raft.status.leader == nil)
        #expect(node.raft.details.unheard == [1, 2])
        node.receive(.preVoteReply(granted: false), from: 1, term: 5)
        #expect(node.raft.details.unheard == [2])
        #expect(node.receive(append, from: 1, term: 5).isEmpty)
        #expect(node.raft.status.leader == nil)
    }

    @Test("it doesn't vote in a term in which it may have voted, nor in a later one")
    func keepsItsVote() throws {
        var before = try RaftNode(3)
        let vote = RaftMessage.Content.vote(last: Self.last, isTransfer: false)
        #expect(before.receive(vote, from: 1, term: 2).map(\.content) == [.voteReply(granted: true)])

        var after = try self.forgetful()
        #expect(!after.receive(vote, from: 2, term: 2).contains { $0.content == .voteReply(granted: true) })
        after.receive(.preVoteReply(granted: false), from: 2, term: 2)
        after.receive(.preVoteReply(granted: false), from: 1, term: 2)
        #expect(after.raft.details.unheard == [])
        for term in [Term(2), 3, 9] {
            let replies = after.receive(vote, from: 2, term: term).map(\.content)
            #expect(replies == [.voteReply(granted: false)], "term \(term)")
        }
    }

    @Test("the term of those who answer late is heard, too, and one that is lower than others'")
    func hearsEveryTerm() throws {
        var node = try self.forgetful()
        node.receive(.preVoteReply(granted: false), from: 2, term: 7)
        node.receive(.preVoteReply(granted: false), from: 1, term: 4)
        #expect(node.raft.details.unheard == [])
        #expect(node.disk.state.hardState == RaftHardState(term: 7, vote: 3, commit: 0))
        // A leader of an earlier term is none.
        let append = RaftMessage.Content.append(RaftAppend(previous: RaftPosition(), entries: [], commit: 0))
        node.receive(append, from: 1, term: 6)
        #expect(node.raft.status.leader == nil)
    }

    @Test("one that stopped while it asked keeps the vote that it remembers")
    func keepsARememberedVote() throws {
        var state = RaftState.founding(voters: [1, 2, 3])
        state.hardState = RaftHardState(term: 7, vote: 2, commit: state.hardState.commit)
        var node = try RaftNode(3, state, forgotten: [1, 2])
        node.receive(.preVoteReply(granted: false), from: 1, term: 7)
        node.receive(.preVoteReply(granted: false), from: 2, term: 5)
        #expect(node.raft.details.unheard == [])
        #expect(node.disk.state.hardState.vote == 2)
    }

    @Test("it votes again once it holds what a leader of that term, or of a later one, holds")
    func comesBack() throws {
        var group = try RaftGroup()
        group.elect(1)
        group.run(1, .propose([7]))
        group[3] = try self.forgetful()
        // The connection broke, so that the leader sends what comes next and not what it believes to be missing.
        group.run(1, .command(.unreachable(3)))
        for _ in 0..<4 where group[3].raft.details.unheard != nil {
            group.run(3, .tick)
            group.run(1, .tick)
        }
        #expect(group[3].events.contains(.recollected))
        #expect(group[3].raft.details.unheard == nil)
        #expect(group[3].disk.state.hardState.vote == 3)
        #expect(group[3].disk.state.entries == group[1].disk.state.entries)
        group.cut = [1]
        for _ in 0..<40 where group[2].raft.details.role != .leader { group.run(2, .tick) }
        // Ticks of one node are enough when the other one knows that its leader is gone.
        for _ in 0..<20 { group.run(3, .tick) }
        for _ in 0..<40 where group[2].raft.details.role != .leader { group.run(2, .tick) }
        #expect(group[2].raft.details.role == .leader || group[3].raft.details.role == .leader)
    }

    @Test("it helps nobody to lead who lacks an entry that it once held")
    func losesNoEntry() throws {
        var group = try RaftGroup()
        group.elect(1)
        group.cut = [2]
        group.run(1, .propose([7]))
        #expect(group[1].decided.map(\.payload) == [[7]])
        // The leader and the node that forgets were the quorum.
        group[3] = try self.forgetful()
        group.cut = [1]
        for _ in 0..<60 {
            group.run(2, .tick)
            group.run(3, .tick)
        }
        #expect(group[2].raft.details.role != .leader)
        #expect(group[3].raft.details.role == .follower)
        #expect(group[3].raft.details.unheard == [1])
        // Everybody is back: the block stays.
        group.cut = []
        group.run(1, .command(.unreachable(2)))
        group.run(1, .command(.unreachable(3)))
        for _ in 0..<60 where group[2].decided.isEmpty || group[3].decided.isEmpty {
            for id in NodeID(1)...3 { group.run(id, .tick) }
        }
        #expect(group[2].decided.map(\.payload) == [[7]])
        #expect(group[3].decided.map(\.payload) == [[7]])
        #expect(group[3].raft.details.unheard == nil)
    }

    @Test("the other one of two is elected by it, in a later term only")
    func votesForTheOnlyOther() throws {
        var node = try RaftNode(2, .joining, forgotten: [1])
        node.receive(.preVoteReply(granted: false), from: 1, term: 4)
        let vote = RaftMessage.Content.vote(last: RaftPosition(index: 9, term: 4), isTransfer: false)
        #expect(node.receive(vote, from: 1, term: 4).map(\.content) == [.voteReply(granted: false)])
        #expect(node.receive(vote, from: 1, term: 5).map(\.content) == [.voteReply(granted: true)])
    }

    @Test("two of five that lost their disks tell each other so, and both come back")
    func twoOfFive() throws {
        var group = try RaftGroup([1, 2, 3, 4, 5])
        group.elect(1)
        group.run(1, .propose([7]))
        group[4] = try RaftNode(4, .joining, forgotten: [1, 2, 3, 5])
        group[5] = try RaftNode(5, .joining, forgotten: [1, 2, 3, 4])
        for id in NodeID(4)...5 { group.run(1, .command(.unreachable(id))) }
        group.run(4, .tick)
        #expect(group[4].raft.details.unheard == [])
        for _ in 0..<4 {
            group.run(5, .tick)
            group.run(1, .tick)
        }
        for id in NodeID(4)...5 {
            #expect(group[id].raft.details.unheard == nil, "node \(id)")
            #expect(group[id].disk.state.entries == group[1].disk.state.entries)
        }
    }

    @Test("three of five that lost their disks wait, and answer each question once")
    func threeOfFive() throws {
        var group = try RaftGroup([1, 2, 3, 4, 5])
        group.elect(1)
        for id in NodeID(3)...5 {
            group[id] = try RaftNode(id, .joining, forgotten: (NodeID(1)...5).filter { $0 != id })
        }
        for _ in 0..<10 { for id in NodeID(3)...5 { group.run(id, .tick) } }
        for id in NodeID(3)...5 {
            #expect(group[id].raft.details.unheard == (NodeID(3)...5).filter { $0 != id })
            #expect(group[id].sent.count <= 10 * 6)
        }
        // One that has its disk back answers for itself.
        group[3] = try RaftNode(3, .founding(voters: [1, 2, 3, 4, 5]))
        group.run(4, .tick)
        #expect(group[4].raft.details.unheard == [])
    }

    @Test("one that learns of another voter waits for it, and has no leader meanwhile")
    func waitsForANewVoter() throws {
        var node = try self.forgetful()
        for other in NodeID(1)...2 { node.receive(.preVoteReply(granted: false), from: other, term: 4) }
        node.receive(.heartbeat(commit: 0), from: 1, term: 4)
        #expect(node.raft.status.leader == 1)
        node.run(.command(.recollect(from: [1, 2, 4])))
        #expect(node.raft.details.unheard == [4])
        #expect(node.raft.status.leader == nil)
        #expect(node.receive(.heartbeat(commit: 0), from: 1, term: 4).isEmpty)
    }

    @Test("whom a new configuration removes need not answer")
    func followsTheConfiguration() throws {
        var node = try self.forgetful()
        node.receive(.preVoteReply(granted: false), from: 1, term: 4)
        node.run(.command(.recollect(from: [1])))
        #expect(node.raft.details.unheard == [])
        #expect(node.disk.state.hardState == RaftHardState(term: 4, vote: 3, commit: 0))
    }
}
