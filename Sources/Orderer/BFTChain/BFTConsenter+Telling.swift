internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import Operations
internal import SwiftProtobuf

/// What a consenter of a BFT channel tells clients, readers and the log.
extension BFTConsenter {
    /// Shows who leads, and whether a block of this leader is under way.
    func show() {
        let details = self.chain.details
        self.channel.monitor.withLock { state in
            state.standing.leader = details.leader
            state.inFlight = details.proposable == nil ? 1 : 0
            if state.health != .stopped { state.health = .serving }
        }
        // Each report wakes all readers.
        if self.channel.feed.failure != nil { self.channel.feed.report(failure: nil) }
    }

    /// Those of a block's envelopes that are queued here leave the queue, and whoever waits for them is told.
    ///
    /// - Parameters:
    ///   - applied: the block.
    ///   - count: how many envelopes this node has proposed, from the front of its queue.
    /// - Returns: Whether the block holds just these.
    func settle(_ applied: BFTChain.Applied, proposed count: Int?) -> Bool {
        let envelopes = applied.block.data.data
        let fingerprints = applied.fingerprints
        let update =
            applied.configuration == nil ? nil : OrderingChannel.Waiting.update(named: envelopes.first)
        let (completions, isOwn) = self.channel.monitor.withLock { state in
            let isOwn =
                count == envelopes.count && state.waiting.count >= envelopes.count
                && zip(state.waiting, envelopes).allSatisfy { $0.bytes == $1 }
            var completions = fingerprints.flatMap { state.window.settle($0) }
            if let update {
                completions += state.takeQueued(updates: update).compactMap(\.completion)
            } else {
                state.dropQueued(fingerprints)
            }
            return (completions, isOwn)
        }
        for completion in completions { completion(.accepted) }
        return isOwn
    }

    /// The envelopes are not ordered, or it is not known whether they are.
    func answer(_ batch: [OrderingChannel.Waiting], _ response: Orderer_BroadcastResponse) {
        guard !batch.isEmpty else { return }
        let completions = self.channel.monitor.withLock { state in
            state.dropQueued(batch)
            return batch.flatMap { waiting in
                (waiting.fingerprint.map { state.window.abandon($0) } ?? [])
                    + [waiting.completion].compactMap(\.self)
            }
        }
        for completion in completions { completion(response) }
    }

    /// Nothing becomes of what is queued here, as far as this node knows: others may order it.
    func abandonQueue(_ reason: String) {
        let queued = self.channel.monitor.withLock { Array($0.waiting) }
        self.answer(queued, Refusal.outcomeUnknown(reason).response)
    }

    func publish(_ block: Common_Block) throws {
        self.channel.feed.append(try DeliverableBlock(block))
        self.channel.bftLogger.info(
            "wrote block",
            metadata: self.facts([
                "block": "\(block.header.number)", "transactions": "\(block.data.data.count)",
            ])
        )
    }

    /// A configuration is in force from now on.
    func install(_ configuration: ChannelConfiguration) {
        self.channel.settings.adopted(configuration)
        let membership = self.chain.membership
        self.channel.monitor.withLock { state in
            state.configuration = configuration
            state.standing.membership = membership
        }
        self.network.configure(membership, own: self.chain.id)
    }

    func facts(_ facts: Logger.Metadata) -> Logger.Metadata {
        facts.merging(["channel": "\(self.channel.id)"]) { fact, _ in fact }
    }
}
