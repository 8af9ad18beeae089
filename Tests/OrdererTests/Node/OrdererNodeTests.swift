import Channel
import Cryptography
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
import TestSupport
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
        tls: ClientTLS? = nil,
        _ body: @Sendable @escaping (GRPCClient<CoreClientTransport>) async throws -> Value
    ) async throws -> Value {
        let node = try OrdererNode(configuration: configuration, logger: self.logger)
        let group = ServiceGroup(services: [node], logger: self.logger)
        return try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask { try await group.run() }
            let transport = try CoreClientTransport(target: "localhost:\(node.boundPort)", tls: tls)
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

    @Test("with mutual TLS Deliver insists on the hash of the client's certificate, Broadcast does not")
    func bindsRequestsToTheConnection() async throws {
        let authority = try TLSTestAuthority()
        let server = try authority.issue("orderer0")
        let client = try authority.issue("client")
        var configuration = self.configuration()
        configuration.tls = ServerTLS(
            identity: TLSIdentity(
                certificateChainPEM: server.certificatePEM,
                privateKeyPEM: server.privateKeyPEM
            ),
            clientRootsPEM: authority.certificatePEM,
            clientCertificates: .required
        )
        let tls = ClientTLS(
            rootsPEM: authority.certificatePEM,
            identity: TLSIdentity(
                certificateChainPEM: client.certificatePEM,
                privateKeyPEM: client.privateKeyPEM
            )
        )
        // The node is the channel's consenter by the key of its TLS certificate.
        configuration.genesisBlocks = [
            try self.network.genesis(
                of: self.network.channelID.description,
                certificates: [Data(server.certificatePEM.utf8)]
            )
        ]
        let hash = Digest.sha256(try Certificate(pem: Data(client.certificatePEM.utf8)).der)
        let network = self.network
        let seek = Orderer_SeekInfo(from: .oldestBlock, to: .newestBlock)
        let statuses = try await self.withNode(configuration, tls: tls) { connection in
            try await self.waitUntilServing(connection)
            #expect(try await self.broadcast(network.envelope(), connection) == .accepted)
            var statuses: [Common_Status] = []
            for hash in [hash, Data(), Data(repeating: 1, count: 32)] {
                let request = try network.seek(seek, tlsCertificateHash: hash)
                statuses.append(try await self.deliver(request, connection).last?.status ?? .unknown)
            }
            return statuses
        }
        #expect(statuses == [.success, .badRequest, .badRequest])
        try FileManager.default.removeItem(atPath: self.folder)
    }

    @Test("a renewed certificate with a key that the channel does not have for this consenter is warned of")
    func warnsOfAnotherKey() throws {
        let authority = try TLSTestAuthority()
        func issue() throws -> TLSIdentity {
            let issued = try authority.issue("orderer0")
            return TLSIdentity(
                certificateChainPEM: issued.certificatePEM,
                privateKeyPEM: issued.privateKeyPEM
            )
        }
        let identity = try issue()
        var configuration = self.configuration()
        configuration.tls = ServerTLS(
            identity: identity,
            clientRootsPEM: authority.certificatePEM,
            clientCertificates: .required
        )
        configuration.genesisBlocks = [
            try self.network.genesis(of: "trade", certificates: [Data(identity.certificateChainPEM.utf8)])
        ]
        let log = RecordedLog()
        let node = try OrdererNode(configuration: configuration, logger: log.logger)
        try node.renewTLS(identity, rootsPEM: authority.certificatePEM)
        #expect(!log.text.contains("warning"))
        try node.renewTLS(issue(), rootsPEM: authority.certificatePEM)
        #expect(log.text.contains("has another TLS key for this consenter"))
        try FileManager.default.removeItem(atPath: self.folder)
    }

    private func deliver(
        _ request: Common_Envelope,
        _ client: GRPCClient<CoreClientTransport>
    ) async throws -> [Orderer_DeliverResponse] {
        try await Orderer_AtomicBroadcast.Client(wrapping: client).deliver { writer in
            try await writer.write(request)
        } onResponse: { response in
            var answers: [Orderer_DeliverResponse] = []
            for try await answer in response.messages { answers.append(answer) }
            return answers
        }
    }

    @Test("bytes that are no envelope end their call, and nothing else")
    func survivesGarbage() async throws {
        let network = self.network
        let answer = try await self.withNode(self.configuration()) { client in
            try await self.waitUntilServing(client)
            var random = SplitMix64(seed: 11)
            for method in Orderer_AtomicBroadcast.Method.descriptors {
                for length in [1, 2, 17, 300, 5000] {
                    let bytes = (0..<length).map { _ in UInt8.random(in: 0...255, using: &random) }
                    try? await client.bidirectionalStreaming(
                        request: StreamingClientRequest { try await $0.write(bytes) },
                        descriptor: method,
                        serializer: RawBytes(),
                        deserializer: RawBytes(),
                        options: .defaults
                    ) { response in
                        for try await _ in response.messages {}
                    }
                }
            }
            return try await self.broadcast(network.envelope(), client)
        }
        #expect(answer == .accepted)
        try FileManager.default.removeItem(atPath: self.folder)
    }

    /// Messages as they are.
    private struct RawBytes: MessageSerializer, MessageDeserializer {
        func serialize<Bytes: GRPCContiguousBytes>(_ message: [UInt8]) throws -> Bytes { Bytes(message) }
        func deserialize<Bytes: GRPCContiguousBytes>(_ bytes: Bytes) throws -> [UInt8] {
            bytes.withUnsafeBytes { Array($0) }
        }
    }

    @Test("a data folder in use is refused, and named")
    func refusesAFolderInUse() throws {
        _ = try OrdererNode(configuration: self.configuration(), logger: self.logger)
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

    @Test("a damaged database stops its channel, which health tells, and not the node")
    func isolatesADamagedDatabase() async throws {
        let network = self.network
        let envelope = try network.envelope()
        _ = try await self.withNode(self.configuration()) { client in
            try await self.waitUntilServing(client)
            return try await self.broadcast(envelope, client)
        }
        let log = "\(self.folder)/channels/trade/log"
        let current = try FileManager.default.contentsOfDirectory(atPath: log).filter {
            $0.hasPrefix("MANIFEST")
        }
        for name in current { try Data("garbage".utf8).write(to: URL(filePath: "\(log)/\(name)")) }
        var configuration = self.configuration()
        configuration.genesisBlocks.append(try network.genesis(of: "second"))
        let answers = try await self.withNode(configuration) { client in
            var answers: [Orderer_BroadcastResponse] = []
            repeat {
                answers = [try await self.broadcast(network.envelope("a", channel: "second"), client)]
            } while answers.last?.status == .serviceUnavailable
            answers.append(try await self.broadcast(network.envelope("b"), client))
            let health = Grpc_Health_V1_Health.Client(wrapping: client)
            #expect(try await health.check(Grpc_Health_V1_HealthCheckRequest()).status == .notServing)
            return answers
        }
        #expect(answers.map(\.status) == [.success, .serviceUnavailable])
    }
}
