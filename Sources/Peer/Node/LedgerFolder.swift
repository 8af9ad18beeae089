internal import Channel
internal import Foundation
internal import KeyValueStore
internal import Ledger

/// The folder in which a peer keeps its ledgers: `channels/<channel>/` for each channel.
struct LedgerFolder: Sendable {
    private let path: String

    /// Opens the folder, and finishes removing channels whose removal was interrupted.
    ///
    /// - Throws: ``LedgerFolderError`` if the folder can't be made or written to.
    init(_ dataFolder: String) throws(LedgerFolderError) {
        self.path = Self.path(in: dataFolder)
        do {
            try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
        } catch {
            throw LedgerFolderError(folder: self.path, reason: "\(error.localizedDescription)")
        }
        try ChannelRemoval.finish(in: self.path)
    }

    static func path(in dataFolder: String) -> String { "\(dataFolder)/channels" }

    /// The channels that have a ledger here, by name.
    func channels() throws(LedgerFolderError) -> [ChannelID] {
        let names: [String]
        do {
            names = try FileManager.default.contentsOfDirectory(atPath: self.path)
        } catch {
            throw LedgerFolderError(folder: self.path, reason: "\(error.localizedDescription)")
        }
        return names.sorted().compactMap { try? ChannelID($0) }
    }

    /// Opens the ledger of a channel, or makes an empty one.
    func open(_ id: ChannelID) throws -> Ledger {
        let folder = "\(self.path)/\(id)"
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw LedgerFolderError(folder: folder, reason: "\(error.localizedDescription)")
        }
        return try Ledger(channelID: id, stores: LedgerStores.open(folder: folder))
    }
}

/// A data folder that can't be used.
package struct LedgerFolderError: Error, Sendable, CustomStringConvertible {
    package var folder: String
    package var reason: String

    package var description: String {
        "data folder \(self.folder) can't be used: \(self.reason); "
            + "name another folder or give this process the right to write there"
    }
}
