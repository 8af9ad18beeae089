import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

@Suite struct GossipEngineTests {
    @Test func whatIsNoMessageOrHasTheWrongTagIsDroppedAndNotedOnce() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.connect(peer)
        for _ in 0..<100 {
            bench.receive(.with { $0.payload = Data([0xff, 0xff]) }, from: peer)
            bench.receive(
                try Messages.unsigned {
                    $0.tag = .chanOnly; $0.aliveMsg = .init()
                },
                from: peer
            )
        }
        #expect(bench.notes.count { $0.contains("no gossip message") } == 1)
        #expect(bench.notes.count { $0.contains("tag") } == 1)
    }

    @Test func whoIsNotConnectedIsNotHeard() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        bench.receive(try Messages.alive(peer, incarnation: PeerBench.start), from: peer)
        #expect(!bench.isAlive(peer))
    }

    @Test func aFloodIsCutOffAndNotedOnce() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.connect(peer)
        let empty = try Messages.unsigned {
            $0.tag = .empty; $0.empty = .init()
        }
        for _ in 0..<(GossipEngine.messagesAtOnce + 100) { bench.receive(empty, from: peer) }
        #expect(bench.notes.count { $0.contains("too many messages") } == 1)
        bench.receive(try Messages.alive(peer, incarnation: PeerBench.start), from: peer)
        #expect(!bench.isAlive(peer))
        bench.now += .seconds(1)
        bench.receive(try Messages.alive(peer, incarnation: PeerBench.start), from: peer)
        #expect(bench.isAlive(peer))
    }

    @Test func messagesOfAChannelFromOutsideItAreDroppedAndNotedOnce() throws {
        var bench = try PeerBench(organizations: 3)
        bench.give(.configured(try bench.identities.channel("inner", of: [0, 1])))
        let (inside, outside) = (try bench.peer(1, of: 1), try bench.peer(1, of: 2))
        for peer in [inside, outside] { try bench.meet(peer) }
        let request = try Messages.unsigned {
            $0.tag = .chanOrOrg
            $0.channel = Data("inner".utf8)
            $0.stateRequest = .init()
        }
        for _ in 0..<100 { for peer in [inside, outside] { bench.receive(request, from: peer) } }
        let noted = bench.notes.filter { $0.contains("not a member") }
        #expect(noted.count == 1)
        #expect(noted.first?.contains("\(outside.pkiID)") == true)
    }

    @Test func channelsThatThisPeerIsNotInAreIgnored() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.meet(peer)
        for name in ["other", "no channel!", ""] {
            let request = try Messages.unsigned {
                $0.tag = .chanOrOrg
                $0.channel = Data(name.utf8)
                $0.stateRequest = .init()
            }
            #expect(bench.receive(request, from: peer).isEmpty)
        }
    }

    @Test func connectionsOfOneOrganizationAreBounded() throws {
        var options = GossipOptions()
        options.connectionsPerOrganization = 3
        var bench = try PeerBench(peers: 8, options: options)
        let own = try bench.peer(1)
        try bench.connect(own)
        for number in 0..<8 { try bench.connect(try bench.peer(number, of: 1)) }
        #expect(bench.engine.connections.count == 4)
        #expect(bench.engine.connections[own.pkiID] != nil)
        #expect(try bench.connect(try bench.peer(7, of: 1)).closesConnection(to: try bench.peer(7, of: 1)))
    }

    @Test func theMACOfAChannelIsOfThePeerAndTheName() throws {
        let channel = try ChannelID("sim")
        let mac = channel.mac(of: Data([1]))
        #expect(mac.count == 32)
        #expect(mac != channel.mac(of: Data([2])))
    }

    @Test func whatIsNotedIsBounded() {
        var offences = Offences()
        let peer = PKIID(mspID: "X", certificate: Data())
        let noted = (0..<(2 * Offences.capacity)).count { offences.isNew(peer, "\($0)", now: .zero) }
        #expect(noted == Offences.capacity)
        let later = offences.isNew(peer, "0", now: Offences.period)
        #expect(later)
    }
}
