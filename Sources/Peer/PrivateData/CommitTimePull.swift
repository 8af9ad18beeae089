internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger
internal import Logging

/// Fetches the private data that a block needs and that did not come before it, while the block waits.
///
/// The block waits at most `pullRetryThreshold`. Once a block has waited in vain for a collection, further blocks ask for
/// it, but don't wait, until something of it comes again: a collection whose members are all gone holds the channel up
/// once, not at every block. Where nobody can be asked, as by the only peer of an organization for its implicit collection,
/// the block waits only as long as gossip needs to find those who are there: two alive intervals. What is still missing then
/// is left to reconciliation.
///
/// - Source: Fabric v3.1, package `gossip/privdata`, `PvtdataProvider`.
struct CommitTimePull {
    let channel: PeerChannel
    let exchange: any PrivateDataExchange
    let options: GossipOptions
    /// The sets that are kept here for a transaction by now: what was pushed may come late.
    let kept: (_ transactionID: String) throws -> [Data]
    /// Where it is told that a block waits, and how that ends.
    let logger: Logger

    private static let pause = Duration.seconds(1)

    /// Looks for what `collected` wants, and puts it where it belongs.
    ///
    /// - Throws: `CancellationError` while it waits; the ledger's error.
    func fill(_ collected: inout PrivateDataCollector.Collected, block: BlockNumber) async throws {
        let record = self.channel.missingPrivateData
        let clock = ContinuousClock()
        let start = clock.now
        var hasWaited = false
        let acquainted = clock.now + self.options.aliveInterval * 2
        let end = clock.now + self.options.pullRetryThreshold
        while !collected.wanted.isEmpty {
            let results = await self.exchange.pull(collected.wanted.map(\.data), on: self.channel.id)
            var open: [PrivateDataCollector.Wanted] = []
            var hopeful: [PrivateDataKey] = []
            var asked = Set<String>()
            for (index, wanted) in collected.wanted.enumerated() {
                let key = PrivateDataKey(block: block, wanted.missing)
                let result =
                    index < results.count
                    ? results[index] : PulledPrivateData(bytes: nil, reason: "nobody was asked")
                if let bytes = try self.complete(result, wanted) {
                    collected.found(wanted.missing, bytes)
                    record.came(key)
                } else {
                    let pause = self.options.reconcileSleepInterval
                    record.failed(key, result, at: Date(), pause: pause)
                    asked.formUnion(result.whom)
                    open.append(wanted)
                    if !result.attempts.isEmpty || clock.now < acquainted { hopeful.append(key) }
                }
            }
            collected.wanted = open
            guard clock.now < end, hopeful.contains(where: record.isWorthWaiting) else {
                for wanted in open { record.gaveUp(PrivateDataKey(block: block, wanted.missing)) }
                break
            }
            if !hasWaited {
                hasWaited = true
                self.tellOfWaiting(for: open, block, asked, atMost: end - start)
            }
            try await Task.sleep(for: Self.pause)
        }
        if hasWaited { self.tellOfEnd(of: clock.now - start, block, without: collected.wanted) }
    }

    private func tellOfWaiting(
        for open: [PrivateDataCollector.Wanted],
        _ block: BlockNumber,
        _ asked: Set<String>,
        atMost limit: Duration
    ) {
        self.logger.warning(
            "a block waits for private data that other members of its collections have",
            metadata: [
                "channel": "\(self.channel.id)",
                "block": "\(block)",
                "collections": "\(Self.collections(of: open))",
                "asked": "\(Self.list(asked))",
                "atMost": "\(Self.seconds(limit)) s",
            ]
        )
    }

    private func tellOfEnd(
        of wait: Duration,
        _ block: BlockNumber,
        without open: [PrivateDataCollector.Wanted]
    ) {
        let metadata: Logger.Metadata = [
            "channel": "\(self.channel.id)", "block": "\(block)", "waited": "\(Self.seconds(wait)) s",
        ]
        guard !open.isEmpty else {
            return self.logger.info("the private data that a block waited for has come", metadata: metadata)
        }
        self.logger.warning(
            """
            a block waited in vain for private data and is committed without it; further blocks do not wait for these \
            collections until some of their data comes; `weft private status` shows what is missing and why
            """,
            metadata: metadata.merging(["collections": "\(Self.collections(of: open))"]) { $1 }
        )
    }

    /// The collections in question; a block has thousands of transactions, but few collections.
    private static func collections(of wanted: [PrivateDataCollector.Wanted]) -> String {
        self.list(Set(wanted.map { "\($0.missing.collection) of \($0.missing.namespace)" }))
    }

    private static func list(_ names: Set<String>) -> String {
        let shown = names.sorted().prefix(10).joined(separator: ", ")
        return names.count > 10 ? "\(shown) and \(names.count - 10) more" : shown
    }

    private static func seconds(_ duration: Duration) -> String {
        (duration / .seconds(1)).formatted(.number.precision(.fractionLength(0...1)).grouping(.never))
    }

    /// The very bytes that were endorsed, from another peer or by now from here.
    private func complete(
        _ result: PulledPrivateData,
        _ wanted: PrivateDataCollector.Wanted
    ) throws -> Data? {
        if let bytes = result.bytes, wanted.data.hashes.match(bytes) == .whole { return bytes }
        return try self.kept(wanted.data.digest.txID).first { wanted.data.hashes.match($0) == .whole }
    }
}

extension PulledPrivateData {
    /// Who was asked in vain; why nobody was, if so.
    fileprivate var whom: [String] {
        guard !self.attempts.isEmpty else { return ["nobody: \(self.reason)"] }
        return self.attempts.map { attempt in
            attempt.mspID.map { "\(attempt.peer) of \($0)" } ?? attempt.peer
        }
    }
}
