import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

@Suite struct MembershipTests {
    private let start = PeerBench.start

    @Test func whoSaysThatItIsAliveIsAMember() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.meet(peer)
        let member = try #require(bench.engine.members[peer.pkiID])
        #expect(member.externalEndpoint == peer.externalEndpoint)
        #expect(member.internalEndpoint == peer.internalEndpoint)
        #expect(member.endpoint == peer.internalEndpoint)
        #expect(member.mspID == peer.mspID)
    }

    @Test func anEarlierMessageOrAnEarlierStartIsStale() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.connect(peer)
        bench.receive(
            try Messages.alive(peer, incarnation: self.start, sequence: 5, endpoint: "now:1"),
            from: peer
        )
        bench.receive(
            try Messages.alive(peer, incarnation: self.start, sequence: 4, endpoint: "old:1"),
            from: peer
        )
        bench.receive(
            try Messages.alive(peer, incarnation: self.start - 1, sequence: 9, endpoint: "older:1"),
            from: peer
        )
        // An equivocation: the first is kept.
        bench.receive(
            try Messages.alive(peer, incarnation: self.start, sequence: 5, endpoint: "other:1"),
            from: peer
        )
        #expect(bench.engine.members[peer.pkiID]?.externalEndpoint == "now:1")
        bench.receive(
            try Messages.alive(peer, incarnation: self.start + 1, sequence: 1, endpoint: "new:1"),
            from: peer
        )
        #expect(bench.engine.members[peer.pkiID]?.externalEndpoint == "new:1")
    }

    @Test func aStartInTheFarFutureIsRefusedAndNotedOnce() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.connect(peer)
        let hour = Membership.farthestFuture
        for sequence in 1...100 as ClosedRange<UInt64> {
            let alive = try Messages.alive(peer, incarnation: self.start + hour + 1, sequence: sequence)
            bench.receive(alive, from: peer)
        }
        #expect(!bench.isAlive(peer))
        #expect(bench.notes.count { $0.contains("more than an hour from now") } == 1)
        bench.receive(try Messages.alive(peer, incarnation: self.start + hour), from: peer)
        #expect(bench.isAlive(peer))
    }

    @Test func whatItsAuthorNeverSignedIsRefusedAndNotedOnce() throws {
        var bench = try PeerBench()
        let (liar, victim) = (try bench.peer(1), try bench.peer(2))
        try bench.connect(liar)
        for sequence in 1...100 as ClosedRange<UInt64> {
            let forged = try Messages.alive(
                victim,
                incarnation: self.start,
                sequence: sequence,
                signer: liar
            )
            let effects = bench.receive(forged, from: liar)
            #expect(effects.count <= 1)
        }
        #expect(!bench.isAlive(victim))
        #expect(bench.notes.count { $0.contains("never signed") } == 1)
        #expect(bench.notes.contains { $0.contains("\(liar.pkiID)") })
    }

    @Test func aSecretThatItsAuthorNeverSignedIsRefused() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.connect(peer)
        var envelope = try Messages.alive(peer, incarnation: self.start, secret: "here:1")
        envelope.secretEnvelope.payload = try Messages.alive(peer, incarnation: 1, secret: "there:1")
            .secretEnvelope.payload
        bench.receive(envelope, from: peer)
        #expect(!bench.isAlive(peer))
    }

    @Test func anIdentityUnderAnothersNameIsRefused() throws {
        var bench = try PeerBench()
        let (liar, victim) = (try bench.peer(1), try bench.peer(2))
        try bench.connect(liar)
        var mixed = victim
        mixed.identity = liar.identity
        bench.receive(try Messages.alive(mixed, incarnation: self.start), from: liar)
        #expect(bench.engine.members.isEmpty)
        #expect(bench.notes.contains { $0.contains("under another's name") })
    }

    @Test func whoIsSilentDiesAndIsForgottenAndOldMessagesDoNotBringItBack() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1, of: 1)  // no anchor: those are never forgotten
        try bench.meet(peer)
        var effects = bench.wait(.seconds(24))
        #expect(bench.isAlive(peer))
        effects = bench.wait(.seconds(4))
        #expect(!bench.isAlive(peer))
        #expect(effects.closesConnection(to: peer))
        #expect(bench.engine.deadCount == 1)
        effects = bench.wait(.seconds(26))
        #expect(effects.messages(to: peer).contains { $0.memReq.hasSelfInformation }, "it is asked again")
        bench.wait(.seconds(500))
        #expect(bench.engine.deadCount == 0)
        let other = try bench.peer(2)
        try bench.connect(other)
        bench.receive(try Messages.alive(peer, incarnation: self.start), from: other)
        #expect(!bench.isAlive(peer))
        bench.receive(try Messages.alive(peer, incarnation: self.start, sequence: 2), from: other)
        #expect(bench.isAlive(peer))
    }

    @Test func whoseConnectionBreaksIsSuspectedAndDiesSooner() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.meet(peer)
        bench.give(.disconnected(peer.pkiID))
        #expect(bench.isAlive(peer))
        bench.wait(.seconds(13))
        #expect(!bench.isAlive(peer))
        let other = try bench.peer(2)
        try bench.connect(other)
        bench.receive(try Messages.alive(peer, incarnation: self.start, sequence: 2), from: other)
        #expect(bench.isAlive(peer))
    }

    @Test func theCertificateIsToldOnlyInTheFirstSeconds() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.meet(peer)
        let early = bench.wait(.seconds(6)).messages(to: peer).filter { $0.hasAlive }
        #expect(!early.isEmpty && early.allSatisfy { !$0.aliveMsg.identity.isEmpty })
        bench.wait(.seconds(6))
        let late = bench.wait(.seconds(6)).messages(to: peer).filter { $0.hasAlive }
        #expect(!late.isEmpty && late.allSatisfy { $0.aliveMsg.identity.isEmpty })
    }

    @Test func nobodyIsToldUntilSomebodyIsThere() throws {
        var bench = try PeerBench()
        let effects = bench.wait(.seconds(20))
        #expect(!effects.contains { if case .send = $0 { true } else { false } })
    }

    // MARK: - Requests

    @Test func whoAsksIsToldOfThoseItMayKnow() throws {
        var bench = try PeerBench(organizations: 3)
        let own = try bench.peer(1)
        let hidden = try bench.peer(2, isHidden: true)
        let (foreign, asking) = (try bench.peer(1, of: 1), try bench.peer(0, of: 1))
        let third = try bench.peer(1, of: 2)
        for peer in [own, hidden, foreign, third] { try bench.meet(peer) }
        try bench.connect(asking)
        let request = try Messages.membershipRequest(Messages.alive(asking, incarnation: self.start))
        let answer = try #require(bench.receive(request, from: asking).messages(to: asking).first)
        #expect(answer.nonce == 7)
        let told = answer.memRes.alive.compactMap { Messages.author(of: $0) }
        #expect(Set(told) == [own.pkiID, foreign.pkiID, bench.engine.local.pkiID])
        #expect(answer.memRes.alive.allSatisfy { !$0.hasSecretEnvelope })
        // A peer of the own organization hears of hidden ones, and of inner addresses; others are pushed to it.
        let inside = try Messages.membershipRequest(
            Messages.alive(own, incarnation: self.start, sequence: 2, secret: own.internalEndpoint)
        )
        let full = try #require(bench.receive(inside, from: own).messages(to: own).first { $0.hasAnswer })
        #expect(
            Set(full.memRes.alive.compactMap { Messages.author(of: $0) }) == [
                hidden.pkiID, bench.engine.local.pkiID,
            ]
        )
        #expect(full.memRes.alive.contains { $0.hasSecretEnvelope })
    }

    @Test func withoutAnExternalEndpointThereIsNothingToSayToOthers() throws {
        var bench = try PeerBench(isHidden: true)
        let foreign = try bench.peer(0, of: 1)
        try bench.connect(foreign)
        let request = try Messages.membershipRequest(Messages.alive(foreign, incarnation: self.start))
        let effects = bench.receive(request, from: foreign)
        #expect(effects.messages(to: foreign).isEmpty)
        #expect(effects.closesConnection(to: foreign))
    }

    @Test func whoAsksUnderAnothersNameIsNotAnswered() throws {
        var bench = try PeerBench()
        let (liar, victim) = (try bench.peer(1), try bench.peer(2))
        try bench.connect(liar)
        let request = try Messages.membershipRequest(Messages.alive(victim, incarnation: self.start))
        #expect(bench.receive(request, from: liar).messages(to: liar).isEmpty)
        #expect(bench.notes.contains { $0.contains("under another's name") })
    }

    @Test func whoAsksTooOftenIsNotAnswered() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.connect(peer)
        var answers = 0
        for sequence in 1...200 as ClosedRange<UInt64> {
            let alive = try Messages.alive(peer, incarnation: self.start, sequence: sequence)
            let effects = bench.receive(try Messages.membershipRequest(alive), from: peer)
            answers += effects.messages(to: peer).count { $0.hasAnswer }
        }
        #expect(answers == Membership.requestsAtOnce)
        #expect(bench.notes.count { $0.contains("asks too often") } == 1)
    }

    @Test func aForgedEntryEndsTheAnswer() throws {
        var bench = try PeerBench()
        let (liar, one, two) = (try bench.peer(1), try bench.peer(2), try bench.peer(3))
        try bench.connect(liar)
        let answer = try Messages.unsigned {
            $0.tag = .empty
            $0.memRes.alive = [
                (try? Messages.alive(one, incarnation: self.start, signer: liar)) ?? .init(),
                (try? Messages.alive(two, incarnation: self.start)) ?? .init(),
            ]
        }
        bench.receive(answer, from: liar)
        #expect(bench.engine.members.isEmpty)
    }

    @Test func theDeadThatOthersTellOfAreDeadUntilTheySaySomething() throws {
        var bench = try PeerBench()
        let (peer, dead) = (try bench.peer(1), try bench.peer(2))
        try bench.connect(peer)
        let answer = try Messages.unsigned {
            $0.tag = .empty
            $0.memRes.dead = [(try? Messages.alive(dead, incarnation: self.start)) ?? .init()]
        }
        bench.receive(answer, from: peer)
        #expect(!bench.isAlive(dead))
        #expect(bench.engine.deadCount == 1)
        bench.receive(try Messages.alive(dead, incarnation: self.start, sequence: 2), from: peer)
        #expect(bench.isAlive(dead))
    }

    @Test func aHiddenPeerOfAnotherOrganizationIsNotSeenWhoeverTellsOfIt() throws {
        var bench = try PeerBench()
        let (liar, hidden) = (try bench.peer(1, of: 1), try bench.peer(2, of: 1, isHidden: true))
        try bench.connect(liar)
        bench.receive(try Messages.alive(hidden, incarnation: self.start), from: liar)
        #expect(!bench.isAlive(hidden))
    }

    // MARK: - The own name

    @Test func aLaterStartUnderTheOwnNameIsOvertakenAFewTimes() throws {
        var bench = try PeerBench()
        let (own, peer) = (bench.engine.local, try bench.peer(1))
        try bench.meet(peer)
        var later = self.start + 1_000_000
        bench.receive(try Messages.alive(own, incarnation: later), from: peer)
        func incarnation() throws -> UInt64 {
            let message = try ReceivedMessage(bench.engine.ownMember.envelope, from: own.pkiID).message
            return message.aliveMsg.timestamp.incNum
        }
        #expect(try incarnation() == later + 1)
        for _ in 0..<10 {
            later = try incarnation() + 5
            bench.receive(try Messages.alive(own, incarnation: later), from: peer)
        }
        #expect(try incarnation() == later - 5)  // it has stopped: two processes would go on for ever
        #expect(bench.notes.contains { $0.contains("another process uses it, or the clock was set back") })
        #expect(bench.engine.members[own.pkiID] == nil)
    }

    @Test func anotherProcessWithTheOwnCertificateIsNoted() throws {
        var bench = try PeerBench()
        let (own, peer) = (bench.engine.local, try bench.peer(1))
        try bench.meet(peer)
        for sequence in 1...9 as ClosedRange<UInt64> {
            let twin = try Messages.alive(
                own,
                incarnation: self.start,
                sequence: sequence,
                endpoint: "twin:1"
            )
            bench.receive(twin, from: peer)
        }
        #expect(bench.notes.count { $0.contains("give each peer its own") } == 1)
    }

    // MARK: - Bounds

    @Test func whatOneOrganizationInventsIsBounded() throws {
        var options = GossipOptions()
        options.peersPerOrganization = 5
        var bench = try PeerBench(peers: 12, options: options)
        let neighbour = try bench.peer(1)
        try bench.meet(neighbour)
        let sender = try bench.peer(0, of: 1)
        try bench.connect(sender)
        for number in 0..<12 {
            bench.receive(
                try Messages.alive(try bench.peer(number, of: 1), incarnation: self.start),
                from: sender
            )
        }
        #expect(bench.engine.members.values.count { $0.mspID == sender.mspID } == 5)
        #expect(bench.isAlive(neighbour))
        #expect(bench.notes.count { $0.contains("more than 5 peers") } == 1)
        // The dead make room.
        bench.wait(.seconds(30))
        bench.receive(try Messages.alive(try bench.peer(11, of: 1), incarnation: self.start), from: sender)
        #expect(bench.isAlive(try bench.peer(11, of: 1)) || bench.engine.connections[sender.pkiID] == nil)
    }

    @Test func theMemoryOfTheForgottenIsBounded() {
        var forgotten = ForgottenPeers()
        for number in 0..<(2 * ForgottenPeers.capacity) {
            let name = PKIID(mspID: "X", certificate: Data("\(number)".utf8))
            forgotten.add(name, Membership.Moment(.with { $0.incNum = UInt64(number) }))
        }
        #expect(forgotten.count <= ForgottenPeers.capacity)
        let last = PKIID(mspID: "X", certificate: Data("\(2 * ForgottenPeers.capacity - 1)".utf8))
        #expect(forgotten[last]?.incarnation == UInt64(2 * ForgottenPeers.capacity - 1))
    }

    @Test func endlessAnswersAndAddressesAreRefused() throws {
        var bench = try PeerBench()
        let (peer, other) = (try bench.peer(1), try bench.peer(2))
        try bench.connect(peer)
        let long = String(repeating: "x", count: Membership.longestEndpoint + 1)
        bench.receive(try Messages.alive(other, incarnation: self.start, endpoint: long), from: peer)
        #expect(!bench.isAlive(other))
        let alive = try Messages.alive(other, incarnation: self.start)
        let answer = try Messages.unsigned {
            $0.tag = .empty
            $0.memRes.alive = Array(repeating: alive, count: Membership.largestAnswer + 1)
        }
        bench.receive(answer, from: peer)
        #expect(!bench.isAlive(other))
    }
}

extension Gossip_GossipMessage {
    fileprivate var hasAlive: Bool { if case .aliveMsg = self.content { true } else { false } }
    fileprivate var hasAnswer: Bool { if case .memRes = self.content { true } else { false } }
}
