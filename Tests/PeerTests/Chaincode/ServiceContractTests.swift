import FabricProtos
import Foundation
import GRPCCore
import Logging
import RPC
import SwiftProtobuf
import TestSupport
import Testing

@testable import Peer

/// Contracts that run as services, reached over real connections on loopback.
@Suite(.serialized) struct ServiceContractTests {
    /// A chaincode server; what it does with a stream is given.
    private struct Server: Protos_Chaincode.SimpleServiceProtocol {
        typealias Messages = RPCAsyncSequence<Protos_ChaincodeMessage, any Error>
        let converse: @Sendable (Messages, RPCWriter<Protos_ChaincodeMessage>) async throws -> Void

        func connect(
            request: Messages,
            response: RPCWriter<Protos_ChaincodeMessage>,
            context: ServerContext
        ) async throws {
            try await self.converse(request, response)
        }

        /// Interprets scripts.
        static func interpreting(_ packageID: String) -> Self {
            Self { messages, writer in
                let (outbound, send) = AsyncStream.makeStream(of: Protos_ChaincodeMessage.self)
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask { for await message in outbound { try await writer.write(message) } }
                    group.addTask {
                        defer { send.finish() }
                        try await ScriptShim(packageID: packageID) { send.yield($0) }.run(messages)
                    }
                    try await group.waitForAll()
                }
            }
        }

        /// Registers, and does `react` with each message after READY; ends the stream when it returns `false`.
        static func registering(
            _ packageID: String,
            _ react: @escaping @Sendable (Protos_ChaincodeMessage) -> Bool
        ) -> Self {
            Self { messages, writer in
                let payload = try Protos_ChaincodeID.with { $0.name = packageID }.serializedData()
                try await writer.write(
                    .with {
                        $0.type = .register
                        $0.payload = payload
                    }
                )
                for try await message in messages where message.type == .transaction {
                    guard react(message) else { return }
                }
            }
        }
    }

    private static let packageID = "script:0123"

    /// Runs `server` while `body` calls it through a contract.
    private func with(
        _ server: Server,
        tls: ServerTLS? = nil,
        clientTLS: ClientTLS? = nil,
        options: ChaincodeStreamRules.Options = .init(),
        _ body: @Sendable (RemoteContract) async throws -> Void
    ) async throws {
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:0", tls: tls)
        let address = "127.0.0.1:\(transport.boundPort)"
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await GRPCServer(transport: transport, services: [server]).serve() }
            defer { group.cancelAll() }
            try await self.withContract(at: address, clientTLS, options, body)
        }
    }

    private func withContract(
        at address: String,
        _ tls: ClientTLS?,
        _ options: ChaincodeStreamRules.Options,
        _ body: @Sendable (RemoteContract) async throws -> Void
    ) async throws {
        var service = try ServiceAddress(json: Data(#"{"address": "\#(address)"}"#.utf8))
        service.tls = tls
        let (jobs, addJob) = AsyncStream.makeStream(of: (@Sendable () async -> Void).self)
        let contract = RemoteContract(
            packageID: Self.packageID,
            endpoint: ServiceEndpoint(
                packageID: Self.packageID,
                service: service,
                startTimeout: options.startTimeout,
                pollers: PollerGroup()
            ),
            options: options,
            logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() },
            start: { job in
                addJob.yield(job)
                return true
            }
        )
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                await withDiscardingTaskGroup { group in
                    for await job in jobs { group.addTask { await job() } }
                    group.cancelAll()
                }
            }
            defer { group.cancelAll() }
            try await body(contract)
        }
    }

    /// What the endorser answers to a recorded proposal.
    private func answer(_ contract: RemoteContract, _ id: String) async throws -> Protos_ProposalResponse {
        let network = try RecordedNetwork(organization: "AlphaMSP", script: contract)
        let vector = try #require(try EndorsementVector.all().first { $0.id == id })
        return try await network.endorser.process(vector.proposal)
    }

    @Test func aServiceExecutesTransactionsOnOneStream() async throws {
        try await self.with(.interpreting(Self.packageID)) { contract in
            for id in ["001-get-existing", "004-blind-put", "023-range-120"] {
                let answer = try await self.answer(contract, id)
                #expect(
                    answer.hasEndorsement && answer.response.status == 200,
                    "\(id): \(answer.response.message)"
                )
            }
        }
    }

    @Test func transactionsRunAtTheSameTime() async throws {
        try await self.with(.interpreting(Self.packageID)) { contract in
            let network = try RecordedNetwork(organization: "AlphaMSP", script: contract)
            let vectors = try EndorsementVector.all().filter {
                $0.channel == "vecmain" && $0.chaincode == "scriptcc" && $0.endorsingPeer.hasSuffix("alpha")
                    && $0.grpcError == nil
            }
            let endorsed = try await withThrowingTaskGroup(of: Bool.self) { group in
                for vector in vectors {
                    group.addTask { try await network.endorser.process(vector.proposal).hasEndorsement }
                }
                return try await group.reduce(0) { $0 + ($1 ? 1 : 0) }
            }
            let expected = try vectors.filter { try $0.response?.hasEndorsement == true }.count
            #expect(endorsed == expected)
        }
    }

    @Test func aServiceIsReachedOverMutualTLS() async throws {
        let authority = try TLSTestAuthority()
        let (server, client) = (try authority.issue("contract"), try authority.issue("peer"))
        let tls = ServerTLS(
            identity: .init(certificateChainPEM: server.certificatePEM, privateKeyPEM: server.privateKeyPEM),
            clientRootsPEM: authority.certificatePEM,
            clientCertificates: .required
        )
        var clientTLS = ClientTLS(rootsPEM: authority.certificatePEM)
        clientTLS.identity = .init(
            certificateChainPEM: client.certificatePEM,
            privateKeyPEM: client.privateKeyPEM
        )
        try await self.with(.interpreting(Self.packageID), tls: tls, clientTLS: clientTLS) { contract in
            let answer = try await self.answer(contract, "001-get-existing")
            #expect(answer.hasEndorsement, "\(answer.response.message)")
        }
        try await self.with(
            .interpreting(Self.packageID),
            tls: tls,
            clientTLS: ClientTLS(rootsPEM: authority.certificatePEM)
        ) { contract in
            let answer = try await self.answer(contract, "001-get-existing")
            #expect(answer.response.status == 500 && !answer.hasEndorsement)
        }
    }

    @Test func aServiceThatIsNotThereIsNamed() async throws {
        let reserved = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let address = "127.0.0.1:\(reserved.boundPort)"
        reserved.beginGracefulShutdown()
        try await self.withContract(at: address, nil, .init()) { contract in
            let answer = try await self.answer(contract, "001-get-existing")
            #expect(answer.response.status == 500 && !answer.hasEndorsement && answer.payload.isEmpty)
            let message = answer.response.message
            #expect(
                message.contains(
                    "could not launch chaincode script:0123: connection to it failed: \(address)"
                ),
                "\(message)"
            )
        }
    }

    @Test func aServiceThatRegistersAsAnotherPackageIsRefused() async throws {
        try await self.with(.interpreting("other:99")) { contract in
            let message = try await self.answer(contract, "001-get-existing").response.message
            #expect(
                message.contains("registered as \"other:99\", but the package is script:0123"),
                "\(message)"
            )
        }
    }

    @Test func aServiceThatNeverRegistersIsGivenUp() async throws {
        var options = ChaincodeStreamRules.Options()
        options.startTimeout = .milliseconds(50)
        let silent = Server { messages, _ in for try await _ in messages {} }
        try await self.with(silent, options: options) { contract in
            let message = try await self.answer(contract, "001-get-existing").response.message
            #expect(message.contains("did not register within"), "\(message)")
        }
    }

    @Test func aContractThatTakesTooLongIsLeft() async throws {
        var options = ChaincodeStreamRules.Options()
        options.executeTimeout = .milliseconds(50)
        try await self.with(.registering(Self.packageID) { _ in true }, options: options) { contract in
            let message = try await self.answer(contract, "001-get-existing").response.message
            #expect(
                message.hasSuffix("error sending: timeout expired while executing transaction"),
                "\(message)"
            )
        }
    }

    @Test func aContractThatDiesInATransactionIsReachedAgain() async throws {
        try await self.with(.registering(Self.packageID) { _ in false }) { contract in
            for _ in 0..<2 {
                let message = try await self.answer(contract, "001-get-existing").response.message
                #expect(message.hasSuffix("chaincode stream terminated"), "\(message)")
            }
        }
    }

    /// A contract that goes on writing must not fill the memory.
    @Test func requestsBeyondWhatOneTransactionMaySendAreRefused() async throws {
        var options = ChaincodeStreamRules.Options()
        options.transactionBytes = 3
        try await self.with(.interpreting(Self.packageID), options: options) { contract in
            let message = try await self.answer(contract, "001-get-existing").response.message
            #expect(message.contains("more than 3 bytes"), "\(message)")
        }
    }

    @Test func anErrorOfTheContractIsNoResponseThatCouldBeEndorsed() async throws {
        let failing = Server { messages, writer in
            let payload = try Protos_ChaincodeID.with { $0.name = Self.packageID }.serializedData()
            try await writer.write(
                .with {
                    $0.type = .register
                    $0.payload = payload
                }
            )
            for try await message in messages where message.type == .transaction {
                try await writer.write(
                    .with {
                        $0.type = .error
                        $0.txid = message.txid
                        $0.channelID = message.channelID
                        $0.payload = Data("out of order".utf8)
                    }
                )
            }
        }
        try await self.with(failing) { contract in
            let answer = try await self.answer(contract, "001-get-existing")
            #expect(
                answer.response.message
                    == "error in simulation: transaction returned with failure: out of order"
            )
            #expect(answer.response.status == 500 && answer.payload.isEmpty && !answer.hasEndorsement)
        }
    }
}
