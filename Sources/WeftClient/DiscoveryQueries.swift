internal import Channel
package import FabricProtos
internal import Foundation
internal import GRPCCore
internal import SwiftProtobuf

extension Connection {
    /// Asks the peer's discovery service.
    ///
    /// - Parameters:
    ///   - queries: what is asked.
    ///   - identity: who signs the request.
    ///   - timeout: how long the answer may take.
    /// - Returns: an answer for each query, in their order.
    /// - Throws: `RPCError` when the call fails; ``ClientError`` when it can't be signed or answers are missing.
    package func discover(
        _ queries: [Discovery_Query],
        as identity: ClientIdentity,
        timeout: Duration
    ) async throws -> [Discovery_QueryResult] {
        let payload = try Discovery_Request.with {
            $0.authentication.clientIdentity = identity.signer.serialized
            $0.authentication.clientTlsCertHash = self.certificateHash
            $0.queries = queries
        }.serializedData()
        let signature = try await identity.signing { try $0.sign(payload) }
        let request = Discovery_SignedRequest.with {
            $0.payload = payload
            $0.signature = signature
        }
        var options = CallOptions.defaults
        options.timeout = timeout
        let response = try await Discovery_Discovery.Client(wrapping: self.client)
            .discover(request, options: options)
        guard response.results.count == queries.count else {
            throw ClientError(
                .failed,
                "\(self.endpoint) gave \(response.results.count) answers to \(queries.count) queries"
            )
        }
        return response.results
    }
}
