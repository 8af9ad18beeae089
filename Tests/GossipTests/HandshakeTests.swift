import Channel
import FabricProtos
import Foundation
import GossipSimulation
import SwiftProtobuf
import Testing

@testable import Gossip

@Suite struct HandshakeTests {
    private let hash = Data(repeating: 3, count: 32)

    /// What the bench's peer says to a greeting; `nil` if it accepts.
    private func refusal(_ bench: PeerBench, _ envelope: Gossip_Envelope, hash: Data?) -> String? {
        do {
            _ = try Handshake.check(
                envelope,
                tlsCertificateHash: hash,
                usesTLS: true,
                endpoint: nil,
                identities: bench.engine.identities
            )
            return nil
        } catch {
            return error.description
        }
    }

    private func greeting(
        _ peer: LocalPeer,
        _ change: (inout Gossip_GossipMessage) -> Void
    ) throws -> Gossip_Envelope {
        let original = try Handshake.greeting(of: peer, tlsCertificateHash: self.hash)
        var message = try Gossip_GossipMessage(serializedBytes: original.payload)
        change(&message)
        return try Gossip_Envelope(message, signedBy: peer.sign)
    }

    @Test func aGreetingProvesWhoIsThere() throws {
        let bench = try PeerBench()
        for peer in [try bench.peer(1), try bench.peer(0, of: 1)] {
            let envelope = try Handshake.greeting(of: peer, tlsCertificateHash: self.hash, probe: true)
            let known = try Handshake.check(
                envelope,
                tlsCertificateHash: self.hash,
                usesTLS: true,
                endpoint: "x:1",
                identities: bench.engine.identities
            )
            #expect(known.connection.peer == peer.pkiID)
            #expect(known.connection.identity == peer.identity)
            #expect(known.connection.endpoint == "x:1")
            #expect(known.connection.proof == envelope)
            #expect(known.isProbe)
        }
    }

    @Test func everyFaultHasItsText() throws {
        let bench = try PeerBench()
        let (peer, other) = (try bench.peer(1), try bench.peer(2))
        let good = try Handshake.greeting(of: peer, tlsCertificateHash: self.hash)
        #expect(self.refusal(bench, good, hash: self.hash) == nil)
        #expect(self.refusal(bench, good, hash: nil) == "no TLS certificate")
        #expect(self.refusal(bench, good, hash: Data()) == "no TLS certificate")
        #expect(
            self.refusal(bench, try Messages.alive(peer, incarnation: 1), hash: self.hash) == "wrong type"
        )
        #expect(self.refusal(bench, .with { $0.payload = Data([0xff]) }, hash: self.hash) == "wrong type")
        #expect(
            self.refusal(bench, try self.greeting(peer) { $0.tag = .chanOnly }, hash: self.hash)
                == "wrong tag"
        )
        #expect(
            self.refusal(bench, try self.greeting(peer) { $0.conn.pkiID = Data() }, hash: self.hash)
                == "no PKI-ID"
        )
        #expect(
            self.refusal(bench, try self.greeting(peer) { $0.conn.identity = Data() }, hash: self.hash)
                == "identity is nil"
        )
        #expect(
            self.refusal(
                bench,
                try self.greeting(peer) { $0.conn.pkiID = other.pkiID.bytes },
                hash: self.hash
            )
                == "identity doesn't match the computed pkiID"
        )
        #expect(
            self.refusal(bench, good, hash: Data([1, 2]))
                == "Expected [1 2] in remote hash of TLS cert, but got [\(Array(repeating: "3", count: 32).joined(separator: " "))]"
        )
        var unsigned = good
        unsigned.signature = Data()
        #expect(self.refusal(bench, unsigned, hash: self.hash) == "Empty signature")
        var forged = good
        forged.signature = try other.sign(good.payload)
        #expect(self.refusal(bench, forged, hash: self.hash)?.contains("is not that of") == true)
    }

    @Test func strangersAndTheRevokedAreRefused() throws {
        var bench = try PeerBench(organizations: 2, joins: false)
        let foreign = try bench.peer(0, of: 1)
        let greeting = try Handshake.greeting(of: foreign, tlsCertificateHash: self.hash)
        #expect(
            self.refusal(bench, greeting, hash: self.hash)?.contains("no channel is common to both") == true
        )
        bench.give(.configured(try bench.identities.channel()))
        #expect(self.refusal(bench, greeting, hash: self.hash) == nil)
        bench.give(.configured(try bench.identities.channel(revoked: [1: [0]])))
        #expect(self.refusal(bench, greeting, hash: self.hash)?.contains("revoked") == true)
    }

    @Test func withoutTLSThereIsNoHashToCompare() throws {
        let bench = try PeerBench()
        let greeting = try Handshake.greeting(of: try bench.peer(1), tlsCertificateHash: Data())
        let known = try Handshake.check(
            greeting,
            tlsCertificateHash: nil,
            usesTLS: false,
            endpoint: nil,
            identities: bench.engine.identities
        )
        #expect(!known.isProbe)
    }
}
