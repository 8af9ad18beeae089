internal import Channel
package import FabricProtos
package import GRPCCore
internal import SwiftProtobuf

/// `gateway.Gateway` on the wire: takes messages apart and lets ``Gateway`` do the work.
///
/// - Source: Fabric v3, `gateway.Gateway`.
package struct GatewayService: Gateway_Gateway.SimpleServiceProtocol {
    /// How many calls may be under way at once (`peer.limits.concurrency.gatewayService`).
    package static let defaultConcurrency = 500

    private let gateway: Gateway
    private let admission: CallAdmission

    /// - Parameters:
    ///   - gateway: Does the work.
    ///   - limit: More calls than this at a time are refused at once; 0 refuses none.
    package init(_ gateway: Gateway, limit: Int = GatewayService.defaultConcurrency) {
        self.gateway = gateway
        self.admission = CallAdmission(service: "/gateway.Gateway", limit: limit)
    }

    package func endorse(
        request: Gateway_EndorseRequest,
        context: ServerContext
    ) async throws -> Gateway_EndorseResponse {
        try await self.admission.admit {
            let envelope = try await self.gateway.endorse(
                request.proposedTransaction,
                organizations: request.endorsingOrganizations
            )
            return .with { $0.preparedTransaction = envelope }
        }
    }

    package func submit(
        request: Gateway_SubmitRequest,
        context: ServerContext
    ) async throws -> Gateway_SubmitResponse {
        try await self.admission.admit {
            try await self.gateway.submit(request.preparedTransaction, channelID: request.channelID)
            return Gateway_SubmitResponse()
        }
    }

    package func commitStatus(
        request: Gateway_SignedCommitStatusRequest,
        context: ServerContext
    ) async throws -> Gateway_CommitStatusResponse {
        try await self.admission.admit {
            try await self.gateway.commitStatus(request)
        }
    }

    package func evaluate(
        request: Gateway_EvaluateRequest,
        context: ServerContext
    ) async throws -> Gateway_EvaluateResponse {
        try await self.admission.admit {
            let result = try await self.gateway.evaluate(
                request.proposedTransaction,
                organizations: request.targetOrganizations
            )
            return .with { $0.result = result }
        }
    }

    package func chaincodeEvents(
        request: Gateway_SignedChaincodeEventsRequest,
        response: RPCWriter<Gateway_ChaincodeEventsResponse>,
        context: ServerContext
    ) async throws {
        try await self.admission.admit {
            try await self.gateway.chaincodeEvents(request) { try await response.write($0) }
        }
    }
}
