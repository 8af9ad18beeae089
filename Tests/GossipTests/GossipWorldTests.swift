import Channel
import FabricProtos
import Foundation
import GossipSimulation
import Simulation
import Testing

@testable import Gossip

/// Whole networks, under virtual time.
@Suite struct GossipWorldTests {
    @Test func peersOfSeveralOrganizationsFindEachOther() throws {
        let identities = try GossipIdentities(organizations: 3, peers: 3)
        let world = try GossipWorld(identities)
        world.configureAll(try identities.channel())
        world.run(for: 20.seconds)
        for peer in world.peers { #expect(peer.engine.members.count == 8, "\(peer.notes)") }
        // Later ones, too, when alive messages carry no certificates any more.
        world.stop(4)
        world.run(for: 30.seconds)
        #expect(world.peers.allSatisfy { !$0.isUp || $0.engine.members.count == 7 })
        try world.start(4, channels: [try identities.channel()])
        world.run(for: 20.seconds)
        for peer in world.peers { #expect(peer.engine.members.count == 8, "\(peer.notes)") }
    }

    @Test func innerAddressesStayInsideAndHiddenPeersUnseen() throws {
        let identities = try GossipIdentities(organizations: 2, peers: 3)
        let world = try GossipWorld(identities, hidden: [2])
        var leaks = 0
        world.onArrival = { world, envelope, _, number in
            for alive in Messages.aliveMessages(in: envelope) {
                guard let author = Messages.author(of: alive), let from = world.number(of: author) else {
                    continue
                }
                let isInside = world.peers[from].organization == world.peers[number].organization
                if !isInside, alive.hasSecretEnvelope || from == 2 { leaks += 1 }
            }
        }
        world.configureAll(try identities.channel())
        world.run(for: 60.seconds)
        #expect(leaks == 0)
        let hidden = world.peers[2].local.pkiID
        for peer in world.peers[3...] { #expect(peer.engine.members[hidden] == nil) }
        for peer in world.peers[..<2] { #expect(peer.engine.members[hidden] != nil) }
        #expect(
            world.peers[2].engine.members.count == 2,
            "who cannot be reached sees its own organization only"
        )
    }

    @Test func twoHalvesThatWereCutApartJoinAgain() throws {
        let identities = try GossipIdentities(organizations: 2, peers: 3)
        let world = try GossipWorld(identities)
        world.configureAll(try identities.channel())
        world.run(for: 20.seconds)
        world.isCut = { ($0 % 2 == 0) != ($1 % 2 == 0) }
        world.breakCutConnections()
        world.run(for: 700.seconds)
        for peer in world.peers { #expect(peer.engine.members.count == 2) }
        world.isCut = { _, _ in false }
        // An attempt at an anchor or a dead peer comes every 25 s, certificates and members after it.
        world.run(for: 60.seconds)
        for peer in world.peers { #expect(peer.engine.members.count == 5, "\(peer.notes)") }
    }
}
