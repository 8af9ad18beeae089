internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import SwiftProtobuf

/// How a consenter gets blocks that no message of the others brings.
extension Consenter {
    /// What is being pulled, and why.
    struct Pulling {
        var blocks: MissingBlocks
        /// What the leader sent in place of entries that it has no more; `nil` while there is no leader.
        var snapshot: RaftSnapshot?
    }

    /// A consenter that hears from nobody may have been removed: the other orderers' blocks tell.
    func suspectEviction() throws {
        let now = self.channel.settings.clock()
        guard self.leader == nil, self.pulling == nil, self.chain.membership.members.count > 1,
            now - self.leaderlessSince >= Self.suspicion
        else { return }
        self.leaderlessSince = now
        self.tellWhoIsMissing()
        if self.chain.membership.members.count > 2 {
            self.channel.feed.report(failure: "channel \(self.channel.id) has no leader")
        }
        self.pull(through: nil, for: nil)
    }

    /// Begins to get the blocks that the leader's log has no more.
    func catchUp(through snapshot: RaftSnapshot) throws {
        let number: BlockNumber
        do {
            number = try Common_Block(serializedBytes: snapshot.data).header.number
        } catch {
            throw ChainHalted(reason: "the leader's snapshot holds no readable block: \(error)")
        }
        self.channel.settings.logger.info(
            "pulling blocks: the leader's log has no more of them",
            metadata: self.facts(["height": "\(self.chain.log.height)", "through": "\(number)"])
        )
        self.pull(through: number, for: snapshot)
        try self.pullOn()
    }

    private func pull(through number: BlockNumber?, for snapshot: RaftSnapshot?) {
        let own = self.chain.membership.member(self.chain.id)?.endpoint
        let blocks = MissingBlocks(
            BlockPuller(channel: self.channel),
            sources: self.chain.configuration.blockSources.filter { $0.address != own },
            through: number,
            patience: number == nil ? .seconds(1) : .seconds(3)
        )
        self.pulling = Pulling(blocks: blocks, snapshot: snapshot)
    }

    /// Appends what has come in.
    func pullOn() throws {
        guard let pulling else { return }
        let now = self.channel.settings.clock()
        if let number = pulling.blocks.through, self.chain.log.height > number {
            return try self.endPulling()
        }
        guard let blocks = try pulling.blocks.take(from: self.chain.log.height, at: now) else {
            return try self.endPulling()
        }
        do {
            // Consensus may have brought some of them meanwhile.
            for block in blocks where block.header.number >= self.chain.log.height {
                let applied = try self.chain.append(pulled: block)
                try self.publish(applied.block)
                if let configuration = applied.configuration { self.install(configuration) }
                self.settle(block: applied)
                if block.header.number == pulling.blocks.through { return try self.endPulling() }
            }
        } catch {
            try pulling.blocks.reject(error)
        }
    }

    /// Tells the engine whether this node has now what the leader's snapshot stands for.
    private func endPulling() throws {
        guard let pulling else { return }
        self.pulling = nil
        guard let snapshot = pulling.snapshot, let number = pulling.blocks.through else { return }
        let isDone = self.chain.log.height > number
        if isDone { try self.chain.close() }
        try self.absorb(
            self.chain.take([.command(isDone ? .caughtUp(snapshot) : .catchUpFailed)]) { self.decided($0) }
        )
        try self.follow()
    }
}
