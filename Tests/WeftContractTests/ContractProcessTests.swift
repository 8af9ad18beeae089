import FabricProtos
import Foundation
import GRPCCore
import RPC
import SwiftProtobuf
import TestSupport
import Testing

@testable import WeftContract

/// A contract's process and peers, over real connections on loopback.
@Suite(.serialized, .timeLimit(.minutes(5))) struct ContractProcessTests {
    private func process() throws -> ContractProcess {
        ContractProcess(packageID: "probe:1", contracts: try ContractSet([ProbeContract()])) { _ in }
    }

    /// What a peer says until the contract has answered its first transaction, which is none that can be executed.
    private static let talk: [Protos_ChaincodeMessage] = [
        .with { $0.type = .registered }, .with { $0.type = .ready },
        .with {
            $0.type = .transaction
            $0.txid = "t1"
            $0.payload = Data([0xff])
        },
    ]

    /// Talks with the contract as a peer would; returns the types of what it says.
    private func connect(to port: Int, _ tls: ClientTLS?) async throws -> [Protos_ChaincodeMessage.TypeEnum] {
        let transport = try CoreClientTransport(target: "localhost:\(port)", tls: tls)
        return try await withGRPCClient(transport: transport) { client in
            let (ended, end) = AsyncStream.makeStream(of: Void.self)
            let request = StreamingClientRequest<Protos_ChaincodeMessage> { writer in
                for message in Self.talk { try await writer.write(message) }
                for await _ in ended {}
            }
            return try await Protos_Chaincode.Client(wrapping: client).connect(request: request) { response in
                var types: [Protos_ChaincodeMessage.TypeEnum] = []
                defer { end.finish() }
                for try await message in response.messages {
                    types.append(message.type)
                    if types.count == 2 { break }
                }
                return types
            }
        }
    }

    private func withService<Value: Sendable>(
        _ tls: ServerTLS?,
        _ body: @Sendable (Int) async throws -> Value
    ) async throws -> Value {
        let process = try self.process()
        let transport = try process.transport("127.0.0.1:0", tls)
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await process.serve(on: transport) }
            defer { group.cancelAll() }
            return try await body(transport.boundPort)
        }
    }

    @Test func severalPeersConnectToAService() async throws {
        let answers = try await self.withService(nil) { port in
            let first = try await self.connect(to: port, nil)
            return [first, try await self.connect(to: port, nil)]
        }
        #expect(answers == [[.register, .error], [.register, .error]])
    }

    @Test func peersWithoutTheRightCertificateAreTurnedAway() async throws {
        let authority = try TLSTestAuthority()
        let (server, client) = (try authority.issue("contract"), try authority.issue("peer"))
        let tls = ServerTLS(
            identity: .init(certificateChainPEM: server.certificatePEM, privateKeyPEM: server.privateKeyPEM),
            clientRootsPEM: authority.certificatePEM,
            clientCertificates: .required
        )
        try await self.withService(tls) { port in
            var peer = ClientTLS(rootsPEM: authority.certificatePEM)
            await #expect(throws: RPCError.self) { try await self.connect(to: port, peer) }
            peer.identity = .init(
                certificateChainPEM: client.certificatePEM,
                privateKeyPEM: client.privateKeyPEM
            )
            let answers = try await self.connect(to: port, peer)
            #expect(answers == [.register, .error])
        }
    }

    /// A peer that contracts register with; it ends the stream after the first transaction.
    private struct RegisteringPeer: Protos_ChaincodeSupport.SimpleServiceProtocol {
        let seen: AsyncStream<Protos_ChaincodeMessage.TypeEnum>.Continuation

        func register(
            request: RPCAsyncSequence<Protos_ChaincodeMessage, any Error>,
            response: RPCWriter<Protos_ChaincodeMessage>,
            context: ServerContext
        ) async throws {
            defer { self.seen.finish() }
            var count = 0
            for try await message in request {
                self.seen.yield(message.type)
                count += 1
                guard count == 1 else { return }
                for message in ContractProcessTests.talk { try await response.write(message) }
            }
        }
    }

    @Test func aContractRegistersWithThePeerThatStartedIt() async throws {
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let (seen, see) = AsyncStream.makeStream(of: Protos_ChaincodeMessage.TypeEnum.self)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                try await GRPCServer(transport: transport, services: [RegisteringPeer(seen: see)]).serve()
            }
            defer { group.cancelAll() }
            let process = try self.process()
            let address = "127.0.0.1:\(transport.boundPort)"
            await #expect(throws: StreamFault(description: "\(address) has ended the stream")) {
                try await process.run(.register(peer: address, tls: nil))
            }
            var types: [Protos_ChaincodeMessage.TypeEnum] = []
            for await type in seen { types.append(type) }
            #expect(types == [.register, .error])
        }
    }
}
