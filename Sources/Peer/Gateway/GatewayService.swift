internal import Channel
package import FabricProtos
package import GRPCCore
internal import GRPCProtobuf
package import RPC
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

    /// The methods that every transaction uses, for a transport that answers them itself.
    package var directMethods: [DirectMethod] {
        [
            DirectMethod(
                Gateway_Gateway.Method.Endorse.descriptor,
                deserializer: ProtobufDeserializer<Gateway_EndorseRequest>(),
                serializer: ProtobufSerializer<Gateway_EndorseResponse>(),
                answer: self.endorse
            ),
            DirectMethod(
                Gateway_Gateway.Method.Submit.descriptor,
                deserializer: ProtobufDeserializer<Gateway_SubmitRequest>(),
                serializer: ProtobufSerializer<Gateway_SubmitResponse>(),
                answer: self.submit
            ),
            DirectMethod(
                Gateway_Gateway.Method.CommitStatus.descriptor,
                deserializer: ProtobufDeserializer<Gateway_SignedCommitStatusRequest>(),
                serializer: ProtobufSerializer<Gateway_CommitStatusResponse>(),
                answer: self.commitStatus
            ),
            DirectMethod(
                Gateway_Gateway.Method.Evaluate.descriptor,
                deserializer: ProtobufDeserializer<Gateway_EvaluateRequest>(),
                serializer: ProtobufSerializer<Gateway_EvaluateResponse>(),
                answer: self.evaluate
            ),
        ]
    }

    package func endorse(
        request: Gateway_EndorseRequest,
        context: ServerContext
    ) async throws -> Gateway_EndorseResponse {
        try await self.endorse(request)
    }

    package func submit(
        request: Gateway_SubmitRequest,
        context: ServerContext
    ) async throws -> Gateway_SubmitResponse {
        try await self.submit(request)
    }

    package func commitStatus(
        request: Gateway_SignedCommitStatusRequest,
        context: ServerContext
    ) async throws -> Gateway_CommitStatusResponse {
        try await self.commitStatus(request)
    }

    package func evaluate(
        request: Gateway_EvaluateRequest,
        context: ServerContext
    ) async throws -> Gateway_EvaluateResponse {
        try await self.evaluate(request)
    }

    private func endorse(_ request: Gateway_EndorseRequest) async throws -> Gateway_EndorseResponse {
        try await self.admission.admit {
            let envelope = try await self.gateway.endorse(
                request.proposedTransaction,
                organizations: request.endorsingOrganizations
            )
            return .with { $0.preparedTransaction = envelope }
        }
    }

    private func submit(_ request: Gateway_SubmitRequest) async throws -> Gateway_SubmitResponse {
        try await self.admission.admit {
            try await self.gateway.submit(request.preparedTransaction, channelID: request.channelID)
            return Gateway_SubmitResponse()
        }
    }

    private func commitStatus(
        _ request: Gateway_SignedCommitStatusRequest
    ) async throws -> Gateway_CommitStatusResponse {
        try await self.admission.admit {
            try await self.gateway.commitStatus(request)
        }
    }

    private func evaluate(_ request: Gateway_EvaluateRequest) async throws -> Gateway_EvaluateResponse {
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
