internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger
internal import Logging

/// Fetches private data that blocks were committed without.
///
/// The newest blocks first. What the peers that can be reached don't have is tried again after a pause that doubles each
/// time, up to an hour, so that it doesn't keep the rest from being looked for; what nobody could be asked for is tried
/// each time. What the peer has become a member for is looked for, what it is no member for any more is not.
///
/// - Source: Fabric v3.1, package `gossip/privdata`, reconciler.
struct PrivateDataReconciler {
    private struct Item {
        var block: BlockNumber
        var missing: MissingPrivateData
        var wanted: WantedPrivateData

        var key: PrivateDataKey { PrivateDataKey(block: self.block, self.missing) }
    }

    private struct Postponed {
        var due: ContinuousClock.Instant
        var pause: Duration
    }

    private let channel: PeerChannel
    private let identity: RenewableIdentity
    private let link: PrivateDataLink
    private let disk: BlockingExecutor
    private let logger: Logger
    private var postponed: [BlockNumber: Postponed] = [:]

    private static let longestPause = Duration.seconds(3_600)
    /// Blocks whose next trial is remembered; then all are tried again.
    private static let maximumPostponed = 100_000
    /// Things of one block, or several, that are asked for together.
    private static let maximumItems = 5_000

    init(
        channel: PeerChannel,
        identity: RenewableIdentity,
        link: PrivateDataLink,
        disk: BlockingExecutor,
        logger: Logger
    ) {
        self.channel = channel
        self.identity = identity
        self.link = link
        self.disk = disk
        self.logger = logger
    }

    /// Tries once to get what is missing from a number of blocks.
    ///
    /// - Returns: how many things came.
    @discardableResult
    mutating func run(now: ContinuousClock.Instant = .now) async throws -> Int {
        guard let exchange = self.link.exchange, self.link.options.reconciliationEnabled else { return 0 }
        let limit = max(1, self.link.options.reconcileBatchSize)
        let postponed = self.postponed.filter { $0.value.due > now }
        let channel = self.channel
        let later = Set(postponed.keys)
        let identity = self.identity.current.serialized
        let (items, claimed) = try await self.onDisk {
            var standings = CollectionStandings(channel, identity: identity)
            let claimed = try channel.ledger.claimPrivateData(&standings)
            return (try Self.missing(in: channel, limit, later, &standings), claimed)
        }
        if claimed > 0 {
            self.logger.info(
                "this peer has become a member of private collections; data of before is fetched",
                metadata: ["channel": "\(channel.id)", "sets": "\(claimed)"]
            )
        }
        guard !items.isEmpty else { return 0 }
        let results = await exchange.pull(items.map(\.wanted), on: self.channel.id)
        guard results.count == items.count else { return 0 }
        let found = zip(items, results).filter { $1.bytes != nil }
        let late = found.map { item, result in
            LatePrivateWrites(
                block: item.block,
                set: PrivateWriteSet(
                    transaction: item.missing.transaction,
                    namespace: item.missing.namespace,
                    collection: item.missing.collection,
                    bytes: result.bytes ?? Data()
                )
            )
        }
        let outcomes =
            late.isEmpty ? [] : try await self.onDisk { try channel.ledger.add(late: late) }
        self.note(items, results, found.map(\.0), outcomes, now)
        let count = outcomes.count { $0 == .added }
        if count > 0 {
            self.logger.info(
                "private data that was missing has come",
                metadata: ["channel": "\(channel.id)", "sets": "\(count)"]
            )
        }
        return count
    }

    private mutating func note(
        _ items: [Item],
        _ results: [PulledPrivateData],
        _ found: [Item],
        _ outcomes: [LatePrivateDataOutcome],
        _ now: ContinuousClock.Instant
    ) {
        var refusals: [PrivateDataKey: String] = [:]
        var settled = Set<PrivateDataKey>()
        for (item, outcome) in zip(found, outcomes) {
            if case .refused(let reason) = outcome {
                refusals[item.key] = reason
            } else {
                settled.insert(item.key)
                self.channel.missingPrivateData.came(item.key)
            }
        }
        let open = zip(items, results).filter { !settled.contains($0.0.key) }
        let lacking = Set(open.map(\.0.block))
        let unanswered = Set(
            open.filter { $1.attempts.isEmpty && refusals[$0.key] == nil }.map(\.0.block)
        )
        if self.postponed.count > Self.maximumPostponed { self.postponed = [:] }
        for block in Set(items.map(\.block)) {
            guard lacking.contains(block), !unanswered.contains(block) else {
                self.postponed[block] = nil
                continue
            }
            let pause =
                self.postponed[block].map { $0.pause * 2 } ?? self.link.options.reconcileSleepInterval
            let bounded = min(pause, Self.longestPause)
            self.postponed[block] = Postponed(due: now + bounded, pause: bounded)
        }
        let time = Date()
        for (item, result) in open {
            var result = result
            if let refusal = refusals[item.key] { result.reason = "what came is refused: \(refusal)" }
            let pause = self.postponed[item.block]?.pause ?? self.link.options.reconcileSleepInterval
            self.channel.missingPrivateData.failed(item.key, result, at: time, pause: pause)
        }
    }

    /// What is missing from the newest blocks, but for those that are to be tried later.
    private static func missing(
        in channel: PeerChannel,
        _ limit: Int,
        _ later: Set<BlockNumber>,
        _ standings: inout CollectionStandings
    ) throws -> [Item] {
        var blocks = Set<BlockNumber>()
        var items: [Item] = []
        try channel.ledger.forEachMissingPrivateData { block, missing in
            guard !later.contains(block),
                try standings.standing(of: missing.collection, in: missing.namespace) == .member,
                let envelope = try channel.ledger.envelope(block: block, index: missing.transaction),
                let wanted = WantedPrivateData(
                    missing,
                    block: block,
                    envelope: envelope,
                    definition: try standings.definition(of: missing.namespace)
                )
            else { return true }
            if blocks.insert(block).inserted, blocks.count > limit { return false }
            items.append(Item(block: block, missing: missing, wanted: wanted))
            return items.count < Self.maximumItems
        }
        return items
    }

    private func onDisk<Value: Sendable>(
        _ work: @Sendable () throws -> Value
    ) async throws -> Value {
        try await withTaskExecutorPreference(self.disk) { try await Self.run(work) }
    }

    private static func run<Value>(_ work: @Sendable () throws -> Value) async throws -> Value { try work() }
}
