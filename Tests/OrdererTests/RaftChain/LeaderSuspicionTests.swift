import Consensus
import Testing

@testable import Orderer

/// When a follower takes its leader's process for gone.
@Suite struct LeaderSuspicionTests {
    private let usual = Duration.milliseconds(500)

    private func heartbeat(from node: NodeID) -> Raft.Input {
        .received(RaftMessage(from: node, to: 1, term: 2, content: .heartbeat(commit: 3)))
    }

    @Test("two failures in a row make time pass faster, for a while")
    func suspects() {
        var suspicion = LeaderSuspicion(at: .zero)
        suspicion.heard([.command(.unreachable(2))], leader: 2, at: .seconds(1))
        #expect(suspicion.tickInterval(self.usual, at: .seconds(1)) == self.usual)
        suspicion.heard([.command(.unreachable(2))], leader: 2, at: .seconds(2))
        #expect(suspicion.isNew)
        #expect(suspicion.tickInterval(self.usual, at: .seconds(2)) == LeaderSuspicion.tickInterval)
        #expect(suspicion.tickInterval(.milliseconds(10), at: .seconds(2)) == .milliseconds(10))
        #expect(suspicion.tickInterval(self.usual, at: .seconds(8)) == self.usual)
    }

    @Test("a message of the leader ends it; failures to reach others don't count")
    func forgives() {
        var suspicion = LeaderSuspicion(at: .zero)
        suspicion.heard(
            [.command(.unreachable(3)), .command(.unreachable(3)), .command(.unreachable(2))],
            leader: 2,
            at: .seconds(1)
        )
        #expect(suspicion.tickInterval(self.usual, at: .seconds(1)) == self.usual)
        suspicion.heard([.command(.unreachable(2)), self.heartbeat(from: 2)], leader: 2, at: .seconds(1))
        #expect(suspicion.tickInterval(self.usual, at: .seconds(1)) == self.usual)
        suspicion.heard([self.heartbeat(from: 3), .command(.unreachable(2))], leader: 2, at: .seconds(1))
        #expect(suspicion.tickInterval(self.usual, at: .seconds(1)) == self.usual)
    }

    @Test("a leader that says nothing is asked, and suspected when it answers nothing")
    func asks() {
        let heartbeat = self.usual
        var suspicion = LeaderSuspicion(at: .seconds(1))
        #expect(suspicion.nextQuestion(heartbeat: heartbeat) == .milliseconds(1250))
        suspicion.ask(at: .milliseconds(1250))
        let again = suspicion.nextQuestion(heartbeat: heartbeat)
        #expect(again == .milliseconds(1650), "not again while the answer may come")
        suspicion.unanswered(at: again)
        #expect(suspicion.isNew)
        #expect(suspicion.tickInterval(self.usual, at: again) == LeaderSuspicion.tickInterval)
    }

    @Test("an answer that fails to come after the leader has said something doesn't count")
    func knowsBetter() {
        var suspicion = LeaderSuspicion(at: .zero)
        suspicion.ask(at: .milliseconds(250))
        suspicion.heard([self.heartbeat(from: 2)], leader: 2, at: .milliseconds(500))
        suspicion.unanswered(at: .milliseconds(650))
        #expect(!suspicion.isNew)
        #expect(suspicion.tickInterval(self.usual, at: .milliseconds(650)) == self.usual)
        #expect(suspicion.nextQuestion(heartbeat: self.usual) == .milliseconds(750))
    }

    @Test("where heartbeats are rare, a leader gets more time")
    func waitsForHeartbeats() {
        var suspicion = LeaderSuspicion(at: .zero)
        #expect(suspicion.nextQuestion(heartbeat: .seconds(2)) == .seconds(1))
        suspicion.ask(at: .seconds(1))
        #expect(suspicion.nextQuestion(heartbeat: .seconds(2)) == .milliseconds(2600))
    }
}
