import Channel
import Foundation
import GossipSimulation
import Testing

@testable import Gossip

@Suite struct IdentityTests {
    @Test func aRevokedPeerIsForgottenAndItsConnectionClosed() throws {
        var bench = try PeerBench()
        let (own, foreign, other) = (try bench.peer(1), try bench.peer(1, of: 1), try bench.peer(2, of: 1))
        for peer in [own, foreign, other] { try bench.meet(peer) }
        let effects = bench.give(.configured(try bench.identities.channel(revoked: [0: [1], 1: [1]])))
        for peer in [own, foreign] {
            #expect(effects.closesConnection(to: peer))
            #expect(!bench.isAlive(peer))
            #expect(bench.engine.identities.known[peer.pkiID] == nil)
            #expect(bench.engine.connections[peer.pkiID] == nil)
            // It cannot come back.
            #expect(try bench.connect(peer).closesConnection(to: peer))
            let alive = try Messages.alive(peer, incarnation: PeerBench.start + 1)
            bench.receive(alive, from: other)
            #expect(!bench.isAlive(peer))
        }
        #expect(bench.isAlive(other))
        #expect(!effects.closesConnection(to: other))
    }

    @Test func whoIsRevokedInOneOfTwoChannelsMaySpeakInTheOther() throws {
        var bench = try PeerBench()
        let foreign = try bench.peer(1, of: 1)
        bench.give(.configured(try bench.identities.channel("second")))
        try bench.meet(foreign)
        bench.give(.configured(try bench.identities.channel(revoked: [1: [1]])))
        let identities = bench.engine.identities
        #expect(identities.known[foreign.pkiID] != nil)
        #expect(bench.engine.channels[try ChannelID("sim")]?.accepts(foreign.pkiID, identities) == false)
        #expect(bench.engine.channels[try ChannelID("second")]?.accepts(foreign.pkiID, identities) == true)
    }

    @Test func leavingTheLastCommonChannelForgetsTheOtherOrganization() throws {
        var bench = try PeerBench()
        let (own, foreign) = (try bench.peer(1), try bench.peer(1, of: 1))
        for peer in [own, foreign] { try bench.meet(peer) }
        let effects = bench.give(.left(try ChannelID("sim")))
        #expect(effects.closesConnection(to: foreign))
        #expect(!bench.isAlive(foreign))
        #expect(bench.isAlive(own))
    }

    @Test func anExpiredCertificateIsRefusedAndForgotten() throws {
        let end = Date(timeIntervalSince1970: Double(PeerBench.start) / 1e9 + 60)
        var bench = try PeerBench(expiry: end)
        let peer = try bench.peer(1)
        try bench.meet(peer)
        bench.wait(.seconds(20))
        bench.receive(try Messages.alive(peer, incarnation: PeerBench.start, sequence: 2), from: peer)
        bench.wait(.seconds(20))
        bench.receive(try Messages.alive(peer, incarnation: PeerBench.start, sequence: 3), from: peer)
        bench.wait(.seconds(15))
        #expect(bench.isAlive(peer))
        let effects = bench.wait(.seconds(16))
        #expect(!bench.isAlive(peer))
        #expect(effects.closesConnection(to: peer))
        #expect(try bench.connect(peer).closesConnection(to: peer))
        #expect(bench.notes.count { $0.contains("is this peer, and its certificate has expired") } == 1)
    }

    @Test func whoIsNotNeededForAnHourIsForgotten() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.connect(peer)
        bench.give(.disconnected(peer.pkiID))
        bench.wait(.seconds(3_500))
        #expect(bench.engine.identities.known[peer.pkiID] != nil)
        bench.wait(.seconds(150))
        #expect(bench.engine.identities.known[peer.pkiID] == nil)
        #expect(bench.engine.identities.known[bench.engine.local.pkiID] != nil)
    }

    @Test func oneOrganizationsCertificatesTakeNoOthersPlace() throws {
        var identities = try PeerBench(peers: 8).engine.identities
        identities.perOrganization = 3
        let makers = try GossipIdentities(organizations: 2, peers: 8)
        try identities.learn(makers.local(1, of: 0).identity, now: .zero)
        for number in 0..<3 {
            try identities.learn(makers.local(number, of: 1).identity, now: .seconds(number))
        }
        #expect((try? identities.learn(makers.local(3, of: 1).identity, now: .seconds(4))) == nil)
        // Who was silent for a minute makes room.
        try identities.learn(makers.local(2, of: 1).identity, now: .seconds(100))
        try identities.learn(makers.local(4, of: 1).identity, now: .seconds(100))
        #expect(identities.known[try makers.local(0, of: 1).pkiID] == nil)
        #expect(identities.known[try makers.local(1, of: 0).pkiID] != nil)
    }

    @Test func aRenewedCertificateIsANewName() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.meet(peer)
        let old = bench.engine.local
        let effects = bench.give(.renewed(try bench.peer(3)))
        #expect(effects.closesConnection(to: peer))
        #expect(bench.engine.local.pkiID != old.pkiID)
        #expect(bench.engine.identities.known[old.pkiID] == nil)
        #expect(bench.engine.ownMember.pkiID == (try bench.peer(3)).pkiID)
    }

    @Test func aPeerWithANewCertificateTakesThePlaceOfItsOldName() throws {
        var bench = try PeerBench()
        let (old, new) = (try bench.peer(1), try bench.peer(2))
        try bench.meet(old)
        bench.give(.disconnected(old.pkiID))
        try bench.connect(new, endpoint: old.internalEndpoint)
        #expect(!bench.isAlive(old))
        #expect(bench.engine.connections[new.pkiID] != nil)
    }
}
