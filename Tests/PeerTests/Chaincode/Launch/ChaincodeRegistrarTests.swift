import FabricProtos
import Foundation
import GRPCCore
import Logging
import RPC
import SwiftProtobuf
import Testing

@testable import Peer

/// Who may register with the peer: contracts that it launched, with their own certificates.
@Suite struct ChaincodeRegistrarTests {
    private static let logger = Logger(label: "test") { _ in SwiftLogNoOpLogHandler() }

    private func stream(_ packageID: String, _ ready: AsyncStream<Void>.Continuation? = nil)
        -> ChaincodeStream
    {
        ChaincodeStream(packageID: packageID, options: .init(), logger: Self.logger) { _ in ready?.yield() }
    }

    private func with(
        _ body: @escaping @Sendable (ChaincodeRegistrar) async throws -> Void
    ) async throws {
        let registrar = try ChaincodeRegistrar(.init(), pollers: PollerGroup(), logger: Self.logger)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await registrar.run() }
            group.addTask { try await body(registrar) }
            defer { group.cancelAll() }
            try await group.next()
        }
    }

    /// Registers as `name`, and returns the messages that come back until `count` have, or the call has ended.
    private func register(
        _ registrar: ChaincodeRegistrar,
        as name: String,
        _ invitation: ChaincodeRegistrar.Invitation,
        first type: Protos_ChaincodeMessage.TypeEnum = .register,
        count: Int = 2
    ) async throws -> [Protos_ChaincodeMessage] {
        var tls = ClientTLS(rootsPEM: invitation.rootsPEM)
        tls.identity = invitation.identity
        let transport = try CoreClientTransport(target: registrar.address, tls: tls, pollers: PollerGroup())
        let client = GRPCClient(transport: transport)
        let payload = try Protos_ChaincodeID.with { $0.name = name }.serializedData()
        return try await withThrowingTaskGroup(of: [Protos_ChaincodeMessage]?.self) { group in
            group.addTask {
                try await client.runConnections()
                return nil
            }
            group.addTask {
                let (open, done) = AsyncStream.makeStream(of: Never.self)
                let request = StreamingClientRequest<Protos_ChaincodeMessage> { writer in
                    try await writer.write(
                        .with {
                            $0.type = type
                            $0.payload = payload
                        }
                    )
                    for await _ in open {}
                }
                return try await Protos_ChaincodeSupport.Client(wrapping: client).register(request: request) {
                    response in
                    defer { done.finish() }
                    var messages: [Protos_ChaincodeMessage] = []
                    for try await message in response.messages {
                        messages.append(message)
                        if messages.count == count { break }
                    }
                    return messages
                }
            }
            defer { group.cancelAll() }
            while let result = try await group.next() {
                if let result { return result }
            }
            return []
        }
    }

    private func refusal(_ body: () async throws -> [Protos_ChaincodeMessage]) async -> String {
        do {
            return "it got \(try await body().map(\.type))"
        } catch let error as RPCError {
            return error.message
        } catch {
            return "\(error)"
        }
    }

    @Test func aContractThatWasLaunchedIsLetIn() async throws {
        try await self.with { registrar in
            let (readiness, ready) = AsyncStream.makeStream(of: Void.self)
            let stream = self.stream("cc:01", ready)
            let invitation = try registrar.invite("cc:01", stream)
            let messages = try await self.register(registrar, as: "cc:01", invitation)
            #expect(messages.map(\.type) == [.registered, .ready])
            for await _ in readiness { break }
            // The contract has hung up, which ends its stream.
            await stream.waitUntilClosed()
            #expect(!stream.isReady)
        }
    }

    @Test func othersAreTurnedAway() async throws {
        try await self.with { registrar in
            let invitation = try registrar.invite("cc:01", self.stream("cc:01"))
            let other = try registrar.invite("cc:02", self.stream("cc:02"))
            let unknown = await self.refusal {
                try await self.register(registrar, as: "cc:03", invitation)
            }
            #expect(unknown.contains("it did not launch it"), "\(unknown)")
            let borrowed = await self.refusal { try await self.register(registrar, as: "cc:01", other) }
            #expect(borrowed.contains("certificate is not that of cc:01"), "\(borrowed)")
            let early = await self.refusal {
                try await self.register(registrar, as: "cc:01", invitation, first: .completed)
            }
            #expect(early.contains("came before REGISTER"), "\(early)")
            registrar.forget("cc:02")
            let late = await self.refusal { try await self.register(registrar, as: "cc:02", other) }
            #expect(late.contains("it did not launch it"), "\(late)")
        }
    }

    @Test func aContractRegistersOnce() async throws {
        try await self.with { registrar in
            let invitation = try registrar.invite("cc:01", self.stream("cc:01"))
            _ = try await self.register(registrar, as: "cc:01", invitation)
            let again = await self.refusal { try await self.register(registrar, as: "cc:01", invitation) }
            #expect(again.contains("duplicate chaincodeID"), "\(again)")
        }
    }

    @Test func aCertificateOfAnotherAuthorityIsNotTaken() async throws {
        try await self.with { registrar in
            var invitation = try registrar.invite("cc:01", self.stream("cc:01"))
            invitation.identity = try LaunchAuthority().issue("cc:01").identity
            let text = await self.refusal { try await self.register(registrar, as: "cc:01", invitation) }
            #expect(!text.hasPrefix("it got"), "\(text)")
        }
    }
}
