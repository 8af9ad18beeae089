import Channel
import FabricProtos
import Foundation
import GRPCCore
import GRPCProtobuf
import RPC
import SwiftProtobuf
import Testing

@testable import Peer

/// The gateway's connections to other peers.
@Suite struct ConnectionPoolTests {
    private struct Endorsing: Protos_Endorser.SimpleServiceProtocol {
        func processProposal(
            request: Protos_SignedProposal,
            context: ServerContext
        ) async throws -> Protos_ProposalResponse {
            .with { $0.response.status = 200 }
        }
    }

    /// A peer on a port that was in use a moment ago, while `body` runs.
    private static func withPeer(port: Int, _ body: () async throws -> Void) async throws {
        let transport = try CoreServerTransport(listeningOn: "127.0.0.1:\(port)")
        let server = GRPCServer(transport: transport, services: [Endorsing()])
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.serve() }
            defer { server.beginGracefulShutdown() }
            try await body()
        }
    }

    @Test(.timeLimit(.minutes(1)))
    func aPeerThatComesBackIsReached() async throws {
        let reserved = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let port = reserved.boundPort
        reserved.beginGracefulShutdown()
        let configuration = try await VectorNetwork.sideChannel(in: VectorNetwork.registry()).configuration
        let vector = try #require(try EndorsementVector.all().first { $0.id == "001-get-existing" })
        let proposal = try UnpackedProposal(vector.proposal)
        let pool = ConnectionPool(
            identity: nil,
            usesTLS: false,
            ordererOverrides: [],
            pollers: PollerGroup()
        )
        let peer = pool.peer(of: try MSPID("AlphaMSP"), at: "127.0.0.1:\(port)", on: configuration)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { await pool.run() }
            defer { group.cancelAll() }
            try await Self.withPeer(port: port) { _ = try await peer.processor.process(proposal) }
            await #expect(throws: RPCError.self) { try await peer.processor.process(proposal) }
            try await Self.withPeer(port: port) {
                while (try? await peer.processor.process(proposal)) == nil {
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }
    }
}
