import Channel
import FabricProtos
import Foundation
import GossipSimulation
import Testing

@testable import Gossip

@Suite struct IntroductionTests {
    private func dials(_ effects: [GossipEffect]) -> [String] {
        effects.compactMap { if case .dial(let endpoint) = $0 { endpoint } else { nil } }
    }

    @Test func bootstrapAddressesAreDialledAgainUntilSomebodyAnswers() throws {
        var options = GossipOptions()
        options.bootstrap = ["internal-peer1.org1.sim:7051", "internal-peer0.org1.sim:7051"]
        var bench = try PeerBench(options: options, joins: false)
        let endpoint = "internal-peer1.org1.sim:7051"
        #expect(self.dials(bench.wait(.seconds(1))) == [endpoint])  // its own address is left out
        bench.give(.unreachable(endpoint: endpoint, reason: "no answer"))
        #expect(self.dials(bench.wait(.seconds(20))).isEmpty)
        #expect(self.dials(bench.wait(.seconds(10))) == [endpoint])
        let peer = try bench.peer(1)
        let effects = try bench.connect(peer, endpoint: endpoint)
        #expect(effects.messages(to: peer).contains { $0.memReq.hasSelfInformation })
        // It says nothing: it is asked again.
        #expect(!bench.wait(.seconds(30)).messages(to: peer).isEmpty)
        bench.receive(
            try Messages.unsigned {
                $0.tag = .empty; $0.memRes = .init()
            },
            from: peer
        )
        #expect(bench.wait(.seconds(100)).messages(to: peer).isEmpty)
    }

    @Test func afterManyAttemptsTheyBecomeRarer() throws {
        var options = GossipOptions()
        options.bootstrap = ["nobody:1"]
        options.maxConnectionAttempts = 3
        var bench = try PeerBench(options: options, joins: false)
        #expect(self.dials(bench.wait(.seconds(70))).count == 3)
        #expect(self.dials(bench.wait(.seconds(200))).isEmpty)
        #expect(self.dials(bench.wait(.seconds(60))).count == 1)
        #expect(bench.notes.contains { $0.contains("nobody answered at nobody:1 in 3 attempts") })
    }

    @Test func anotherOrganizationsPeerIsNoBootstrapPeer() throws {
        var options = GossipOptions()
        options.bootstrap = ["somewhere:1"]
        var bench = try PeerBench(options: options)
        let foreign = try bench.peer(1, of: 1)
        let effects = try bench.connect(foreign, endpoint: "somewhere:1")
        #expect(effects.closesConnection(to: foreign))
        #expect(effects.messages(to: foreign).isEmpty)
    }

    @Test func anchorPeersOfOtherOrganizationsAreOnlyForThoseWhoCanBeReached() throws {
        var open = try PeerBench(joins: true)
        #expect(self.dials(open.wait(.seconds(1))) == ["peer0.org2.sim:7051"])  // not the own address
        var hidden = try PeerBench(isHidden: true, joins: true)
        #expect(!self.dials(hidden.wait(.seconds(1))).contains("peer0.org2.sim:7051"))
    }

    @Test func anAnchorPeerThatIsAMemberAlreadyIsNotDialled() throws {
        var bench = try PeerBench()
        try bench.meet(try bench.peer(0, of: 1))
        #expect(self.dials(bench.wait(.seconds(60))).isEmpty)
    }

    @Test func theAnchorPeersOfALeftChannelAreLeftAlone() throws {
        var bench = try PeerBench()
        bench.give(.left(try ChannelID("sim")))
        #expect(self.dials(bench.wait(.seconds(60))).isEmpty)
    }
}
