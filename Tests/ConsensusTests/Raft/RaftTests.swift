import Consensus
import Testing

/// The rules of Raft, by the section of the paper or the habit of etcd that each comes from.
@Suite struct RaftTests {
    /// Carries out the writes of an engine at once, as a disk that never fails.
    struct Disk {
        var state: RaftState

        mutating func carryOut(_ write: RaftWrite) {
            if write.clearsLog { self.state.entries = [] }
            if let hardState = write.hardState { self.state.hardState = hardState }
            if let first = write.entries.first {
                self.state.entries.removeAll { $0.position.index >= first.position.index }
                self.state.entries += write.entries
            }
            if let start = write.start {
                self.state.start = start
                self.state.entries.removeAll { $0.position.index <= start.position.index }
            }
        }
    }

    /// One node and its disk.
    struct Node {
        var disk: Disk
        var raft: Raft
        var decided: [Decision] = []
        var steps: [Raft.Effects] = []

        init(_ state: RaftState = .founding(voters: [1]), delivered: UInt64 = 0) throws {
            self.disk = Disk(state: state)
            self.raft = try Raft(
                id: 1,
                configuration: RaftConfiguration(seed: 1),
                restoring: state,
                delivered: delivered
            )
        }

        /// Feeds `input` and everything that follows from it, until the engine rests.
        mutating func run(_ input: Raft.Input) {
            var next: Raft.Input? = input
            while let now = next {
                let effects = self.raft.step(now)
                self.steps.append(effects)
                self.decided += effects.decisions
                next = nil
                if let write = effects.write {
                    self.disk.carryOut(write)
                    next = .stored(write.number)
                }
            }
        }
    }

    @Test("a lone consenter leads after its first tick, in the term after the founding one")
    func leads() throws {
        var node = try Node()
        #expect(node.raft.status == ConsensusStatus(isLeader: false, leader: nil, term: 1))
        node.run(.tick)
        #expect(node.raft.status == ConsensusStatus(isLeader: true, leader: 1, term: 2))
        #expect(node.disk.state.hardState.vote == 1)
        #expect(node.decided.isEmpty)
    }

    @Test("the first block of a channel with one consenter is entry 3, with three it would be entry 5")
    func numbersTheFirstBlock() throws {
        var node = try Node()
        node.run(.tick)
        node.run(.propose([7]))
        #expect(node.decided == [Decision(position: 3, payload: [7])])
        #expect(RaftState.founding(voters: [1, 2, 3]).entries.count + 2 == 5)
    }

    @Test("a vote counts only once it is durable (figure 2: respond after updating stable storage)")
    func waitsForItsVote() throws {
        var raft = try Raft(
            id: 1,
            configuration: RaftConfiguration(seed: 1),
            restoring: .founding(voters: [1]),
            delivered: 0
        )
        let campaign = raft.step(.tick)
        let write = try #require(campaign.write)
        #expect(write.hardState?.vote == 1)
        #expect(!raft.status.isLeader)
        #expect(raft.step(.propose([1])).proposal == .notLeader(leader: nil))
        _ = raft.step(.stored(write.number))
        #expect(raft.status.isLeader)
    }

    @Test("a proposal is decided only once its entry is durable")
    func waitsForItsEntry() throws {
        var node = try Node()
        node.run(.tick)
        let first = node.raft.step(.propose([1]))
        let second = node.raft.step(.propose([2]))
        #expect(first.proposal == .accepted(position: 3))
        #expect(second.proposal == .accepted(position: 4))
        #expect(first.decisions.isEmpty && second.decisions.isEmpty)
        let number = try #require(second.write?.number)
        let decided = node.raft.step(.stored(number)).decisions
        #expect(decided.map(\.position) == [3, 4])
    }

    @Test("entries of an earlier term are committed together with the new leader's empty entry (§5.4.2)")
    func commitsWhatAnEarlierTermLeft() throws {
        var node = try Node()
        node.run(.tick)
        // The write reaches the disk, and the process dies before it hears so.
        let effects = node.raft.step(.propose([9]))
        node.disk.carryOut(try #require(effects.write))
        #expect(node.disk.state.hardState.commit == 2)

        var restarted = try Node(node.disk.state)
        restarted.run(.tick)
        #expect(restarted.decided == [Decision(position: 3, payload: [9])])
        #expect(restarted.raft.status.term == 3)
        restarted.run(.propose([10]))
        #expect(restarted.decided.last == Decision(position: 5, payload: [10]))
    }

    @Test("a restart tells again what was committed and not yet released, and nothing twice")
    func tellsCommittedAgain() throws {
        var node = try Node()
        node.run(.tick)
        for payload in UInt8(1)...4 { node.run(.propose([payload])) }
        var restarted = try Node(node.disk.state, delivered: 4)
        restarted.run(.tick)
        #expect(restarted.decided.map(\.payload) == [[3], [4]])
    }

    @Test("a released log continues after a restart")
    func continuesAReleasedLog() throws {
        var node = try Node()
        node.run(.tick)
        for payload in UInt8(1)...5 { node.run(.propose([payload])) }
        node.run(.released(through: 6))
        #expect(node.disk.state.start == RaftLogStart(position: RaftPosition(index: 6, term: 2), voters: [1]))
        #expect(node.disk.state.entries.map(\.position.index) == [7])

        var restarted = try Node(node.disk.state, delivered: 6)
        restarted.run(.tick)
        restarted.run(.propose([6]))
        #expect(restarted.decided.map(\.position) == [7, 9])
    }

    @Test("what was not yet told is not released")
    func keepsWhatWasNotTold() throws {
        var node = try Node()
        node.run(.tick)
        _ = node.raft.step(.propose([1]))
        node.run(.released(through: 100))
        #expect(node.disk.state.start.position.index <= 2)
    }

    @Test("the same inputs give the same effects")
    func isDeterministic() throws {
        var first = try Node()
        var second = try Node()
        for payload in UInt8(0)..<20 {
            for input in [
                Raft.Input.tick, .propose([payload]), .released(through: UInt64(payload)),
            ] {
                first.run(input)
                second.run(input)
            }
        }
        #expect(first.steps == second.steps)
    }

    @Test("a report about a write that was never asked for is a contradiction, not a crash")
    func refusesAnUnknownWrite() throws {
        var raft = try Raft(
            id: 1,
            configuration: RaftConfiguration(seed: 1),
            restoring: .founding(voters: [1]),
            delivered: 0
        )
        #expect(raft.step(.stored(5)).contradiction != nil)
    }

    @Test(
        "stored state that no correct node can have written is refused",
        arguments: [
            RaftState(
                hardState: RaftHardState(term: 1, vote: nil, commit: 9),
                start: RaftLogStart(),
                entries: []
            ),
            RaftState(
                hardState: RaftHardState(term: 1, vote: nil, commit: 1),
                start: RaftLogStart(),
                entries: [
                    RaftEntry(position: RaftPosition(index: 1, term: 1), content: .addVoter(1)),
                    RaftEntry(position: RaftPosition(index: 3, term: 1), content: .empty),
                ]
            ),
            RaftState(
                hardState: RaftHardState(term: 2, vote: nil, commit: 1),
                start: RaftLogStart(),
                entries: [
                    RaftEntry(position: RaftPosition(index: 1, term: 2), content: .addVoter(1)),
                    RaftEntry(position: RaftPosition(index: 2, term: 1), content: .empty),
                ]
            ),
            RaftState(
                hardState: RaftHardState(term: 1, vote: nil, commit: 1),
                start: RaftLogStart(),
                entries: [RaftEntry(position: RaftPosition(index: 1, term: 5), content: .addVoter(1))]
            ),
        ]
    )
    func refusesImpossibleState(state: RaftState) {
        #expect(throws: RaftStateError.self) {
            try Raft(id: 1, configuration: RaftConfiguration(seed: 1), restoring: state, delivered: 0)
        }
    }

    @Test("a ledger that is ahead of the log is refused")
    func refusesALedgerAhead() {
        #expect(throws: RaftStateError.self) {
            try Raft(
                id: 1,
                configuration: RaftConfiguration(seed: 1),
                restoring: .founding(voters: [1]),
                delivered: 3
            )
        }
    }
}
