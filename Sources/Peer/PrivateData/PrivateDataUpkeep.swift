internal import Channel
internal import Foundation
internal import Gossip
internal import Ledger
internal import Logging
internal import ServiceLifecycle

/// What is done about the private data of every channel from time to time: what is missing is fetched, and what was
/// endorsed long ago and never committed is forgotten.
struct PrivateDataUpkeep: Service {
    let channels: ChannelRegistry
    /// The peer's own identity, which decides what it may have.
    let identity: RenewableIdentity
    let link: PrivateDataLink
    let disk: BlockingExecutor
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                for await channel in self.channels.joined() {
                    group.addTask { await self.keepUp(channel) }
                }
                group.cancelAll()
            }
        }
    }

    private func keepUp(_ channel: PeerChannel) async {
        var reconciler = PrivateDataReconciler(
            channel: channel,
            identity: self.identity,
            link: self.link,
            disk: self.disk,
            logger: self.logger
        )
        while (try? await Task.sleep(for: self.link.options.reconcileSleepInterval)) != nil {
            do {
                try await withTaskExecutorPreference(self.disk) { try await self.forget(channel) }
                try await reconciler.run()
            } catch is CancellationError {
                return
            } catch {
                self.logger.warning(
                    "the private data of a channel can't be looked after; it is tried again",
                    metadata: ["channel": "\(channel.id)", "reason": "\(error)"]
                )
            }
        }
    }

    /// Forgets transactions that were endorsed so many blocks ago that they will not be committed.
    private func forget(_ channel: PeerChannel) async throws {
        let height = channel.ledger.height
        let retention = self.link.options.transientstoreMaxBlockRetention
        guard retention > 0, height > retention else { return }
        try channel.ledger.transient.removeAll(below: height - retention)
    }
}
