internal import FabricProtos
internal import GRPCCore
internal import GRPCProtobuf
package import RPC
internal import SwiftProtobuf

/// A process that executes contracts for peers.
package struct ContractProcess: Sendable {
    private let packageID: String
    private let contracts: ContractSet
    private let log: @Sendable (String) -> Void

    /// - Parameters:
    ///   - packageID: the identifier of the installed package.
    ///   - contracts: what it executes.
    ///   - log: takes what an operator should know.
    package init(packageID: String, contracts: ContractSet, log: @escaping @Sendable (String) -> Void) {
        self.packageID = packageID
        self.contracts = contracts
        self.log = log
    }

    /// Serves until the task is cancelled, or the peer that it registered with ends the stream.
    package func run(_ meeting: ServiceConfiguration.Meeting) async throws {
        switch meeting {
        case .listen(let address, let tls):
            try await self.serve(on: self.transport(address, tls))
        case .register(let peer, let tls):
            try await self.register(at: peer, tls)
        }
    }

    // MARK: Peers connect

    /// A listener for peers; contracts' code runs on Swift's own threads, not on those that wait for messages.
    package func transport(_ address: String, _ tls: ServerTLS?) throws -> CoreServerTransport {
        var options = TransportOptions()
        options.runsHandlersOnPollers = false
        return try CoreServerTransport(listeningOn: address, tls: tls, options: options)
    }

    package func serve(on transport: CoreServerTransport) async throws {
        self.log("contract \(self.packageID) listens on port \(transport.boundPort)")
        let service = Service { try await self.converse($0, $1) }
        try await GRPCServer(transport: transport, services: [service]).serve()
    }

    private struct Service: Protos_Chaincode.SimpleServiceProtocol {
        let converse:
            @Sendable (
                RPCAsyncSequence<Protos_ChaincodeMessage, any Error>, RPCWriter<Protos_ChaincodeMessage>
            ) async throws -> Void

        func connect(
            request: RPCAsyncSequence<Protos_ChaincodeMessage, any Error>,
            response: RPCWriter<Protos_ChaincodeMessage>,
            context: ServerContext
        ) async throws {
            try await self.converse(request, response)
        }
    }

    private func converse(
        _ messages: RPCAsyncSequence<Protos_ChaincodeMessage, any Error>,
        _ writer: RPCWriter<Protos_ChaincodeMessage>
    ) async throws {
        self.log("a peer has connected")
        let (outbound, send) = AsyncStream.makeStream(of: Protos_ChaincodeMessage.self)
        let stream = ContractStream(packageID: self.packageID, contracts: self.contracts) { send.yield($0) }
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { for await message in outbound { try await writer.write(message) } }
                group.addTask {
                    defer { send.finish() }
                    try await stream.run(messages)
                }
                defer { group.cancelAll() }
                while try await group.next() != nil {}
            }
            self.log("a peer has ended its stream")
        } catch {
            self.log("the stream of a peer was lost: \(error)")
            throw error
        }
    }

    // MARK: The contract connects

    private func register(at peer: String, _ tls: ClientTLS?) async throws {
        let transport = try CoreClientTransport(target: peer, tls: tls)
        let (outbound, send) = AsyncStream.makeStream(of: Protos_ChaincodeMessage.self)
        let stream = ContractStream(packageID: self.packageID, contracts: self.contracts) { send.yield($0) }
        self.log("contract \(self.packageID) registers with \(peer)")
        let (inbound, receive) = AsyncStream.makeStream(of: Protos_ChaincodeMessage.self)
        try await withGRPCClient(transport: transport) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                // Beside the call: the peer answers, and the response begins, only after the contract has registered.
                group.addTask {
                    defer { send.finish() }
                    try await stream.run(inbound)
                }
                group.addTask {
                    defer { receive.finish() }
                    try await Self.exchange(client, outbound) { receive.yield($0) }
                }
                defer { group.cancelAll() }
                while try await group.next() != nil {}
            }
        }
        throw StreamFault(description: "\(peer) has ended the stream")
    }

    private static func exchange(
        _ client: GRPCClient<CoreClientTransport>,
        _ outbound: AsyncStream<Protos_ChaincodeMessage>,
        _ received: @escaping @Sendable (Protos_ChaincodeMessage) -> Void
    ) async throws {
        let request = StreamingClientRequest<Protos_ChaincodeMessage> { writer in
            for await message in outbound { try await writer.write(message) }
        }
        try await Protos_ChaincodeSupport.Client(wrapping: client).register(request: request) { response in
            for try await message in response.messages { received(message) }
        }
    }
}
