import Channel
import Cryptography
import FabricProtos
import Foundation
import SwiftProtobuf
import TestSupport
import Testing

@testable import Orderer

/// Joining and leaving channels while a node runs, and after it ended in the middle of that.
@Suite struct RegistrarTests {
    let network: TestNetwork

    init() throws { self.network = try TestNetwork() }

    private func exists(_ path: String) -> Bool { FileManager.default.fileExists(atPath: path) }

    @Test("a channel that is joined orders beside those that were there, and is there after a restart")
    func joins() async throws {
        let node = try TestRegistrar(self.network, genesisBlocks: [self.network.genesis])
        let info = try await node.registrar.join(self.network.genesis(of: "second"))
        let expected = ChannelInfo(name: "second", consensusRelation: .consenter, status: .active, height: 1)
        #expect(info == expected)
        for channel in ["trade", "second"] {
            #expect(try await node.order("a", on: channel) == .accepted)
        }
        await node.stop()

        let restarted = try TestRegistrar(self.network, folder: node.folder)
        #expect(restarted.registrar.names == ["second", "trade"])
        #expect(try await restarted.order("b", on: "second") == .accepted)
        // The answer comes when the block is durable, a moment before it is in the ledger.
        try await restarted.reached(3, on: "second")
        try await restarted.end()
    }

    @Test("many channels are joined at once, and each has its own blocks")
    func joinsMany() async throws {
        let node = try TestRegistrar(self.network)
        let names = (0..<8).map { "channel\($0)" }
        let network = self.network
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, name) in names.enumerated() {
                group.addTask {
                    _ = try await node.registrar.join(network.genesis(of: name))
                    for number in 0..<index {
                        #expect(try await node.order("\(number)", on: name) == .accepted)
                    }
                }
            }
            try await group.waitForAll()
        }
        #expect(node.registrar.names == names)
        for (index, name) in names.enumerated() {
            try await node.reached(BlockNumber(index + 1), on: name)
            #expect(try node.registrar.info(name).height == UInt64(index + 1))
        }
        try await node.end()
    }

    @Test(
        "a channel that is removed is gone from disk and service, and can be joined again, from its beginning"
    )
    func removesAndRejoins() async throws {
        let node = try TestRegistrar(self.network, genesisBlocks: [self.network.genesis])
        #expect(try await node.order("a", on: "trade") == .accepted)
        try await node.registrar.remove("trade")
        try await node.gone("trade")
        #expect(!self.exists("\(node.folder)/channels/trade"))
        #expect(node.registrar.channels["trade"] == nil)
        #expect(throws: ParticipationError.channelUnknown("trade")) { try node.registrar.info("trade") }

        #expect(try await node.registrar.join(self.network.genesis).height == 1)
        #expect(try await node.order("a", on: "trade") == .accepted)
        await node.stop()
        let restarted = try TestRegistrar(self.network, folder: node.folder)
        #expect(restarted.registrar.names == ["trade"])
        try await restarted.end()
    }

    @Test("a removed channel isn't begun again by the genesis block in the node's configuration")
    func staysRemoved() async throws {
        let node = try TestRegistrar(self.network, genesisBlocks: [self.network.genesis])
        try await node.registrar.remove("trade")
        await node.stop()
        let restarted = try TestRegistrar(
            self.network,
            folder: node.folder,
            genesisBlocks: [self.network.genesis]
        )
        #expect(restarted.registrar.names.isEmpty)
        try await restarted.end()
    }

    @Test("a removal that was cut off at any file is finished at the next start", arguments: [0, 1, 2])
    func finishesRemovals(deleted: Int) async throws {
        let node = try TestRegistrar(self.network, genesisBlocks: [self.network.genesis])
        #expect(try await node.order("a", on: "trade") == .accepted)
        await node.stop()
        let folders = ChannelFolders(root: node.folder)
        try folders.beginRemoval(self.network.channelID)
        for name in ["genesis.block", "log"].prefix(deleted) {
            try FileManager.default.removeItem(atPath: "\(node.folder)/channels/trade/\(name)")
        }
        let restarted = try TestRegistrar(self.network, folder: node.folder)
        #expect(restarted.registrar.names.isEmpty)
        #expect(!self.exists("\(node.folder)/channels/trade"))
        try await restarted.end()
    }

    @Test("a join that was cut off before its end leaves nothing; one that was cut off behind it is finished")
    func finishesJoins() async throws {
        let folder = TestRegistrar.newFolder()
        let folders = ChannelFolders(root: folder)
        _ = try folders.open(beginning: [])
        // Before: the block lies where it is written first. Behind: the folder is in place, without stores.
        try FileManager.default.createDirectory(
            atPath: "\(folder)/joining/early",
            withIntermediateDirectories: true
        )
        let early: Data = try self.network.genesis(of: "early").serializedBytes()
        try early.write(to: URL(filePath: "\(folder)/joining/early/genesis.block"))
        try folders.begin(ChannelID("late"), with: self.network.genesis(of: "late"))
        let node = try TestRegistrar(self.network, folder: folder)
        #expect(node.registrar.names == ["late"])
        #expect(!self.exists("\(folder)/joining/early"))
        #expect(try await node.order("a", on: "late") == .accepted)
        _ = try await node.registrar.join(self.network.genesis(of: "early"))
        try await node.end()
    }

    @Test(
        "a channel with a damaged folder is reported and can be replaced; the others order",
        arguments: Damage.allCases
    )
    func isolatesDamage(damage: Damage) async throws {
        let blocks = [self.network.genesis, try self.network.genesis(of: "second")]
        let node = try TestRegistrar(self.network, genesisBlocks: blocks)
        for channel in ["trade", "second"] { _ = try await node.order("a", on: channel) }
        await node.stop()
        try damage.apply(to: "\(node.folder)/channels/trade")

        let restarted = try TestRegistrar(self.network, folder: node.folder, genesisBlocks: blocks)
        #expect(try await restarted.order("b", on: "second") == .accepted)
        if let channel = restarted.registrar.channels["trade"] { await channel.opened() }
        #expect(try restarted.registrar.info("trade").status == .inactive)
        #expect(restarted.registrar.failures.count == 1)
        await #expect(throws: ParticipationError.self) {
            try await restarted.registrar.join(self.network.genesis)
        }
        try await restarted.registrar.remove("trade")
        try await restarted.gone("trade")
        #expect(try await restarted.registrar.join(self.network.genesis).status == .active)
        #expect(restarted.registrar.failures.isEmpty)
        try await restarted.end()
    }

    enum Damage: CaseIterable {
        case genesis, genesisOfAnother, noGenesis, log, consensus

        func apply(to folder: String) throws {
            switch self {
            case .genesis: try Data("garbage".utf8).write(to: URL(filePath: "\(folder)/genesis.block"))
            case .genesisOfAnother:
                try FileManager.default.removeItem(atPath: "\(folder)/genesis.block")
                try FileManager.default.copyItem(
                    atPath: "\(folder)/../second/genesis.block",
                    toPath: "\(folder)/genesis.block"
                )
            case .noGenesis: try FileManager.default.removeItem(atPath: "\(folder)/genesis.block")
            case .log: try Self.garble("\(folder)/log")
            case .consensus: try Self.garble("\(folder)/consensus")
            }
        }

        private static func garble(_ folder: String) throws {
            for name in try FileManager.default.contentsOfDirectory(atPath: folder)
            where name.hasPrefix("MANIFEST") {
                try Data("garbage".utf8).write(to: URL(filePath: "\(folder)/\(name)"))
            }
        }
    }

    @Test("a block with which this node can't order is refused with the reason, and nothing is left of it")
    func refusesJoins() async throws {
        let own = try self.network.ordererOrganization.issueTLS("orderer0")
        let foreign = try self.network.organization.issueTLS("orderer0")
        let node = try TestRegistrar(self.network, serverKey: Certificate(pem: own).publicKey)

        try await self.expectRefusal(
            of: self.network.genesis(of: "untrusted", certificates: [foreign]),
            by: node,
            "verifying the tls client certificate"
        )
        try await self.expectRefusal(
            of: self.network.genesis(of: "future", certificates: [own]) {
                $0.orderer?.capabilities = ["V9_9"]
            },
            by: node,
            "Orderer capability V9_9"
        )
        _ = try await node.registrar.join(self.network.genesis(of: "own", certificates: [own]))
        #expect(node.registrar.names == ["own"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(node.folder)/channels") == ["own"])
        #expect(try FileManager.default.contentsOfDirectory(atPath: "\(node.folder)/joining").isEmpty)
        try await node.end()
    }

    @Test("a node that joins with a later block, or is no consenter, copies the channel and serves nobody")
    func follows() async throws {
        let own = try self.network.ordererOrganization.issueTLS("orderer0")
        let other = try self.network.ordererOrganization.issueTLS("orderer1")
        let node = try TestRegistrar(self.network, serverKey: Certificate(pem: own).publicKey)
        var later = try self.network.genesis(of: "later", certificates: [own])
        later.header.number = 7
        for block in [later, try self.network.genesis(of: "foreign", certificates: [other])] {
            let info = try await node.registrar.join(block)
            #expect(info.consensusRelation == .follower && info.status == .onboarding && info.height == 0)
            #expect(try await node.order("x", on: info.name).status == .serviceUnavailable)
            await #expect(throws: ParticipationError.self) {
                try await node.registrar.block(.oldest, of: info.name)
            }
        }
        await node.stop()
        let restarted = try TestRegistrar(
            self.network,
            folder: node.folder,
            serverKey: Certificate(pem: own).publicKey
        )
        let channel = try #require(restarted.registrar.channels["later"])
        await channel.opened()
        #expect(try restarted.registrar.info("later").status == .onboarding)
        try await restarted.registrar.remove("later")
        try await restarted.gone("later")
        try await restarted.end()
    }

    private func expectRefusal(of block: Common_Block, by node: TestRegistrar, _ reason: String) async throws
    {
        let error = await #expect(throws: ParticipationError.self) { try await node.registrar.join(block) }
        guard case .refused(let text)? = error else {
            Issue.record("not refused, but \(String(describing: error))")
            return
        }
        #expect(text.contains(reason))
    }

    @Test("of those who join and remove one channel at the same time every one gets a true answer")
    func decidesRaces() async throws {
        let node = try TestRegistrar(self.network)
        let block = self.network.genesis
        let answers = await withTaskGroup(of: (isJoin: Bool, error: ParticipationError?).self) { group in
            for number in 0..<40 {
                group.addTask {
                    do {
                        if number.isMultiple(of: 2) {
                            _ = try await node.registrar.join(block)
                        } else {
                            try await node.registrar.remove("trade")
                        }
                        return (number.isMultiple(of: 2), nil)
                    } catch {
                        return (
                            number.isMultiple(of: 2), error as? ParticipationError ?? .refused("\(error)")
                        )
                    }
                }
            }
            return await group.reduce(into: []) { $0.append($1) }
        }
        let joined = answers.count { $0.isJoin && $0.error == nil }
        let removed = answers.count { !$0.isJoin && $0.error == nil }
        #expect(joined >= 1)
        #expect((0...1).contains(joined - removed))
        for (_, error) in answers {
            switch error {
            case nil, .channelExists, .channelUnknown, .removalPending: break
            case let error?: Issue.record("\(error)")
            }
        }
        if joined == removed { try await node.gone("trade") }
        #expect(node.registrar.names.count == joined - removed)
        try await node.end()
    }

    @Test("what is under way when a channel is removed is answered")
    func answersWhatIsUnderWay() async throws {
        let node = try TestRegistrar(self.network, genesisBlocks: [self.network.genesis])
        #expect(try await node.order("first", on: "trade") == .accepted)
        let statuses = try await withThrowingTaskGroup(of: Common_Status.self) { group in
            for number in 0..<50 {
                group.addTask { try await node.order("\(number)", on: "trade").status }
            }
            group.addTask {
                try await node.registrar.remove("trade")
                return .success
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(statuses.count == 51)
        #expect(statuses.allSatisfy { [.success, .serviceUnavailable, .badRequest].contains($0) })
        try await node.gone("trade")
        try await node.end()
    }

    @Test("a folder that can't be deleted is reported, and deleted when the channel is removed again")
    func retriesRemovals() async throws {
        let node = try TestRegistrar(self.network, genesisBlocks: [self.network.genesis])
        let folder = "\(node.folder)/channels/trade"
        await node.stop()
        // A file system that refuses: the folder of removals is replaced by a file while the channel is there.
        try FileManager.default.removeItem(atPath: "\(node.folder)/removed")
        try Data().write(to: URL(filePath: "\(node.folder)/removed"))
        await #expect(throws: ParticipationError.self) { try await node.registrar.remove("trade") }
        #expect(self.exists(folder))
        #expect(node.registrar.names == ["trade"])
        try FileManager.default.removeItem(atPath: "\(node.folder)/removed")
        try FileManager.default.createDirectory(
            atPath: "\(node.folder)/removed",
            withIntermediateDirectories: true
        )
        try await node.registrar.remove("trade")
        try await node.gone("trade")
        #expect(!self.exists(folder))
        try await node.end()
    }
}
