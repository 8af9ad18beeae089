import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

@Suite struct IdentityPullTests {
    private func pull(_ kind: Gossip_PullMsgType = .identityMsg, _ fill: (inout Gossip_GossipMessage) -> Void)
        throws
        -> Gossip_Envelope
    {
        try Messages.unsigned {
            $0.tag = .empty
            fill(&$0)
        }
    }

    private func hello(_ nonce: UInt64) throws -> Gossip_Envelope {
        try self.pull {
            $0.hello.nonce = nonce
            $0.hello.msgType = .identityMsg
        }
    }

    private func request(_ nonce: UInt64, _ items: [Data]) throws -> Gossip_Envelope {
        try self.pull {
            $0.dataReq.nonce = nonce
            $0.dataReq.msgType = .identityMsg
            $0.dataReq.digests = items
        }
    }

    @Test func whoAsksIsGivenTheCertificatesThatItMayKnow() throws {
        var bench = try PeerBench()
        let (own, foreign) = (try bench.peer(1), try bench.peer(0, of: 1))
        for peer in [own, foreign] { try bench.meet(peer) }
        let name = bench.engine.local.pkiID.bytes
        for peer in [own, foreign] {
            let digest = try #require(bench.receive(try self.hello(5), from: peer).messages(to: peer).last)
            #expect(digest.dataDig.nonce == 5)
            #expect(digest.dataDig.digests == [name])
            let update = try #require(
                bench.receive(try self.request(5, [name]), from: peer).messages(to: peer).last
            )
            let item = try #require(update.dataUpdate.data.first)
            let identity = try Gossip_GossipMessage(serializedBytes: item.payload)
            #expect(identity.tag == .empty)
            #expect(identity.peerIdentity.cert == bench.engine.local.identity)
            let known = try #require(bench.engine.identities.known[bench.engine.local.pkiID])
            try known.identity.verify(item.signature, of: item.payload)
        }
    }

    @Test func aHiddenPeersCertificateStaysInside() throws {
        var bench = try PeerBench(isHidden: true)
        let foreign = try bench.peer(0, of: 1)
        try bench.connect(foreign)
        #expect(bench.receive(try self.hello(5), from: foreign).messages(to: foreign).isEmpty)
        let request = try self.request(5, [bench.engine.local.pkiID.bytes])
        #expect(bench.receive(request, from: foreign).messages(to: foreign).isEmpty)
    }

    @Test func aRequestNeedsAHelloAndIsAnsweredOnce() throws {
        var bench = try PeerBench()
        let (peer, other) = (try bench.peer(1), try bench.peer(2))
        for peer in [peer, other] { try bench.meet(peer) }
        let request = try self.request(5, [bench.engine.local.pkiID.bytes])
        #expect(bench.receive(request, from: peer).messages(to: peer).isEmpty)
        bench.receive(try self.hello(5), from: peer)
        #expect(bench.receive(request, from: other).messages(to: other).isEmpty)
        #expect(!bench.receive(request, from: peer).messages(to: peer).isEmpty)
        #expect(bench.receive(request, from: peer).messages(to: peer).isEmpty)
    }

    @Test func tooManyHellosAndTooLongRequestsAreRefusedAndNotedOnce() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.meet(peer)
        var answers = 0
        for nonce in 1...100 as ClosedRange<UInt64> {
            answers += bench.receive(try self.hello(nonce), from: peer).messages(to: peer).count
        }
        #expect(answers == IdentityPull.openHellos)
        #expect(bench.notes.count { $0.contains("asks for certificates too often") } == 1)
        let name = bench.engine.local.pkiID.bytes
        let long = try self.request(1, Array(repeating: name, count: IdentityPull.mostItems + 1))
        #expect(bench.receive(long, from: peer).messages(to: peer).isEmpty)
    }

    /// Has the bench ask a peer, which offers some names; returns the names that are asked for, and the number.
    private func offer(
        _ names: [Data],
        by peer: LocalPeer,
        _ bench: inout PeerBench
    ) throws -> (asked: [Data], nonce: UInt64) {
        var asked: Gossip_GossipMessage?
        for _ in 0..<40 where asked == nil {
            asked = bench.wait(.milliseconds(250)).messages(to: peer).last { $0.isHello }
        }
        let hello = try #require(asked)
        let digest = try self.pull {
            $0.dataDig.nonce = hello.hello.nonce
            $0.dataDig.msgType = .identityMsg
            $0.dataDig.digests = names
        }
        bench.receive(digest, from: peer)
        let request = bench.wait(.seconds(2)).messages(to: peer).last { $0.isRequest }
        return (request?.dataReq.digests ?? [], hello.hello.nonce)
    }

    private func update(_ nonce: UInt64, _ items: [Gossip_Envelope]) throws -> Gossip_Envelope {
        try self.pull {
            $0.dataUpdate.nonce = nonce
            $0.dataUpdate.msgType = .identityMsg
            $0.dataUpdate.data = items
        }
    }

    @Test func missingCertificatesAreAskedForAndOnlyThoseAreTaken() throws {
        var bench = try PeerBench()
        let (peer, missing, unasked) = (try bench.peer(1), try bench.peer(2), try bench.peer(3))
        try bench.meet(peer)
        let (asked, nonce) = try self.offer(
            [missing.pkiID.bytes, bench.engine.local.pkiID.bytes],
            by: peer,
            &bench
        )
        #expect(asked == [missing.pkiID.bytes])
        let update = try self.update(nonce, [Messages.identity(unasked), Messages.identity(missing)])
        bench.receive(update, from: peer)
        #expect(bench.engine.identities.known[missing.pkiID]?.envelope != nil)
        #expect(bench.engine.identities.known[unasked.pkiID] == nil)
        // It can be passed on now.
        let digest = bench.receive(try self.hello(9), from: peer).messages(to: peer).last {
            $0.dataDig.nonce == 9
        }
        #expect(digest?.dataDig.digests.contains(missing.pkiID.bytes) == true)
    }

    @Test func forgedCertificatesAreRefused() throws {
        var bench = try PeerBench()
        let (peer, missing) = (try bench.peer(1), try bench.peer(2))
        try bench.meet(peer)
        let (_, nonce) = try self.offer([missing.pkiID.bytes], by: peer, &bench)
        bench.receive(try self.update(nonce, [Messages.identity(missing, signer: peer)]), from: peer)
        #expect(bench.engine.identities.known[missing.pkiID] == nil)
        var mixed = missing
        mixed.identity = peer.identity
        bench.receive(try self.update(nonce, [Messages.identity(mixed)]), from: peer)
        #expect(bench.engine.identities.known[missing.pkiID] == nil)
        #expect(bench.notes.count { $0.contains("certificate") || $0.contains("identity") } == 1)
    }

    @Test func anOversizedDigestIsRefused() throws {
        var bench = try PeerBench()
        let peer = try bench.peer(1)
        try bench.meet(peer)
        let names = (0...IdentityPull.mostItems).map {
            PKIID(mspID: "X", certificate: Data("\($0)".utf8)).bytes
        }
        #expect(try self.offer(names, by: peer, &bench).asked.isEmpty)
        #expect(bench.notes.contains { $0.contains("offers more than") })
        let many = Array(names.prefix(5_000))
        #expect(try self.offer(many, by: peer, &bench).asked.count == IdentityPull.mostRequested)
    }
}

extension Gossip_GossipMessage {
    fileprivate var isHello: Bool { if case .hello = self.content { true } else { false } }
    fileprivate var isRequest: Bool { if case .dataReq = self.content { true } else { false } }
}
