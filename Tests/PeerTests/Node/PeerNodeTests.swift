import Channel
import FabricProtos
import Foundation
import GRPCCore
import KeyValueStore
import Ledger
import RPC
import ServiceLifecycle
import SwiftProtobuf
import Testing

@testable import Peer

@Suite struct PeerNodeTests {
    /// A folder that is gone after the test.
    private final class Folder {
        let path = NSTemporaryDirectory() + "weft-peer-" + UUID().uuidString

        init() throws {
            try FileManager.default.createDirectory(atPath: self.path, withIntermediateDirectories: true)
        }

        deinit { try? FileManager.default.removeItem(atPath: self.path) }
    }

    private func configuration(_ folder: Folder, port: Int = 0) throws -> PeerNodeConfiguration {
        let genesis = try VectorNetwork.chain("side")[0]
        let group = try #require(genesis.configEnvelope().config.channelGroup.groups["Application"])
        let alpha = try #require(group.groups.values.first { $0.values["MSP"].map(Self.isAlpha) == true })
        return PeerNodeConfiguration(
            listenAddress: "127.0.0.1:\(port)",
            identity: try VectorNetwork.peer("alpha"),
            localMSP: try Msp_MSPConfig(serializedBytes: try #require(alpha.values["MSP"]).value),
            dataFolder: folder.path,
            genesisBlocks: [genesis],
            // Nobody listens there: these tests need no orderer.
            ordererOverrides: []
        )
    }

    private static func isAlpha(_ value: Common_ConfigValue) -> Bool {
        guard let config = try? Msp_MSPConfig(serializedBytes: value.value),
            let fabric = try? Msp_FabricMSPConfig(serializedBytes: config.config)
        else { return false }
        return fabric.name == "AlphaMSP"
    }

    @Test func servesBlocksOfItsChannelsAndStopsWhenTold() async throws {
        let folder = try Folder()
        let node = try PeerNode(configuration: self.configuration(folder), logger: VectorNetwork.logger)
        let group = ServiceGroup(
            configuration: ServiceGroupConfiguration(
                services: [.init(service: node)],
                logger: VectorNetwork.logger
            )
        )
        let port = node.boundPort
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let blocks = try await withGRPCClient(
                transport: CoreClientTransport(target: "127.0.0.1:\(port)")
            ) { client in
                let envelope = try VectorNetwork.seek(
                    "vecside",
                    Orderer_SeekInfo(from: .block(0), to: .block(0)),
                    signer: VectorNetwork.user("alpha")
                )
                var options = CallOptions.defaults
                options.waitForReady = true
                return try await Protos_Deliver.Client(wrapping: client).deliver(
                    request: StreamingClientRequest { try await $0.write(envelope) },
                    options: options
                ) { response in
                    var numbers: [UInt64] = []
                    for try await message in response.messages {
                        if case .block(let block)? = message.type { numbers.append(block.header.number) }
                    }
                    return numbers
                }
            }
            #expect(blocks == [0])
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
        }
    }

    @Test func findsItsChannelsAgainAfterARestart() throws {
        let folder = try Folder()
        let configuration = try self.configuration(folder)
        do {
            let node = try PeerNode(configuration: configuration, logger: VectorNetwork.logger)
            #expect(node.channels.list.count == 1)
        }
        var again = configuration
        again.genesisBlocks = []
        let node = try PeerNode(configuration: again, logger: VectorNetwork.logger)
        #expect(node.channels.list.map(\.ledger.height) == [1])
    }

    @Test func saysThatAnotherNodeUsesItsDataFolder() throws {
        let folder = try Folder()
        let node = try PeerNode(configuration: self.configuration(folder), logger: VectorNetwork.logger)
        #expect {
            _ = try PeerNode(configuration: self.configuration(folder), logger: VectorNetwork.logger)
        } throws: { error in
            let text = "\(error)"
            return text.contains(folder.path) && text.contains("in use")
        }
        #expect(node.channels.list.count == 1)
    }

    @Test func saysThatItsPortIsInUse() throws {
        let first = try Folder()
        let second = try Folder()
        let node = try PeerNode(configuration: self.configuration(first), logger: VectorNetwork.logger)
        #expect {
            _ = try PeerNode(
                configuration: self.configuration(second, port: node.boundPort),
                logger: VectorNetwork.logger
            )
        } throws: { error in
            "\(error)".contains("127.0.0.1:\(node.boundPort)")
        }
    }

    @Test func saysThatItsDataFolderIsNone() throws {
        let folder = try Folder()
        var configuration = try self.configuration(folder)
        configuration.dataFolder = folder.path + "/file"
        try Data("not a folder".utf8).write(to: URL(fileURLWithPath: configuration.dataFolder))
        #expect {
            _ = try PeerNode(configuration: configuration, logger: VectorNetwork.logger)
        } throws: { error in
            error is LedgerFolderError && "\(error)".contains(configuration.dataFolder)
        }
    }

    @Test func startsWithoutAChannelWhoseDatabaseIsDamagedAndNamesIt() throws {
        let folder = try Folder()
        do { _ = try PeerNode(configuration: self.configuration(folder), logger: VectorNetwork.logger) }
        let manifest = try #require(
            FileManager.default.contentsOfDirectory(atPath: folder.path + "/channels/vecside/log")
                .first { $0.hasPrefix("MANIFEST") }
        )
        let file = folder.path + "/channels/vecside/log/" + manifest
        try Data("garbage".utf8).write(to: URL(fileURLWithPath: file))
        let node = try PeerNode(configuration: self.configuration(folder), logger: VectorNetwork.logger)
        #expect(node.channels.list.isEmpty)
        let failure = try #require(node.channels.unopened.first?.description)
        #expect(failure.contains(folder.path + "/channels/vecside/log") && failure.contains("damaged"))
    }
}
