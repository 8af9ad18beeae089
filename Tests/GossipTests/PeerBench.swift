import Channel
import FabricProtos
import Foundation
import GossipSimulation
import TestSupport

@testable import Gossip

/// One engine whose inputs are given by hand, and the peers that talk to it.
struct PeerBench {
    let identities: GossipIdentities
    var engine: GossipEngine
    var now: Duration = .zero
    var notes: [String] = []

    static let start: UInt64 = GossipWorld.epoch

    /// The engine is that of the first peer of the first organization.
    init(
        organizations: Int = 2,
        peers: Int = 4,
        options: GossipOptions = GossipOptions(),
        isHidden: Bool = false,
        expiry: Date = Date(timeIntervalSince1970: 4_000_000_000),
        joins: Bool = true
    ) throws {
        self.identities = try GossipIdentities(organizations: organizations, peers: peers, expiry: expiry)
        let local = try self.identities.local(0, of: 0, isHidden: isHidden)
        self.engine = GossipEngine(
            local: local,
            identities: Identities(ownOrganization: local.mspID, local: try self.identities.local(0)),
            options: options,
            random: SplitMix64(seed: 1),
            now: .zero,
            wallClock: Self.start
        )
        if joins { self.give(.configured(try self.identities.channel())) }
    }

    func peer(_ peer: Int, of organization: Int = 0, isHidden: Bool = false) throws -> LocalPeer {
        try self.identities.local(peer, of: organization, isHidden: isHidden)
    }

    @discardableResult
    mutating func give(_ input: GossipInput) -> [GossipEffect] {
        let seconds = UInt64(self.now / .nanoseconds(1))
        let effects = self.engine.step(input, now: self.now, wallClock: Self.start + seconds)
        for case .note(let note) in effects where note.level != .debug { self.notes.append(note.text) }
        return effects
    }

    /// Lets time pass, with a tick every 250 ms.
    @discardableResult
    mutating func wait(_ length: Duration) -> [GossipEffect] {
        let end = self.now + length
        var effects: [GossipEffect] = []
        while self.now < end {
            self.now += .milliseconds(250)
            effects += self.give(.tick)
        }
        return effects
    }

    @discardableResult
    mutating func connect(_ peer: LocalPeer, endpoint: String? = nil) throws -> [GossipEffect] {
        let proof = try Handshake.greeting(of: peer, tlsCertificateHash: Data())
        return self.give(
            .connected(
                GossipConnection(peer: peer.pkiID, identity: peer.identity, proof: proof, endpoint: endpoint)
            )
        )
    }

    @discardableResult
    mutating func receive(_ envelope: Gossip_Envelope, from peer: LocalPeer) -> [GossipEffect] {
        self.give(.received(envelope, from: peer.pkiID))
    }

    /// A peer that is connected and alive.
    mutating func meet(_ peer: LocalPeer, incarnation: UInt64 = start) throws {
        try self.connect(peer)
        let secret = peer.mspID == self.engine.local.mspID ? peer.internalEndpoint : nil
        self.receive(try Messages.alive(peer, incarnation: incarnation, secret: secret), from: peer)
    }

    func isAlive(_ peer: LocalPeer) -> Bool { self.engine.members[peer.pkiID] != nil }
}

extension [GossipEffect] {
    /// What is sent to a peer.
    func messages(to peer: LocalPeer) -> [Gossip_GossipMessage] {
        self.compactMap {
            guard case .send(let envelope, peer.pkiID, _) = $0 else { return nil }
            return try? ReceivedMessage(envelope, from: peer.pkiID).message
        }
    }

    func closesConnection(to peer: LocalPeer) -> Bool {
        self.contains {
            if case .disconnect(peer.pkiID, _) = $0 { true } else { false }
        }
    }
}
