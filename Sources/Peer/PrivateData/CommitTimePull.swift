internal import Channel
internal import FabricProtos
internal import Foundation
internal import Gossip
internal import Ledger

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

    private static let pause = Duration.seconds(1)

    /// Looks for what `collected` wants, and puts it where it belongs.
    ///
    /// - Throws: `CancellationError` while it waits; the ledger's error.
    func fill(_ collected: inout PrivateDataCollector.Collected, block: BlockNumber) async throws {
        let record = self.channel.missingPrivateData
        let clock = ContinuousClock()
        let acquainted = clock.now + self.options.aliveInterval * 2
        let end = clock.now + self.options.pullRetryThreshold
        while !collected.wanted.isEmpty {
            let results = await self.exchange.pull(collected.wanted.map(\.data), on: self.channel.id)
            var open: [PrivateDataCollector.Wanted] = []
            var hopeful: [PrivateDataKey] = []
            for (index, wanted) in collected.wanted.enumerated() {
                let key = PrivateDataKey(block: block, wanted.missing)
                let result =
                    index < results.count
                    ? results[index] : PulledPrivateData(bytes: nil, reason: "nobody was asked")
                if let bytes = try self.complete(result, wanted) {
                    collected.found(wanted.missing, bytes)
                    record.came(key)
                } else {
                    record.failed(key, result, at: Date())
                    open.append(wanted)
                    if !result.attempts.isEmpty || clock.now < acquainted { hopeful.append(key) }
                }
            }
            collected.wanted = open
            guard clock.now < end, hopeful.contains(where: record.isWorthWaiting) else {
                for wanted in open { record.gaveUp(PrivateDataKey(block: block, wanted.missing)) }
                return
            }
            try await Task.sleep(for: Self.pause)
        }
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
