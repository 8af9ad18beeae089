package import FabricProtos
package import GRPCCore
internal import Synchronization

/// The gRPC service `protos.Endorser`.
package final class EndorserService: Protos_Endorser.SimpleServiceProtocol {
    /// How many proposals are processed at a time (`peer.limits.concurrency.endorserService`).
    package static let defaultConcurrency = 2_500

    private let endorser: Endorser
    private let limit: Int
    private let running = Atomic<Int>(0)

    /// - Parameters:
    ///   - endorser: does the work.
    ///   - limit: more calls than this at a time are refused at once; 0 refuses none.
    package init(_ endorser: Endorser, limit: Int = EndorserService.defaultConcurrency) {
        self.endorser = endorser
        self.limit = limit
    }

    package func processProposal(
        request: Protos_SignedProposal,
        context: ServerContext
    ) async throws -> Protos_ProposalResponse {
        let count = self.running.add(1, ordering: .relaxed).newValue
        defer { self.running.subtract(1, ordering: .relaxed) }
        guard self.limit == 0 || count <= self.limit else {
            throw RPCError(
                code: .unknown,
                message: "too many requests for /protos.Endorser, exceeding concurrency limit (\(self.limit))"
            )
        }
        return try await self.endorser.process(request)
    }
}
