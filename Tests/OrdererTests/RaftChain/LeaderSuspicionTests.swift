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
        var suspicion = LeaderSuspicion()
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
        var suspicion = LeaderSuspicion()
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
}
