internal import Channel
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import SwiftProtobuf

/// Where a node keeps its channels.
///
/// | path in the data folder | what it is |
/// |---|---|
/// | `channels/<channel>/{genesis.block,log,consensus}` | a channel |
/// | `channels/<channel>/join.block` | instead of `genesis.block`: the later config block that it was joined with |
/// | `joining/<channel>/*.block` | a channel that is being joined; put into place by renaming it |
/// | `removed/<channel>` | an empty file: the channel was removed, and its folder, if it is still there, goes too |
///
/// So a channel is there or not whenever the process ends: joining counts from the renaming, removing from the file
/// in `removed`. That file stays, lest the genesis block in a node's configuration begin the channel anew.
struct ChannelFolders: Sendable {
    /// A channel to run.
    struct Channel: Sendable {
        /// As of ``join``; the newest one is read from the ledger when the chain starts.
        var configuration: ChannelConfiguration
        /// The block that the channel was joined with: its first one, or a later config block.
        var join: Common_Block
    }

    /// What was found in the data folder.
    struct Contents: Sendable {
        /// The channels to run, in the order of their names.
        var channels: [Channel] = []
        /// Channels whose folder can't be used, each with the reason.
        var damaged: [(channel: ChannelID, reason: String)] = []
        /// Removed channels whose folder can't be deleted, each with the reason.
        var undeleted: [(channel: ChannelID, reason: String)] = []
        /// Channels that are not begun although their genesis block was given, because they were removed.
        var removed: [ChannelID] = []
    }

    private static let genesisBlock = "genesis.block"
    private static let laterBlock = "join.block"

    let root: String

    private var channels: String { "\(self.root)/channels" }
    private var joining: String { "\(self.root)/joining" }
    private var removed: String { "\(self.root)/removed" }

    private func folder(_ channel: ChannelID) -> String { "\(self.channels)/\(channel)" }
    private func removal(_ channel: ChannelID) -> String { "\(self.removed)/\(channel)" }

    /// Finishes what an earlier process had no time for, begins the channels of `blocks`, and says what is there.
    ///
    /// - Throws: ``OrdererError`` if the data folder can't be used or a given block can't begin a channel.
    func open(beginning blocks: [Common_Block]) throws -> Contents {
        try DurableFiles.remove(self.joining)
        for folder in [self.channels, self.joining, self.removed] { try DurableFiles.makeFolder(folder) }
        var contents = Contents()
        for channel in try self.names(in: self.removed) {
            do {
                try DurableFiles.remove(self.folder(channel))
            } catch {
                contents.undeleted.append((channel, error.description))
            }
        }
        for block in blocks {
            let configuration = try ChannelConfiguration(configBlock: block)
            _ = try ChannelConsenters(configuration)
            let channel = configuration.channelID
            if FileManager.default.fileExists(atPath: self.removal(channel)) {
                contents.removed.append(channel)
            } else if !FileManager.default.fileExists(atPath: self.folder(channel)) {
                try self.begin(channel, with: block)
            } else if let known = try? self.read(channel), known.join.header.number == 0,
                known.join.header != block.header
            {
                throw OrdererError.genesisMismatch(channel)
            }
        }
        let undeleted = Set(contents.undeleted.map(\.channel))
        for channel in try self.names(in: self.channels) where !undeleted.contains(channel) {
            do {
                contents.channels.append(try self.read(channel))
            } catch {
                contents.damaged.append((channel, "\(error)"))
            }
        }
        return contents
    }

    /// The entries of a folder that can be a channel's; others are not this node's business.
    private func names(in folder: String) throws(OrdererError) -> [ChannelID] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder).sorted()
                .compactMap { try? ChannelID($0) }
        } catch {
            throw .unreadableFolder(folder, error.localizedDescription)
        }
    }

    private func read(_ name: ChannelID) throws -> Channel {
        let join = try self.joinBlock(name)
        let channel = Channel(configuration: try ChannelConfiguration(configBlock: join), join: join)
        guard channel.configuration.channelID == name else {
            throw OrdererError.otherChannel(expected: name, found: channel.configuration.channelID)
        }
        _ = try ChannelConsenters(channel.configuration)
        return channel
    }

    private func joinBlock(_ channel: ChannelID) throws -> Common_Block {
        let later = "\(self.folder(channel))/\(Self.laterBlock)"
        let file =
            FileManager.default.fileExists(atPath: later)
            ? later : "\(self.folder(channel))/\(Self.genesisBlock)"
        do {
            return try Common_Block(serializedBytes: Data(contentsOf: URL(filePath: file)))
        } catch {
            throw OrdererError.unreadableFolder(file, "\(error)")
        }
    }

    // MARK: - While the node runs

    /// Makes the folder of a channel that begins; if this throws, there is none.
    ///
    /// The block is kept beside the stores, so that a channel can be opened without being given it again.
    func begin(_ channel: ChannelID, with block: Common_Block) throws {
        let folder = "\(self.joining)/\(channel)"
        try DurableFiles.remove(folder)
        try DurableFiles.makeFolder(folder)
        let name = block.header.number == 0 ? Self.genesisBlock : Self.laterBlock
        try DurableFiles.write(try block.serializedBytes(), to: "\(folder)/\(name)")
        try DurableFiles.remove(self.removal(channel))
        try DurableFiles.rename(folder, to: self.folder(channel))
    }

    /// Notes that a channel is removed; from here on it is, whatever becomes of this process.
    func beginRemoval(_ channel: ChannelID) throws(OrdererError) {
        try DurableFiles.write(Data(), to: self.removal(channel))
    }

    /// Deletes everything of a channel whose removal has begun.
    func finishRemoval(_ channel: ChannelID) throws(OrdererError) {
        try DurableFiles.remove(self.folder(channel))
    }

    /// Takes back ``begin(_:with:)``.
    func undo(_ channel: ChannelID) throws(OrdererError) {
        try self.beginRemoval(channel)
        try self.finishRemoval(channel)
    }

    /// Opens the two stores of a channel.
    func openStores(_ channel: ChannelID) throws -> ChannelThread.Stores {
        let folder = self.folder(channel)
        return ChannelThread.Stores(
            log: try LevelDBStore(folder: "\(folder)/log", options: .forLog),
            consensus: try LevelDBStore(folder: "\(folder)/consensus", options: .forConsensus)
        )
    }
}

extension LevelDBOptions {
    /// For entries that are read at start only and removed once they are in the log.
    fileprivate static var forConsensus: LevelDBOptions {
        var options = LevelDBOptions()
        options.writeBufferBytes = 2 << 20
        options.cacheBytes = 1 << 20
        options.filterBitsPerKey = 0
        return options
    }
}
