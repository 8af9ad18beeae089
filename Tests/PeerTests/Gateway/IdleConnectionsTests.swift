import Channel
import GRPCCore
import RPC
import Testing

@testable import Peer

/// The gateway's connections to peers, which come and go.
@Suite struct IdleConnectionsTests {
    /// Asks peers one after the other, none of which is there, and tells how each call failed.
    private func ask(_ ports: [Int], of pool: ConnectionPool) async throws -> [RPCError.Code] {
        let configuration = try await VectorNetwork.sideChannel(in: VectorNetwork.registry()).configuration
        let vector = try #require(try EndorsementVector.all().first { $0.id == "001-get-existing" })
        let proposal = try UnpackedProposal(vector.proposal)
        let bravo = try MSPID("BravoMSP")
        let service = Task { await pool.run() }
        defer { service.cancel() }
        var codes: [RPCError.Code] = []
        for port in ports {
            let peer = pool.peer(of: bravo, at: "127.0.0.1:\(port)", on: configuration)
            let error = await #expect(throws: RPCError.self) { try await peer.processor.process(proposal) }
            if let error { codes.append(error.code) }
        }
        return codes
    }

    private func pool(idleLimit: Duration) -> ConnectionPool {
        ConnectionPool(
            identity: nil,
            usesTLS: false,
            ordererOverrides: [],
            pollers: PollerGroup(),
            idleLimit: idleLimit
        )
    }

    @Test func connectionsThatNobodyUsesAreForgottenAndMadeAgain() async throws {
        let pool = self.pool(idleLimit: .zero)
        let codes = try await self.ask([1, 2, 3, 4, 1], of: pool)
        #expect(codes == Array(repeating: .unavailable, count: 5), "nobody is there, but each is asked")
        #expect(pool.count == 1)
    }

    @Test func connectionsThatAreInUseAreKept() async throws {
        let pool = self.pool(idleLimit: .seconds(600))
        _ = try await self.ask([1, 2, 3, 1], of: pool)
        #expect(pool.count == 3)
    }
}
