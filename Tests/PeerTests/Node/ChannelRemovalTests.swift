import Channel
import Foundation
import Ledger
import Testing

@testable import Peer

@Suite struct ChannelRemovalTests {
    private func withFolder(_ body: (String) throws -> Void) throws {
        let path = NSTemporaryDirectory() + "weft-removal-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(atPath: path) }
        try body(path)
    }

    private func join(_ path: String) throws -> ChannelID {
        let folder = try LedgerFolder(path)
        return try ChannelRegistry(openLedger: folder.open).join(VectorNetwork.chain("side")[0]).id
    }

    @Test func aChannelThatWasLeftIsGoneAndCanBeJoinedAgain() throws {
        try self.withFolder { path in
            let id = try self.join(path)
            try ChannelRemoval.remove(id, dataFolder: path)
            #expect(try LedgerFolder(path).channels().isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: path + "/channels").isEmpty)
            #expect(try self.join(path) == id)
        }
    }

    @Test func aRunningPeerKeepsItsChannel() throws {
        try self.withFolder { path in
            let folder = try LedgerFolder(path)
            let registry = ChannelRegistry(openLedger: folder.open)
            let channel = try registry.join(VectorNetwork.chain("side")[0])
            let error = #expect(throws: ChannelRemovalError.self) {
                try ChannelRemoval.remove(channel.id, dataFolder: path)
            }
            #expect(error?.description.contains("stop it first") == true)
            #expect(try folder.channels() == [channel.id])
        }
    }

    @Test func aChannelThatIsNotThereIsNamedWithThoseThatAre() throws {
        try self.withFolder { path in
            _ = try self.join(path)
            let error = #expect(throws: ChannelRemovalError.self) {
                try ChannelRemoval.remove(ChannelID("other"), dataFolder: path)
            }
            #expect(error?.description.contains("vecside") == true)
        }
    }

    @Test func aRemovalThatWasInterruptedIsFinishedAtStart() throws {
        try self.withFolder { path in
            let id = try self.join(path)
            try FileManager.default.moveItem(
                atPath: "\(path)/channels/\(id)",
                toPath: "\(path)/channels/.removed-\(id)"
            )
            #expect(try LedgerFolder(path).channels().isEmpty)
            #expect(try FileManager.default.contentsOfDirectory(atPath: path + "/channels").isEmpty)
        }
    }

    @Test func aDamagedLedgerCanBeLeft() throws {
        try self.withFolder { path in
            let id = try self.join(path)
            let folder = "\(path)/channels/\(id)/log/"
            let manifest = try #require(
                FileManager.default.contentsOfDirectory(atPath: folder).first { $0.hasPrefix("MANIFEST") }
            )
            try Data("garbage".utf8).write(to: URL(fileURLWithPath: folder + manifest))
            try ChannelRemoval.remove(id, dataFolder: path)
            #expect(try LedgerFolder(path).channels().isEmpty)
        }
    }
}
