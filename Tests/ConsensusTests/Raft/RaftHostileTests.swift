import Consensus
import TestSupport
import Testing

/// What no correct node sends, and what drivers may rely on.
@Suite struct RaftHostileTests {
    @Test("no message traps, whatever it says", arguments: seeds(20))
    func survivesAnything(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        var node = try RaftNode(2)
        for _ in 0..<2_000 {
            let message = RaftMessage(
                from: UInt64.random(in: 0...4, using: &random),
                to: random.next() % 20 == 0 ? 1 : 2,
                term: self.number(&random, node.raft.hardState.term),
                content: self.content(&random, node.raft)
            )
            let effects = node.raft.step(random.next() % 5 == 0 ? .tick : .received(message))
            if effects.contradiction != nil {
                node = try RaftNode(2)
            } else if let write = effects.write {
                node.disk.carryOut(write)
                _ = node.raft.step(.stored(write.number))
            }
        }
    }

    /// Often near what the node holds, sometimes far away.
    private func number(_ random: inout SplitMix64, _ near: UInt64) -> UInt64 {
        switch random.next() % 10 {
        case 0: 0
        case 1: .max
        case 2: .max - random.next() % 3
        case 3: random.next()
        default: near &+ random.next() % 4 &- random.next() % 3
        }
    }

    private func position(_ random: inout SplitMix64, _ raft: Raft) -> RaftPosition {
        let last = raft.details.last
        return RaftPosition(index: self.number(&random, last.index), term: self.number(&random, last.term))
    }

    private func content(_ random: inout SplitMix64, _ raft: Raft) -> RaftMessage.Content {
        let position = self.position(&random, raft)
        let index = self.number(&random, raft.details.last.index)
        switch random.next() % 12 {
        case 0: return .preVote(last: position)
        case 1: return .preVoteReply(granted: random.next() % 2 == 0)
        case 2: return .vote(last: position, isTransfer: random.next() % 2 == 0)
        case 3: return .voteReply(granted: random.next() % 2 == 0)
        case 4, 5, 6:
            let first = random.next() % 4 == 0 ? self.position(&random, raft) : position
            let entries = (0..<(random.next() % 4)).map { offset in
                RaftEntry(
                    position: RaftPosition(index: first.index &+ 1 &+ offset, term: first.term),
                    content: [.empty, .payload([1]), .addVoter(offset), .removeVoter(2)][
                        Int(random.next() % 4)
                    ]
                )
            }
            return .append(RaftAppend(previous: position, entries: entries, commit: index))
        case 7: return .appended(index: index)
        case 8: return .appendRejected(index: index, hint: position)
        case 9: return .heartbeat(commit: index)
        case 10: return .snapshot(RaftSnapshot(position: position, voters: [index], data: []))
        default: return random.next() % 2 == 0 ? .timeoutNow : .heartbeatReply
        }
    }

    @Test("two leaders in one term are a contradiction, with their names")
    func noticesTwoLeaders() throws {
        var node = try RaftNode(2)
        node.receive(.heartbeat(commit: 3), from: 1, term: 2)
        let effects = node.raft.step(
            .received(RaftMessage(from: 3, to: 2, term: 2, content: .heartbeat(commit: 3)))
        )
        #expect(effects.contradiction == "nodes 1 and 3 both lead term 2")
    }

    @Test("messages for others, without a term, or with entries that don't follow each other are refused")
    func refuses() throws {
        var node = try RaftNode(2)
        node.run(.received(RaftMessage(from: 1, to: 3, term: 2, content: .timeoutNow)))
        node.receive(.heartbeat(commit: 1), from: 1, term: 0)
        let gap = RaftEntry(position: RaftPosition(index: 6, term: 2), content: .empty)
        let append = RaftAppend(previous: RaftPosition(index: 3, term: 1), entries: [gap], commit: 3)
        node.receive(.append(append), from: 1, term: 2)
        let refusals = node.events.filter {
            if case .refused = $0 { return true }
            return false
        }
        #expect(refusals.count == 3)
        #expect(node.disk.state.entries.count == 3)
    }

    @Test("writes that are merged do what they would have done one after the other", arguments: seeds(50))
    func mergesWrites(seed: UInt64) throws {
        var random = SplitMix64(seed: seed)
        let founding = RaftState.founding(voters: [1, 2, 3])
        var apart = RaftTests.Disk(state: founding)
        var merged: RaftWrite?
        for number in UInt64(1)...6 {
            let write = self.write(number, &random, apart.state)
            apart.carryOut(write)
            if merged == nil { merged = write } else { merged?.merge(write) }
        }
        var together = RaftTests.Disk(state: founding)
        together.carryOut(try #require(merged))
        #expect(together.state == apart.state)
        #expect(merged?.number == 6)
    }

    private func write(_ number: UInt64, _ random: inout SplitMix64, _ state: RaftState) -> RaftWrite {
        var write = RaftWrite(number: number)
        let start = state.start.position.index
        let last = state.entries.last?.position.index ?? start
        switch random.next() % 5 {
        case 0: write.hardState = RaftHardState(term: number, vote: 1, commit: start)
        case 1:
            let index = start + random.next() % (last - start + 1)
            let position = state.entries.first { $0.position.index == index }?.position
            if let position { write.start = RaftLogStart(position: position, voters: [1]) }
        case 2:
            write.clearsLog = true
            write.start = RaftLogStart(
                position: RaftPosition(index: last + 5, term: number),
                voters: [1, 2]
            )
        default:
            let first = start + 1 + random.next() % (last - start + 1)
            write.entries = (0...(random.next() % 3)).map {
                RaftEntry(position: RaftPosition(index: first + $0, term: number), content: .empty)
            }
        }
        return write
    }
}
