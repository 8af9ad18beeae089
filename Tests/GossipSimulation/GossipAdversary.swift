import Channel
import FabricProtos
import Foundation
import Gossip
import Simulation
import SwiftProtobuf

/// What a peer does that lies: it has a certificate and a connection, and writes what it likes.
extension GossipRun {
    func lie() {
        for liar in self.liars.sorted() where self.world.peers[liar].isUp {
            let connections = self.world.peers[liar].engine.connections.keys.sorted()
            guard let target = self.dice.pick(connections), let victim = self.world.number(of: target),
                self.world.peers[victim].isUp
            else { continue }
            do {
                for envelope in try self.lies(of: liar, to: victim) {
                    self.world.post(envelope, from: liar, to: victim)
                }
            } catch {
                self.violated("a liar cannot lie: \(error)")
            }
        }
    }

    private func lies(of liar: Int, to victim: Int) throws -> [Gossip_Envelope] {
        let own = self.world.peers[liar].local
        let other = self.world.peers[self.dice.below(self.storages.count)].local
        switch self.dice.below(14) {
        case 0, 1: return [self.dice.pick(self.recorded), self.dice.pick(self.recorded)].compactMap { $0 }
        case 2:
            // Of another, with the liar's own signature.
            let time = self.newest[other.pkiID]?.incNum ?? self.world.wallClock
            return [
                try Messages.alive(
                    other,
                    incarnation: time &+ UInt64(self.dice.below(1_000)),
                    sequence: UInt64(self.dice.below(1_000_000)),
                    endpoint: "evil.sim:1",
                    secret: self.dice.chance(500) ? "evil.sim:2" : nil,
                    signer: own
                )
            ]
        case 3: return [try Messages.alive(own, incarnation: .max - UInt64(self.dice.below(5)))]
        case 4:
            // An equivocation: others get another message with the same number.
            return [
                try Messages.alive(
                    own,
                    incarnation: self.world.wallClock,
                    sequence: 7,
                    endpoint: "liar\(self.dice.below(100)).sim:1"
                )
            ]
        case 5: return [try self.stateInfo(of: own, height: .max - UInt64(self.dice.below(3)))]
        case 6:
            return [
                try self.stateInfo(of: own, height: 1 << 40),
                try self.stateInfo(of: other, by: own, height: 9),
            ]
        case 7:
            return [
                try self.request(for: self.values.suffix(20)), try self.request(for: self.values.prefix(20)),
            ]
        case 8: return try self.blocks(of: liar)
        case 9: return Array(repeating: .with { $0.payload = Data([0xff]) }, count: 50)
        case 10:
            return [try Messages.membershipRequest(Messages.alive(other, incarnation: self.world.wallClock))]
        case 11: return try self.pulls(of: other, by: own)
        case 12:
            return [
                try Messages.unsigned {
                    $0.tag = .chanOrOrg
                    $0.channel = Data(self.channel.description.utf8)
                    $0.stateRequest.endSeqNum = .max
                },
                try Messages.unsigned {
                    $0.tag = .chanOrOrg
                    $0.channel = Data("elsewhere".utf8)
                    $0.stateRequest.endSeqNum = 5
                },
            ]
        default:
            let hello = try Messages.unsigned {
                $0.tag = .empty
                $0.hello.nonce = self.dice.number()
                $0.hello.msgType = .identityMsg
            }
            return Array(repeating: hello, count: 30)
        }
    }

    private func stateInfo(of peer: LocalPeer, by signer: LocalPeer? = nil, height: UInt64) throws
        -> Gossip_Envelope
    {
        let message = Gossip_GossipMessage.with {
            $0.tag = .chanOrOrg
            $0.stateInfo.timestamp.incNum = self.world.wallClock
            $0.stateInfo.timestamp.seqNum = self.world.wallClock
            $0.stateInfo.pkiID = peer.pkiID.bytes
            $0.stateInfo.channelMac = self.channel.mac(of: peer.pkiID.bytes)
            $0.stateInfo.properties.ledgerHeight = height
        }
        return try Gossip_Envelope(message, signedBy: (signer ?? peer).sign)
    }

    /// Asks for private data, whoever may have it.
    private func request(for values: some Sequence<SimulatedValue>) throws -> Gossip_Envelope {
        let digests = values.map { $0.digest(self.collections[$0.collection].name) }
        return try Messages.unsigned {
            $0.tag = .chanOnly
            $0.nonce = self.dice.number()
            $0.channel = Data(self.channel.description.utf8)
            $0.privateReq.digests = digests
        }
    }

    /// Forged blocks, pushed, and as an answer that nobody asked for.
    private func blocks(of liar: Int) throws -> [Gossip_Envelope] {
        let blocks = self.chain.suffix(3).map { Self.payload(self.lie(about: $0, liar)) }
        let next = try self.block(
            after: self.chain.last?.header,
            text: "a lie",
            signer: self.identities.organizations[self.organization(of: liar)].peers[
                liar % self.perOrganization
            ]
        )
        return [
            try Messages.unsigned {
                $0.tag = .chanOrOrg
                $0.nonce = self.dice.number()
                $0.channel = Data(self.channel.description.utf8)
                $0.stateResponse.payloads = blocks
            },
            try Messages.unsigned {
                $0.tag = .chanAndOrg
                $0.channel = Data(self.channel.description.utf8)
                $0.dataMsg.payload = Self.payload(next)
            },
        ]
    }

    /// Digests and certificates that nobody asked for.
    private func pulls(of other: LocalPeer, by own: LocalPeer) throws -> [Gossip_Envelope] {
        var mixed = other
        mixed.identity = own.identity
        let items = [try Messages.identity(other, signer: own), try Messages.identity(mixed)]
        return [
            try Messages.unsigned {
                $0.tag = .empty
                $0.dataDig.nonce = self.dice.number()
                $0.dataDig.msgType = .identityMsg
                $0.dataDig.digests = (0..<200).map { Data(repeating: UInt8($0), count: 32) }
            },
            try Messages.unsigned {
                $0.tag = .empty
                $0.dataUpdate.nonce = self.dice.number()
                $0.dataUpdate.msgType = .identityMsg
                $0.dataUpdate.data = items
            },
        ]
    }
}
