import FabricProtos
import Foundation
import Logging
import SwiftProtobuf
import Testing

@testable import Peer

@Suite struct GossipConnectionsTests {
    private func message(_ size: Int) -> Gossip_Envelope {
        .with { $0.payload = Data(repeating: 1, count: size) }
    }

    @Test func whatDoesNotFitIsDropped() {
        let link = GossipLink(endpoint: nil, remoteAddress: "here:1", capacity: 3)
        #expect((0..<3).allSatisfy { _ in link.send(self.message(10)) })
        #expect(!link.send(self.message(10)))
    }

    @Test func oneMessageOfAnySizeFitsAndNoMoreBeforeItHasLeft() {
        let link = GossipLink(endpoint: nil, remoteAddress: "here:1", capacity: 3)
        let large = self.message(GossipLink.byteCapacity + 1)
        #expect(link.send(large))
        #expect(!link.send(self.message(1)))
        link.sent(large)
        #expect(link.send(self.message(1)))
    }

    @Test func aClosedLinkEndsAndTakesNothing() async {
        let link = GossipLink(endpoint: "there:1", remoteAddress: "there:1", capacity: 3)
        #expect(link.send(self.message(1)))
        link.close("the first reason")
        link.close("the second")
        #expect(!link.send(self.message(1)))
        #expect(link.closure == "the first reason")
        var count = 0
        for await _ in link.outgoing { count += 1 }
        for await _ in link.closing {}
        #expect(count == 1)
    }

    /// Two peers that dial each other keep the same connection, whichever they see first.
    @Test(arguments: [true, false])
    func ofTwoConnectionsDialledAtOnceOneStays(seesDialledFirst: Bool) {
        let smaller = GossipConnectionRule.replaces(
            isDialled: !seesDialledFirst,
            wasDialled: seesDialledFirst,
            age: .milliseconds(10),
            isSmaller: true
        )
        // The smaller one keeps what it has dialled.
        #expect(smaller == !seesDialledFirst)
        let larger = GossipConnectionRule.replaces(
            isDialled: !seesDialledFirst,
            wasDialled: seesDialledFirst,
            age: .milliseconds(10),
            isSmaller: false
        )
        #expect(larger == seesDialledFirst)
    }

    @Test(arguments: [true, false])
    func whoConnectsAgainLaterIsTakenAndASecondDialIsNot(isSmaller: Bool) {
        for wasDialled in [true, false] {
            #expect(
                GossipConnectionRule.replaces(
                    isDialled: false,
                    wasDialled: wasDialled,
                    age: .seconds(60),
                    isSmaller: isSmaller
                )
            )
            #expect(
                !GossipConnectionRule.replaces(
                    isDialled: true,
                    wasDialled: wasDialled,
                    age: .seconds(60),
                    isSmaller: isSmaller
                )
            )
        }
    }

    @Test func placesOfStrangersAreBoundedAndGivenBack() {
        let log = RefusalLog(logger: Logger(label: "test"))
        var places = (0..<5).compactMap { _ in log.admit(5) }
        #expect(places.count == 5)
        #expect(log.admit(5) == nil)
        places.removeLast().leave()
        let last = log.admit(5)
        #expect(last != nil)
        last?.leave()
        last?.leave()
        #expect(log.admit(5) != nil)
        #expect(places.count == 4)
    }

    @Test func portZeroGivesWayToTheOneThatWasTaken() {
        var settings = GossipSettings()
        settings.externalEndpoint = "peer.example:0"
        let endpoints = GossipEndpoints(settings, listenAddress: "127.0.0.1:0", port: 7051)
        #expect(endpoints.own == "127.0.0.1:7051")
        #expect(endpoints.external == "peer.example:7051")
        #expect(GossipEndpoints(GossipSettings(), listenAddress: "127.0.0.1:7050", port: 1).external.isEmpty)
    }
}
