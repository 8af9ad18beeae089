import Consensus
import Testing

/// Logs: how they become equal, and how little it takes.
@Suite struct RaftReplicationTests {
    /// A state with entries of these terms, the founding ones included.
    private func state(terms: [Term], commit: UInt64 = 1, term: Term? = nil) -> RaftState {
        let entries = terms.enumerated().map { offset, term in
            let content: RaftEntry.Content =
                offset < 3 ? .addVoter(UInt64(offset) + 1) : .payload([UInt8(offset)])
            return RaftEntry(position: RaftPosition(index: UInt64(offset) + 1, term: term), content: content)
        }
        return RaftState(
            hardState: RaftHardState(term: term ?? terms.last ?? 0, vote: nil, commit: commit),
            start: RaftLogStart(),
            entries: entries
        )
    }

    @Test("a follower that doesn't match says where it may, past all entries of later terms")
    func hints() throws {
        var node = try RaftNode(2, self.state(terms: [1, 3, 3, 4, 4, 5, 5, 5, 6]))
        let append = RaftAppend(previous: RaftPosition(index: 8, term: 3), entries: [], commit: 1)
        #expect(
            node.receive(.append(append), from: 1, term: 7).map(\.content)
                == [.appendRejected(index: 8, hint: RaftPosition(index: 3, term: 3))]
        )
    }

    @Test("a leader probes at most once per term of its own log")
    func probes() throws {
        // Leader: 1 3 3 3 5 5 5 5 5, follower: 1 1 1 1 2 2.
        var leader = try RaftNode(1, self.state(terms: [1, 3, 3, 3, 5, 5, 5, 5, 5], commit: 3))
        leader.run(.command(.campaign))
        leader.receive(.preVoteReply(granted: true), from: 3, term: 6)
        let first = leader.receive(.voteReply(granted: true), from: 3, term: 6)
        guard case .append(let probe)? = first.first(where: { $0.to == 2 })?.content else {
            Issue.record("no append went to node 2: \(first)")
            return
        }
        #expect(probe.previous == RaftPosition(index: 9, term: 5))
        let second = leader.receive(
            .appendRejected(index: 9, hint: RaftPosition(index: 6, term: 2)),
            from: 2,
            term: 6
        )
        guard case .append(let next)? = second.first?.content else {
            Issue.record("no second append: \(second)")
            return
        }
        #expect(next.previous == RaftPosition(index: 1, term: 1))
        #expect(next.entries.count == 9)
    }

    @Test("a rejection of an append that is long answered changes nothing")
    func ignoresLateRejections() throws {
        var group = try RaftGroup()
        group.elect(1)
        group.run(1, .propose([1]))
        let before = group[1].raft.details
        let late = group[1].receive(
            .appendRejected(index: 3, hint: RaftPosition(index: 1, term: 1)),
            from: 2,
            term: 2
        )
        #expect(late.isEmpty)
        #expect(group[1].raft.details == before)
    }

    @Test("appends follow each other up to the limit, large ones alone, and go on with each reply")
    func controlsTheFlow() throws {
        var node = try RaftNode(
            1,
            configuration: RaftConfiguration(maxInflightMessages: 2, maxMessageBytes: 300, seed: 1)
        )
        node.run(.command(.campaign))
        node.receive(.preVoteReply(granted: true), from: 2, term: 2)
        node.receive(.voteReply(granted: true), from: 2, term: 2)
        node.receive(.appended(index: 4), from: 2, term: 2)
        func entries(_ messages: [RaftMessage]) -> [[UInt64]] {
            messages.filter { $0.to == 2 }.compactMap {
                guard case .append(let append) = $0.content, !append.entries.isEmpty else { return nil }
                return append.entries.map(\.position.index)
            }
        }
        #expect(entries(node.run(.propose([UInt8](repeating: 1, count: 1_000)))) == [[5]])
        #expect(entries(node.run(.propose([UInt8](repeating: 2, count: 100)))) == [[6]])
        #expect(entries(node.run(.propose([UInt8](repeating: 3, count: 100)))) == [])
        #expect(entries(node.run(.propose([UInt8](repeating: 4, count: 100)))) == [])
        #expect(entries(node.run(.propose([UInt8](repeating: 5, count: 100)))) == [])
        #expect(node.raft.details.followers[2]?.isPaused == true)
        #expect(entries(node.receive(.appended(index: 5), from: 2, term: 2)) == [[7, 8]])
        #expect(entries(node.receive(.appended(index: 8), from: 2, term: 2)) == [[9]])
    }

    @Test("the leader's append needs not wait for its own disk, but its own copy counts only then")
    func sendsEarly() throws {
        var group = try RaftGroup()
        group.elect(1)
        let effects = group[1].raft.step(.propose([7]))
        #expect(effects.earlyMessages.map(\.to) == [2, 3])
        #expect(effects.messages.isEmpty && effects.decisions.isEmpty)
        // Both others hold it: committed, but told only when it is durable here.
        let first = group[1].raft.step(
            .received(RaftMessage(from: 2, to: 1, term: 2, content: .appended(index: 5)))
        )
        let second = group[1].raft.step(
            .received(RaftMessage(from: 3, to: 1, term: 2, content: .appended(index: 5)))
        )
        #expect(first.decisions.isEmpty && second.decisions.isEmpty)
        #expect(group[1].raft.hardState.commit == 5)
        let number = try #require(effects.write?.number)
        #expect(group[1].raft.step(.stored(number)).decisions == [Decision(position: 5, payload: [7])])
    }

    @Test("what a follower has against the leader's log gives way, on disk too; what is committed never does")
    func overwrites() throws {
        var node = try RaftNode(2, self.state(terms: [1, 1, 1, 2, 2, 2], commit: 3))
        let new = RaftEntry(position: RaftPosition(index: 5, term: 3), content: .payload([9]))
        let append = RaftAppend(previous: RaftPosition(index: 4, term: 2), entries: [new], commit: 5)
        #expect(node.receive(.append(append), from: 1, term: 3).map(\.content) == [.appended(index: 5)])
        #expect(node.disk.state.entries.map(\.position.term) == [1, 1, 1, 2, 3])
        #expect(node.decided.map(\.position) == [4, 5])

        // A leader whose log has another entry where this one is committed is none.
        let other = RaftEntry(position: RaftPosition(index: 6, term: 4), content: .empty)
        let third = RaftEntry(position: RaftPosition(index: 6, term: 3), content: .empty)
        let committed = RaftAppend(previous: RaftPosition(index: 5, term: 3), entries: [third], commit: 6)
        node.receive(.append(committed), from: 1, term: 3)
        let impossible = RaftAppend(previous: RaftPosition(index: 5, term: 3), entries: [other], commit: 6)
        #expect(
            node.receive(.append(impossible), from: 3, term: 4).map(\.content) == [.appended(index: 6)]
        )
        #expect(node.disk.state.entries.last == third)
    }

    @Test("one change of the voters at a time, each in force when it is applied (thesis §4.1)")
    func changesVoters() throws {
        var group = try RaftGroup()
        group.elect(1)
        group.nodes[4] = try RaftNode(4, .joining)
        group.cut = [2, 3]
        let accepted = group[1].raft.step(.command(.changeVoters(.add(4))))
        #expect(accepted.proposal == .accepted(position: 5))
        let refused = group[1].raft.step(.command(.changeVoters(.remove(2)))).proposal
        #expect(
            refused == .refused(reason: "an earlier change of the consenters, entry 5, is not applied yet")
        )
        #expect(group[1].raft.voters == [1, 2, 3])
        group.cut = []
        group.deliver(accepted.earlyMessages + accepted.messages)
        group.run(1, .stored(try #require(accepted.write?.number)))
        for _ in 0..<3 { group.run(1, .tick) }
        for id in NodeID(1)...4 { #expect(group[id].raft.voters == [1, 2, 3, 4]) }
        #expect(
            group[4].events.last == .votersChanged(position: 5, change: .add(4), voters: [1, 2, 3, 4])
        )
        for change in [VoterChange.add(4), .remove(9), .add(0)] {
            guard case .refused = group[1].raft.step(.command(.changeVoters(change))).proposal else {
                Issue.record("\(change) was not refused")
                continue
            }
        }
        // A leader that is removed steps down, and who was removed hears of it.
        group.run(1, .command(.changeVoters(.remove(1))))
        #expect(group[1].raft.voters == [2, 3, 4])
        #expect(!group[1].raft.status.isLeader)
        for _ in 0..<40 { group.run(1, .tick) }
        #expect(group[1].raft.details.role == .follower)
    }

    @Test(
        "a follower that lacks what was released is sent everything applied, and its driver pulls the blocks"
    )
    func sendsSnapshots() throws {
        var group = try RaftGroup()
        group.elect(1)
        group.cut = [3]
        for payload in UInt8(0)..<10 { group.run(1, .propose([payload])) }
        for id in NodeID(1)...2 { group.run(id, .released(through: 12)) }
        group.cut = []
        for _ in 0..<3 { group.run(1, .tick) }
        let expected = RaftSnapshot(position: RaftPosition(index: 14, term: 2), voters: [1, 2, 3])
        #expect(group[3].events.last == .catchUp(expected))
        #expect(group[3].disk.state.start == RaftLogStart())
        #expect(group[1].raft.details.followers[3]?.state == .snapshot)
        let catchUps = group[3].events.count { $0 == .catchUp(expected) }

        // It was handed to the network; while the blocks are pulled nothing more is asked for.
        group.run(1, .command(.snapshotSent(to: 3, success: true)))
        for _ in 0..<5 { group.run(1, .tick) }
        #expect(group[3].events.count { $0 == .catchUp(expected) } == catchUps)
        group.run(1, .propose([99]))
        group.run(3, .command(.caughtUp(expected)))
        for _ in 0..<3 { group.run(1, .tick) }
        #expect(
            group[3].disk.state.start == RaftLogStart(position: expected.position, voters: [1, 2, 3])
        )
        #expect(group[3].decided.map(\.payload) == [[99]])
        #expect(group[1].raft.details.followers[3]?.state == .replicate)
    }

    @Test("a follower that lost its log with its old number is fed again, from below what it once held")
    func feedsALostLog() throws {
        var group = try RaftGroup()
        group.elect(1)
        for payload in UInt8(0)..<4 { group.run(1, .propose([payload])) }
        group[3] = try RaftNode(3, .joining, delivered: 8)
        for _ in 0..<5 { group.run(1, .tick) }
        group.run(1, .propose([50]))
        for _ in 0..<5 { group.run(1, .tick) }
        #expect(group[3].decided == [Decision(position: 9, payload: [50])])
        #expect(group[3].disk.state.entries == group[1].disk.state.entries)
    }
}
