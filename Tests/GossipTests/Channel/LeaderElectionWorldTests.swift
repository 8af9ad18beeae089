import Channel
import Foundation
import GossipSimulation
import Simulation
import Testing

@testable import Gossip

@Suite struct LeaderElectionWorldTests {
    private func world(peers: Int, elects: Bool = true, leads: Bool = true) throws -> BlockWorld {
        var options = GossipOptions()
        options.useLeaderElection = elects
        options.orgLeader = leads
        return try BlockWorld(
            organizations: 1,
            peers: peers,
            blocks: 1,
            heights: Array(repeating: 1, count: peers),
            options: options
        )
    }

    @Test(arguments: [true, false])
    func withoutElectionTheSettingDecides(_ leads: Bool) throws {
        let test = try self.world(peers: 2, elects: false, leads: leads)
        test.world.run(for: 5.seconds)
        #expect(test.leaders == (leads ? [0, 1] : []))
    }

    @Test func aPeerAloneLeads() throws {
        let test = try self.world(peers: 1)
        test.world.run(for: 10.seconds)
        #expect(test.leaders == [0])
    }

    @Test func oneOfManyLeads() throws {
        let test = try self.world(peers: 6)
        test.world.run(for: 40.seconds)
        #expect(test.leaders.count == 1)
    }

    /// After `leaderAliveThreshold` of silence and an election: 15 s, and the ticks in which they end.
    @Test func aKilledLeaderHasASuccessorInFifteenSeconds() throws {
        let test = try self.world(peers: 4)
        test.world.run(for: 40.seconds)
        let leader = try #require(test.leaders.first)
        test.stop(leader)
        #expect(test.leaders.isEmpty)
        test.world.run(for: 16.seconds)
        #expect(test.leaders.count == 1)
        test.world.run(for: 60.seconds)
        #expect(test.leaders.count == 1)
        try test.restart(leader)
        test.world.run(for: 30.seconds)
        #expect(test.leaders.count == 1)
    }

    @Test func twoHalvesHaveALeaderEachAndOneAgainWhenRejoined() throws {
        let test = try self.world(peers: 4)
        test.world.run(for: 40.seconds)
        test.world.isCut = { ($0 < 2) != ($1 < 2) }
        test.world.breakCutConnections()
        test.world.run(for: 60.seconds)
        #expect(test.leaders.count == 2)
        test.world.isCut = { _, _ in false }
        test.world.run(for: 60.seconds)
        #expect(test.leaders.count == 1)
    }

    @Test func aLeaderThatReachesNoOrdererGivesWay() throws {
        let test = try self.world(peers: 3)
        test.world.run(for: 40.seconds)
        let leader = try #require(test.leaders.first)
        test.give(.ordererReachable(false), to: leader)
        #expect(test.leaders.isEmpty)
        test.world.run(for: 16.seconds)
        #expect(test.leaders.count == 1)
        #expect(!test.leaders.contains(leader))
    }
}
