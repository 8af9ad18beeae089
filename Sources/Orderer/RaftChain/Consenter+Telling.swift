internal import Channel
internal import Consensus
internal import FabricProtos
internal import Foundation
internal import Ledger
internal import Logging
internal import SwiftProtobuf

/// What a consenter tells clients, readers and the log.
extension Consenter {
    /// The envelopes are in a block that is durable.
    func settle(_ batch: [OrderingChannel.Waiting]) {
        var completions: [DuplicateWindow.Completion] = []
        completions.reserveCapacity(batch.count)
        self.channel.monitor.withLock { state in
            for waiting in batch {
                if let fingerprint = waiting.fingerprint { completions += state.window.settle(fingerprint) }
                if let completion = waiting.completion { completions.append(completion) }
            }
        }
        for completion in completions { completion(.accepted) }
    }

    /// A block that was not proposed here is durable: those of its envelopes that came through this node are answered.
    func settle(block applied: RaftChain.Applied) {
        if applied.configuration != nil {
            return self.settle(self.forwarded.take(configIn: applied.block))
        }
        let fingerprints = applied.block.data.data.map { EnvelopeFingerprint($0) }
        self.forwarded.remove(fingerprints)
        let completions = self.channel.monitor.withLock { state in
            state.forwarded = self.forwarded.count
            return fingerprints.flatMap { state.window.settle($0) }
        }
        for completion in completions { completion(.accepted) }
    }

    /// What came in while this leader did not know all blocks of the earlier ones may be in them.
    func dropOrdered() {
        let now = self.channel.settings.clock()
        self.channel.monitor.withLock { state in
            let window = state.window
            let count = state.waiting.count
            state.waiting.removeAll { $0.fingerprint.map(window.hasOrdered) ?? false }
            guard state.waiting.count < count else { return }
            state.waitingBytes = state.waiting.reduce(0) { $0 + $1.bytes.count }
            state.cutter.rebound(
                state.cutter.bounds,
                queue: state.waiting.lazy.map { ($0.size, $0.isConfig) },
                at: now
            )
        }
    }

    /// The envelopes are not ordered, or it is not known whether they are.
    func answer(_ batch: [OrderingChannel.Waiting], _ response: Orderer_BroadcastResponse) {
        guard !batch.isEmpty else { return }
        var completions: [DuplicateWindow.Completion] = []
        self.channel.monitor.withLock { state in
            state.forwarded = self.forwarded.count
            state.forwardedBytes = self.forwarded.bytes
            for waiting in batch {
                if let fingerprint = waiting.fingerprint { completions += state.window.abandon(fingerprint) }
                if let completion = waiting.completion { completions.append(completion) }
            }
        }
        for completion in completions { completion(response) }
    }

    /// A consenter without its store doesn't vote before all others have answered it: an operator has to know.
    func tellWhoIsMissing() {
        guard let missing = self.chain.details.unheard else { return }
        let names = missing.map { id in
            "\(id) (\(self.chain.membership.member(id)?.endpoint ?? "unknown"))"
        }
        let reason =
            "this consenter has no consensus store of the channel: it is new, or its disk was lost; it orders and votes once "
            + "all other consenters have answered it: start those that don't run, or remove them from the channel; "
            + "if they were removed since, it learns that by itself within seconds"
        self.channel.settings.logger.warning(
            "\(reason)",
            metadata: self.facts(["missing": "\(names.joined(separator: ", "))"])
        )
    }

    func noteForwarded() {
        let (count, bytes) = (self.forwarded.count, self.forwarded.bytes)
        self.channel.monitor.withLock { state in
            state.forwarded = count
            state.forwardedBytes = bytes
        }
    }

    func publish(_ block: Common_Block) throws {
        self.channel.feed.append(try DeliverableBlock(block))
        self.channel.settings.logger.info(
            "wrote block",
            metadata: self.facts([
                "block": "\(block.header.number)", "transactions": "\(block.data.data.count)",
            ])
        )
    }

    /// A configuration is in force from now on.
    func install(_ configuration: ChannelConfiguration) {
        let settings = self.channel.settings
        settings.adopted(configuration)
        let membership = self.chain.membership
        let change = self.chain.unfinishedChange
        self.channel.monitor.withLock { state in
            state.configuration = configuration
            // Of two consenters, Raft needs both for the removal of one.
            if case .remove(let id) = change, let member = state.standing.membership?.member(id) {
                state.standing.departing = member
            }
            state.standing.membership = membership
            state.cutter.rebound(
                BatchBounds(configuration),
                queue: state.waiting.lazy.map { ($0.size, $0.isConfig) },
                at: settings.clock()
            )
        }
        // Those who are being removed are still told, until they are.
        if case .remove = change { return }
        self.links.configure(membership, own: self.chain.id)
    }

    /// A leader tells the others whom it hears from, as Fabric's do.
    ///
    /// One that was only just elected doesn't know before it has heard from all of them.
    func noteActive(_ heard: [NodeID]) {
        let isNew = self.ticks - self.electedTick < self.chain.consenters.options.electionTick
        let active = isNew && heard.count <= self.others.count ? [] : heard
        if active != self.active {
            self.active = active
            self.toldActive = self.ticks
            self.channel.monitor.withLock { $0.standing.active = active }
        }
    }

    /// What goes along with a heartbeat: who is active, for some ticks after that changed, and now and then.
    func heartbeatMetadata() -> Data {
        let age = self.ticks - self.toldActive
        guard !self.active.isEmpty, age < 4 || age % 40 == 0 else { return Data() }
        var metadata = Etcdraft_ClusterMetadata()
        metadata.activeNodes = self.active
        return (try? metadata.serializedBytes()) ?? Data()
    }

    func facts(_ facts: Logger.Metadata) -> Logger.Metadata {
        facts.merging(["channel": "\(self.channel.id)"]) { fact, _ in fact }
    }
}
