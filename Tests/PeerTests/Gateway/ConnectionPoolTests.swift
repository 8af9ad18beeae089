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

    /// A peer at an address, as the pool sees it, and a proposal for it.
    private static func peer(
        of pool: ConnectionPool,
        port: Int
    ) async throws -> (EndorsingPeer, UnpackedProposal) {
        let configuration = try await VectorNetwork.sideChannel(in: VectorNetwork.registry()).configuration
        let vector = try #require(try EndorsementVector.all().first { $0.id == "001-get-existing" })
        let peer = pool.peer(of: try MSPID("AlphaMSP"), at: "127.0.0.1:\(port)", on: configuration)
        return (peer, try UnpackedProposal(vector.proposal))
    }

    private static func pool() -> ConnectionPool {
        ConnectionPool(identity: nil, usesTLS: false, ordererOverrides: [], pollers: PollerGroup())
    }

    @Test(.timeLimit(.minutes(1)))
    func aPeerThatComesBackIsReached() async throws {
        let reserved = try CoreServerTransport(listeningOn: "127.0.0.1:0")
        let port = reserved.boundPort
        reserved.beginGracefulShutdown()
        let pool = Self.pool()
        let (peer, proposal) = try await Self.peer(of: pool, port: port)
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

    /// Gossip tells within a moment that a peer is back: then it is asked, and the connection must be there.
    @Test(.timeLimit(.minutes(5)))
    func aPeerThatIsAwayIsTriedMoreOftenThanAServerUsuallyIs() async throws {
        let (away, usual) = (try ClosingPort(), try ClosingPort())
        defer {
            away.stop()
            usual.stop()
        }
        let pool = Self.pool()
        let (peer, proposal) = try await Self.peer(of: pool, port: away.port)
        let transport = try CoreClientTransport(target: "127.0.0.1:\(usual.port)", pollers: PollerGroup())
        try await withGRPCClient(transport: transport) { client in
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { await pool.run() }
                defer { group.cancelAll() }
                while away.count < 12 {
                    await #expect(throws: RPCError.self) { try await peer.processor.process(proposal) }
                    await #expect(throws: RPCError.self) {
                        try await Protos_Endorser.Client(wrapping: client)
                            .processProposal(proposal.signedProposal)
                    }
                    try await Task.sleep(for: .milliseconds(50))
                }
            }
        }
        #expect(usual.count > 1 && usual.count * 4 <= away.count * 3, "\(usual.count) of \(away.count)")
    }
}
