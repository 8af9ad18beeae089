package import Channel
internal import Foundation
internal import KeyValueStore
internal import Ledger

/// Takes a channel off a peer that is stopped: its blocks, its state and its private data.
///
/// The ledger's folder gets a name first that no channel can have, and is deleted then. Whatever interrupts that,
/// the channel is there or gone, never half there: the rest is deleted when the peer starts, or with the next
/// removal.
///
/// - Source: Fabric v3, command `peer node unjoin`.
package enum ChannelRemoval {
    /// Names of channels begin with a letter.
    private static let prefix = ".removed-"

    /// Removes a channel.
    ///
    /// - Parameters:
    ///   - id: the channel.
    ///   - dataFolder: the peer's data folder.
    /// - Throws: ``ChannelRemovalError`` if the peer runs, has no such channel, or its files can't be deleted.
    package static func remove(_ id: ChannelID, dataFolder: String) throws(ChannelRemovalError) {
        let channels = LedgerFolder.path(in: dataFolder)
        let folder = "\(channels)/\(id)"
        guard FileManager.default.fileExists(atPath: folder) else {
            let known = Self.channels(in: channels)
            throw ChannelRemovalError(
                "there is no channel \(id) in \(channels); "
                    + (known.isEmpty ? "it holds none" : "it holds \(known.joined(separator: ", "))"),
                isUnknownChannel: true
            )
        }
        let lock = try Self.lock(folder)
        let removed = "\(channels)/\(Self.prefix)\(id)"
        do {
            if FileManager.default.fileExists(atPath: removed) {
                try FileManager.default.removeItem(atPath: removed)
            }
            try FileManager.default.moveItem(atPath: folder, toPath: removed)
        } catch {
            throw ChannelRemovalError(
                "channel \(id) can't be removed from \(channels): \(error.localizedDescription)"
            )
        }
        Self.synchronize(channels)
        withExtendedLifetime(lock) {}
        do {
            try Self.finish(in: channels)
        } catch {
            throw ChannelRemovalError("channel \(id) is removed, but files of it are left: \(error)")
        }
    }

    /// Deletes what interrupted removals left.
    static func finish(in channels: String) throws(LedgerFolderError) {
        do {
            for name in try FileManager.default.contentsOfDirectory(atPath: channels)
            where name.hasPrefix(Self.prefix) {
                try FileManager.default.removeItem(atPath: "\(channels)/\(name)")
            }
        } catch {
            throw LedgerFolderError(folder: channels, reason: error.localizedDescription)
        }
    }

    private static func channels(in folder: String) -> [String] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { (try? ChannelID($0)) != nil }.sorted()
    }

    /// Holds what keeps a peer from opening the ledger, or finds that one has it open.
    ///
    /// A damaged ledger can be removed, too.
    private static func lock(_ folder: String) throws(ChannelRemovalError) -> LedgerStores? {
        do {
            return try LedgerStores.open(folder: folder)
        } catch {
            guard error.code != .locked else {
                throw ChannelRemovalError("the peer runs and has \(folder) open; stop it first")
            }
            return nil
        }
    }

    /// Makes the new name of a folder durable, where the file system can.
    private static func synchronize(_ folder: String) {
        let descriptor = open(folder, O_RDONLY | O_DIRECTORY)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        close(descriptor)
    }
}

/// A channel that can't be taken off a peer.
package struct ChannelRemovalError: Error, Sendable, CustomStringConvertible {
    package var description: String
    /// Whether the peer has no such channel.
    package var isUnknownChannel: Bool

    init(_ description: String, isUnknownChannel: Bool = false) {
        self.description = description
        self.isUnknownChannel = isUnknownChannel
    }
}
