import Channel
import FabricProtos
import Foundation
import GRPCCore
import GRPCInProcessTransport
import KeyValueStore
import Ledger
import Logging
import RPC
import ServiceLifecycle
import SwiftProtobuf
import Testing

@testable import Orderer

/// Whole nodes on a real port and a real folder.
@Suite struct OrdererNodeTests {
    let network: TestNetwork
    let folder: String

    init() throws {
        self.network = try TestNetwork()
        self.folder =
            FileManager.default.temporaryDirectory.appending(path: "weft-orderer-\(UUID().uuidString)").path
    }

    private func configuration() -> OrdererNodeConfiguration {
        var configuration = OrdererNodeConfiguration(
            listenAddress: "127.0.0.1:0",
            tls: nil,
            identity: self.network.orderer,
            dataFolder: self.folder
        )
        configuration.genesisBlocks = [self.network.genesis]
        return configuration
    }

    private var logger: Logger {
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        return logger
    }

    /// Runs a node while `body` uses it, then shuts it down gracefully.
    private func withNode<Value: Sendable>(
        _ configuration: OrdererNodeConfiguration,
        _ body: @Sendable @escaping (GRPCClient<CoreClientTransport>) async throws -> Value
    ) async throws -> Value {
        let node = try OrdererNode(configuration: configuration, logger: self.logger)
        let group = ServiceGroup(services: [node], logger: self.logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let transport = try CoreClientTransport(target: "127.0.0.1:\(node.boundPort)")
            let value = try await withGRPCClient(transport: transport) { try await body($0) }
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            return value
        }
    }

    private func broadcast(
        _ envelope: Common_Envelope,
        _ client: GRPCClient<CoreClientTransport>
    ) async throws -> Orderer_BroadcastResponse {
        try await Orderer_AtomicBroadcast.Client(wrapping: client).broadcast { writer in
            try await writer.write(envelope)
        } onResponse: { response in
            for try await answer in response.messages { return answer }
            return Orderer_BroadcastResponse()
        }
    }

    private func waitUntilServing(_ client: GRPCClient<CoreClientTransport>) async throws {
        let health = Grpc_Health_V1_Health.Client(wrapping: client)
        while try await health.check(Grpc_Health_V1_HealthCheckRequest()).status != .serving {
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    @Test("a node orders, stops, and goes on from its folder without being given the genesis block again")
    func restarts() async throws {
        let network = self.network
        let envelope = try network.envelope()
        for run in 0..<2 {
            var configuration = self.configuration()
            if run == 1 { configuration.genesisBlocks = [] }
            let answer = try await self.withNode(configuration) { client in
                try await self.waitUntilServing(client)
                return try await self.broadcast(envelope, client)
            }
            #expect(answer == .accepted)
        }
        let log = try BlockLog(
            store: LevelDBStore(folder: "\(self.folder)/channels/trade/log", options: .forLog)
        )
        #expect(log.height == 2)
        try FileManager.default.removeItem(atPath: self.folder)
    }

    @Test("a reader that waits for the next block does not hold up the end of the node")
    func endsReaders() async throws {
        let network = self.network
        let statuses = try await self.withNode(self.configuration()) { client in
            try await self.waitUntilServing(client)
            let seek = try network.seek(Orderer_SeekInfo(from: .nextCommitted, to: .block(.max)))
            // Cancelled by the end of the client; the node must end all the same.
            return try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    try? await Orderer_AtomicBroadcast.Client(wrapping: client).deliver { writer in
                        try await writer.write(seek)
                    } onResponse: { response in
                        for try await _ in response.messages {}
                    }
                }
                try await Task.sleep(for: .milliseconds(50))
                group.cancelAll()
                return true
            }
        }
        #expect(statuses)
        try FileManager.default.removeItem(atPath: self.folder)
    }

    @Test("a data folder in use is refused, and named")
    func refusesAFolderInUse() throws {
        let held = try LevelDBStore(folder: "\(self.folder)/channels/trade/log", options: .forLog)
        let error = #expect(throws: KeyValueStoreError.self) {
            try OrdererNode(configuration: self.configuration(), logger: self.logger)
        }
        #expect(error?.code == .locked)
        #expect(error?.description.contains(held.folder) == true)
    }

    @Test("a port in use is refused, and named")
    func refusesAPortInUse() throws {
        let other = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        var configuration = self.configuration()
        configuration.listenAddress = "127.0.0.1:\(other.boundPort)"
        let error = #expect(throws: TransportError.self) {
            try OrdererNode(configuration: configuration, logger: self.logger)
        }
        #expect(error.map { "\($0)" }?.contains("\(other.boundPort)") == true)
    }

    @Test("another genesis block for a channel that exists is refused")
    func refusesAnotherGenesis() throws {
        _ = try OrdererNode(configuration: self.configuration(), logger: self.logger)
        var configuration = self.configuration()
        configuration.genesisBlocks = [try TestNetwork().genesis]
        #expect(throws: OrdererError.self) {
            try OrdererNode(configuration: configuration, logger: self.logger)
        }
    }

    @Test("a genesis block that this node can't order with is refused")
    func refusesAGarbledGenesis() throws {
        var configuration = self.configuration()
        var block = self.network.genesis
        block.data.data = [Data("no envelope".utf8)]
        configuration.genesisBlocks = [block]
        #expect(throws: (any Error).self) {
            try OrdererNode(configuration: configuration, logger: self.logger)
        }
    }

    @Test("a damaged database is refused, and the file named")
    func refusesADamagedDatabase() async throws {
        let envelope = try self.network.envelope()
        _ = try await self.withNode(self.configuration()) { client in
            try await self.waitUntilServing(client)
            return try await self.broadcast(envelope, client)
        }
        let log = "\(self.folder)/channels/trade/log"
        let current = try FileManager.default.contentsOfDirectory(atPath: log).filter {
            $0.hasPrefix("MANIFEST")
        }
        for name in current { try Data("garbage".utf8).write(to: URL(filePath: "\(log)/\(name)")) }
        let error = #expect(throws: KeyValueStoreError.self) {
            try OrdererNode(configuration: self.configuration(), logger: self.logger)
        }
        #expect(error?.description.contains(log) == true)
    }
}
