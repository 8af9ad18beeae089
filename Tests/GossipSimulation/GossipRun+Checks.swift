import Channel
import FabricProtos
import Foundation
import Gossip
import Simulation
import SwiftProtobuf

/// What must hold after every step, and at the end.
extension GossipRun {
    // MARK: - After every step

    /// Nothing leaves for a peer that the sender knows to be expelled.
    func checkLeaving(_ envelope: Gossip_Envelope, from number: Int, to peer: PKIID) {
        guard peer == self.name(of: self.revoked), !self.liars.contains(number),
            self.storages[number].height > Int(self.revocation)
        else { return }
        self.violated(
            "peer \(number) sends to peer \(self.revoked), whose certificate it knows to be revoked"
        )
    }

    /// Private data reaches only those who are entitled to it; inner addresses and hidden peers stay inside.
    func checkArrival(_ envelope: Gossip_Envelope, from sender: PKIID, at number: Int) {
        self.record(envelope)
        guard let from = self.world.number(of: sender), !self.liars.contains(from) else { return }
        if envelope.payload.count > 60 {
            for (index, collection) in self.collections.enumerated() where !self.isEntitled(number, to: index)
            {
                guard envelope.payload.range(of: collection.mark) == nil else {
                    return self.violated(
                        "private data of \(collection.name) reached peer \(number), which is no member"
                    )
                }
            }
        }
        for alive in Messages.aliveMessages(in: envelope) {
            guard let author = Messages.author(of: alive), let about = self.world.number(of: author),
                self.organization(of: about) != self.organization(of: number)
            else { continue }
            if alive.hasSecretEnvelope {
                self.violated(
                    "peer \(number) was told the inner address of peer \(about) of another organization"
                )
            }
            if self.hidden.contains(about) {
                self.violated(
                    "peer \(number) was told of peer \(about), which other organizations must not see"
                )
            }
        }
    }

    private func record(_ envelope: Gossip_Envelope) {
        guard let message = try? Gossip_GossipMessage(serializedBytes: envelope.payload),
            case .aliveMsg(let alive) = message.content, let author = PKIID(alive.membership.pkiID)
        else { return }
        if self.newest[author].map({ alive.timestamp.isNewer(than: $0) }) ?? true {
            self.newest[author] = alive.timestamp
        }
        if self.recorded.count < 500 {
            self.recorded.append(envelope)
        } else {
            self.recorded[self.dice.below(500)] = envelope
        }
    }

    /// What a peer believes of another is what that one said.
    func checkMembers(_ envelope: Gossip_Envelope, at number: Int) {
        let members = self.world.peers[number].engine.members
        for alive in Messages.aliveMessages(in: envelope) {
            guard let author = Messages.author(of: alive), let member = members[author],
                let about = self.world.number(of: author), !self.liars.contains(about)
            else { continue }
            let local = self.world.peers[about].local
            let isTrue =
                member.externalEndpoint == local.externalEndpoint
                && member.internalEndpoint ?? local.internalEndpoint == local.internalEndpoint
            if !isTrue {
                self.violated("peer \(number) believes that peer \(about) is at \(member.endpoint ?? "")")
            }
        }
    }

    /// What bad peers do is noted a bounded number of times.
    func checkNotes(of number: Int) {
        let warnings = self.world.peers[number].notes.count { $0.level == .warning }
        if warnings > Self.mostWarnings {
            self.violated(
                "peer \(number) has noted \(warnings) warnings: once for each peer and kind would be fewer"
            )
        }
    }

    private static let mostWarnings = 200

    // MARK: - At the end

    /// Rounds of `pullInterval` after which all must know and have everything.
    package static let rounds = 25

    /// Why the network has not converged; `nil` if it has.
    func whatIsMissing() -> String? {
        let honest = self.storages.indices.filter {
            self.world.peers[$0].isUp && !self.liars.contains($0) && $0 != self.revoked
        }
        for number in honest {
            let members = self.world.peers[number].engine.members
            for other in self.storages.indices where other != number && !self.liars.contains(other) {
                let isSeen = members[self.name(of: other)] != nil
                let isThere =
                    self.world.peers[other].isUp && other != self.revoked && self.maySee(number, other)
                guard isSeen != isThere else { continue }
                return "peer \(number) \(isSeen ? "still sees" : "does not see") peer \(other)"
            }
            guard self.storages[number].height == self.chain.count else {
                return "peer \(number) has \(self.storages[number].height) of \(self.chain.count) blocks"
            }
            if let id = self.lacking(number).first {
                return
                    "peer \(number) lacks private value \(id) of \(self.collections[self.values[id].collection].name)"
            }
            let claimed = self.world.peers[number].engine.channels[self.channel]?.blocks.members ?? [:]
            for other in honest where other != number && self.maySee(number, other) {
                guard claimed[self.name(of: other)]?.height == BlockNumber(self.chain.count) else {
                    return "peer \(number) does not know the height of peer \(other)"
                }
            }
        }
        return nil
    }

    private func maySee(_ number: Int, _ other: Int) -> Bool {
        self.organization(of: number) == self.organization(of: other)
            || !self.hidden.contains(number) && !self.hidden.contains(other)
    }
}
