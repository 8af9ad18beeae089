package import FabricProtos
package import GRPCCore
internal import GRPCProtobuf
package import RPC

/// The gRPC service `protos.Endorser`.
package final class EndorserService: Protos_Endorser.SimpleServiceProtocol {
    /// How many proposals are processed at a time (`peer.limits.concurrency.endorserService`).
    package static let defaultConcurrency = 2_500

    private let endorser: Endorser
    private let admission: CallAdmission

    /// - Parameters:
    ///   - endorser: does the work.
    ///   - limit: more calls than this at a time are refused at once; 0 refuses none.
    package init(_ endorser: Endorser, limit: Int = EndorserService.defaultConcurrency) {
        self.endorser = endorser
        self.admission = CallAdmission(service: "/protos.Endorser", limit: limit)
    }

    /// The service's method, for a transport that answers it itself.
    package var directMethods: [DirectMethod] {
        [
            DirectMethod(
                Protos_Endorser.Method.ProcessProposal.descriptor,
                deserializer: ProtobufDeserializer<Protos_SignedProposal>(),
                serializer: ProtobufSerializer<Protos_ProposalResponse>(),
                answer: self.process
            )
        ]
    }

    package func processProposal(
        request: Protos_SignedProposal,
        context: ServerContext
    ) async throws -> Protos_ProposalResponse {
        try await self.process(request)
    }

    private func process(_ request: Protos_SignedProposal) async throws -> Protos_ProposalResponse {
        try await self.admission.admit { try await self.endorser.process(request) }
    }
}
