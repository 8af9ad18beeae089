internal import Channel
internal import FabricProtos
internal import Foundation
internal import KeyValueStore
internal import Ledger
internal import SwiftProtobuf

/// Where a node keeps its channels: `<root>/channels/<channel>/{log,consensus}`.
struct ChannelFolders: Sendable {
    /// A channel to run.
    struct Channel: Sendable {
        /// As of the genesis block; the newest one is read from the ledger when the chain starts.
        var configuration: ChannelConfiguration
        var genesis: Common_Block
    }

    let root: String

    private var channels: String { "\(self.root)/channels" }

    private func folder(_ channel: ChannelID) -> String { "\(self.channels)/\(channel)" }

    /// The channels in the folder and those that `blocks` begin, in the order of their names.
    ///
    /// A genesis block is kept beside the stores, so that a channel can be opened without being given it again.
    func channels(beginning blocks: [Common_Block]) throws -> [Channel] {
        do {
            try FileManager.default.createDirectory(atPath: self.channels, withIntermediateDirectories: true)
        } catch {
            throw OrdererError.unreadableFolder(self.root, error)
        }
        for block in blocks { try self.add(block) }
        let names = try FileManager.default.contentsOfDirectory(atPath: self.channels).sorted()
        return try names.map { name in
            let genesis = try self.genesis(in: name)
            let channel = Channel(
                configuration: try ChannelConfiguration(configBlock: genesis),
                genesis: genesis
            )
            guard channel.configuration.channelID.description == name else {
                throw OrdererError.otherChannel(
                    expected: try ChannelID(name),
                    found: channel.configuration.channelID
                )
            }
            _ = try RaftConsenters(channel.configuration)
            return channel
        }
    }

    private func add(_ genesis: Common_Block) throws {
        let configuration = try ChannelConfiguration(configBlock: genesis)
        _ = try RaftConsenters(configuration)
        let folder = self.folder(configuration.channelID)
        let file = "\(folder)/genesis.block"
        if FileManager.default.fileExists(atPath: file) {
            let known = try self.genesis(in: configuration.channelID.description)
            guard known.header == genesis.header else {
                throw OrdererError.genesisMismatch(configuration.channelID)
            }
            return
        }
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
            let bytes: Data = try genesis.serializedBytes()
            try bytes.write(to: URL(filePath: file), options: .atomic)
        } catch {
            throw OrdererError.unreadableFolder(folder, error)
        }
    }

    private func genesis(in name: String) throws -> Common_Block {
        let file = "\(self.channels)/\(name)/genesis.block"
        do {
            return try Common_Block(serializedBytes: Data(contentsOf: URL(filePath: file)))
        } catch {
            throw OrdererError.unreadableFolder(file, error)
        }
    }

    /// Opens the two stores of a channel.
    func openStores(_ channel: ChannelID) throws -> ChannelThread.Stores {
        let folder = self.folder(channel)
        return ChannelThread.Stores(
            log: try LevelDBStore(folder: "\(folder)/log", options: .forLog),
            consensus: try LevelDBStore(folder: "\(folder)/consensus")
        )
    }
}
