package import Channel
internal import KeyValueStore
internal import Ledger
internal import Logging
internal import ServiceLifecycle

/// A channel that this peer has joined but can't open.
package struct UnopenedChannel: Error, Sendable, CustomStringConvertible {
    package var channel: ChannelID
    package var cause: any Error

    package var description: String {
        "channel \(self.channel) is joined but can't be opened: \(self.cause)"
    }

    /// Whether the disk may take the channel later, without anybody touching its files.
    var mayPass: Bool {
        guard let error = self.cause as? KeyValueStoreError else { return false }
        return error.code != .damaged
    }

    /// Whether no channel in this data folder can be used: another process has it, or it is read-only.
    var concernsWholeFolder: Bool {
        guard let error = self.cause as? KeyValueStoreError else { return self.cause is LedgerFolderError }
        return error.code == .locked || error.code == .notWritable
    }
}

extension ChannelRegistry {
    /// Opens a channel whose ledger is there already; if that fails, remembers why, and the others go on without it.
    ///
    /// - Throws: ``UnopenedChannel`` if the failure concerns the whole data folder.
    package func openStored(_ id: ChannelID) throws {
        do {
            try self.open(id)
            self.note(nil, of: id)
        } catch {
            let failure = UnopenedChannel(channel: id, cause: error)
            if failure.concernsWholeFolder { throw failure }
            self.note(failure, of: id)
        }
    }
}

/// Tries again to open channels for which the disk had no room when the peer started.
struct UnopenedChannels: Service {
    let channels: ChannelRegistry
    let disk: BlockingExecutor
    let logger: Logger
    var firstPause: Duration = .seconds(1)
    var longestPause: Duration = .seconds(30)

    func run() async throws {
        await cancelWhenGracefulShutdown { try? await self.openAll() }
        // A service that ends earlier would end the peer.
        try? await gracefulShutdown()
    }

    /// Returns once nothing is left that may open by itself.
    func openAll() async throws {
        var pause = self.firstPause
        while case let waiting = self.channels.unopened.filter(\.mayPass), !waiting.isEmpty {
            try await Task.sleep(for: pause)
            pause = min(pause * 2, self.longestPause)
            for channel in waiting {
                do {
                    try await withTaskExecutorPreference(self.disk) {
                        try self.channels.openStored(channel.channel)
                    }
                } catch {
                    self.logger.error("channel can't be opened", metadata: ["reason": "\(error)"])
                    continue
                }
                guard self.channels[channel.channel] != nil else { continue }
                self.logger.info("channel opened", metadata: ["channel": "\(channel.channel)"])
            }
        }
    }
}
