internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import SwiftProtobuf

/// What a leader does when its channel gets other consenters.
extension Consenter {
    /// A leader has Raft make the change that the newest configuration asks for; refused while one is under way.
    func proposeChange() throws {
        guard self.isCaughtUp, let change = self.chain.unfinishedChange else { return }
        try self.absorb(self.chain.take([.command(.changeVoters(change))]) { self.decided($0) })
        try self.follow()
    }

    /// Whether this leader would be removed, or shown other certificates than it has.
    func mustAbdicate(for update: OrderingChannel.Waiting) -> Bool {
        guard self.chain.membership.members.count > 1,
            let envelope = try? Common_Envelope(serializedBytes: update.bytes),
            let payload = try? Common_Payload(serializedBytes: envelope.payload),
            let config = try? Common_ConfigEnvelope(serializedBytes: payload.data).config,
            let configuration = try? ChannelConfiguration(channelID: self.channel.id, config: config),
            let next = try? RaftConsenters(configuration),
            let change = try? ConsenterChange(
                from: self.chain.consenters,
                to: next,
                metadata: self.chain.metadata
            )
        else { return false }
        return change.concerns(self.chain.id)
    }

    /// Hands leadership to the follower that holds most, and tries again when that did not work.
    func abdicate() throws {
        guard let transferring = self.transferring, self.electedAt != nil else { return }
        guard self.chain.details.transferee == nil else { return }
        guard self.successor != nil, transferring.attempts < Self.transferAttempts else {
            self.transferring = nil
            let reason = "no other consenter takes over, which this update needs: start another one"
            return self.answer([transferring.update], Refusal.notOrdered(reason).response)
        }
        self.transferring?.attempts += 1
        try self.handOver()
    }

    /// Whether Raft is done on this channel; a leader goes on for some ticks, so that the others learn that the block is
    /// decided.
    var hasMigrated: Bool {
        guard self.chain.isMigrated else { return false }
        let since = self.migratedTick ?? self.ticks
        self.migratedTick = since
        return self.leader != self.chain.id || self.chain.membership.members.count == 1
            || self.ticks - since > 2 * self.chain.consenters.options.heartbeatTick
    }
}
